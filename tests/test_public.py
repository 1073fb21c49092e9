"""Serving many, for real: two processes, tabs on them, and what becomes of both."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from scripts.driving import COMMAND, ROOT
from scripts.tabs import Tab

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.skipif(sys.platform == "win32", reason="signals")]


@pytest.fixture(scope="module")
def serving():
    """``serve --public`` with two processes and places for two; its address, and the process."""
    command = [sys.executable, "-c", COMMAND, "serve", "--public", "--workers", "2", "--sessions", "2"]
    command += ["--no-browser", "--address", "127.0.0.1", "--port", "6230"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        said = (re.search(r"http://\S+/", line) for line in process.stdout)  # another port may be taken, and said first
        yield next(filter(None, said))[0], process
        process.kill()


def fetched(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


def numbers(url, name):
    """What the metrics say under a name, of all processes."""
    return [float(found) for found in re.findall(rf"backprop_explorer_{name}{{.*}} (\S+)\n", fetched(f"{url}metrics"))]


def test_tabs_train_and_leave_nothing(serving):
    url, _ = serving

    async def visit():
        tabs = await asyncio.gather(*(Tab().open(f"{url}?task=neuron") for _ in range(2)))
        assert {tab.cookies for tab in tabs} == {"backprop-explorer-process=0", "backprop-explorer-process=1"}
        for tab in tabs:
            tab.send("train", type="play")
        while not all(tab.step > 100 for tab in tabs):
            await asyncio.sleep(0.05)
        assert numbers(url, "training") == [1, 1]
        for tab in tabs:
            tab.close()
        while numbers(url, "sessions") != [0, 0] or sum(numbers(url, "training")):
            await asyncio.sleep(0.2)

    asyncio.run(asyncio.wait_for(visit(), 120))
    assert sum(numbers(url, "steps_total")) > 200


def test_a_token_that_was_made_up_is_refused(serving):
    url, _ = serving
    token = re.search(r'"token":"([^"]+)"', fetched(url))[1]
    assert "." in token
    body, _, signature = token.rpartition(".")
    forged = f"{body}.{signature[:-4]}{'AAAA' if signature[-4:] != 'AAAA' else 'BBBB'}"

    async def connect(given):
        request = HTTPRequest(f"{url.replace('http', 'ws')}ws", headers={"Origin": url.rstrip("/")})
        socket = await websocket_connect(request, subprotocols=["bokeh", given])
        said = await asyncio.wait_for(socket.read_message(), 20)
        socket.close()
        while said is not None and await socket.read_message() is not None:
            pass
        return said

    assert "ACK" in asyncio.run(connect(token))
    assert asyncio.run(connect(forged)) is None


def test_a_page_of_elsewhere_may_not_connect(serving):
    with pytest.raises(HTTPClientError) as refused:
        asyncio.run(Tab().open(serving[0], origin="http://elsewhere.example"))
    assert refused.value.code == 403


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(child) for child in found.split()]


def until(true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_process_that_ends_is_started_again_and_none_outlives_the_server(serving):
    url, process = serving
    until(lambda: json.loads(fetched(f"{url}health"))["ok"])
    first = children(process.pid)
    assert len(first) == 2
    os.kill(first[0], signal.SIGKILL)
    until(lambda: "backprop_explorer_restarts_total 1" in fetched(f"{url}metrics"))
    until(lambda: len(children(process.pid)) == 2)
    now = children(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in now))
