"""Serving: on this machine only, on a free port, to its own page only, until interrupted."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import weakref
from pathlib import Path

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.ioloop import IOLoop
from tornado.websocket import WebSocketClosedError, websocket_connect

from explorer import server
from explorer.app import Opening
from explorer.server import start
from scripts.tabs import Tab

ROOT = Path(server.__file__).parents[1]


@pytest.fixture
def _loop():
    """An event loop to make a server in; and Ctrl+C, which Panel takes for itself, given back."""
    loop, before = asyncio.new_event_loop(), signal.getsignal(signal.SIGINT)
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_loop")
def test_it_listens_on_this_machine_only():
    opened = start(Opening(), 0)
    try:
        addresses = {found.getsockname()[0] for found in opened._http._sockets.values()}
    finally:
        opened.stop()
    assert addresses == {"127.0.0.1"}


@pytest.mark.slow
@pytest.mark.usefixtures("_loop")
def test_of_a_tab_that_was_closed_nothing_is_kept():
    opened = start(Opening(), 0, unused_session_lifetime_milliseconds=200)

    async def visit():
        tab = await Tab().open(f"http://127.0.0.1:{opened.port}/?task=neuron")
        tab.send("train", type="play")
        while not tab.step:
            await asyncio.sleep(0.05)
        (page,) = server.OPEN
        kept = [weakref.ref(each) for each in (page, page._session, page._session.room, page.channel._document)]
        del page
        tab.close()
        while any(each() for each in kept):
            await asyncio.sleep(0.2)
            gc.collect()

    try:
        asyncio.get_event_loop().run_until_complete(asyncio.wait_for(visit(), 40))
    finally:
        server.stop(opened)


# ---- the command, running ------------------------------------------------------------------------------------------


def serving(*arguments, cwd, lines):
    """``backprop-explorer serve …``: the process, and the first lines that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from explorer.cli import main; main()", "serve", "--no-browser", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)},
    )
    return process, [process.stdout.readline() for _ in range(lines)]


@pytest.fixture(scope="module")
def running():
    """``backprop-explorer serve`` on a port that was in use: the process, what it printed, and its address."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        asked = busy.getsockname()[1]
        process, said = serving("--port", str(asked), cwd=ROOT, lines=2)
    with process:
        yield process, said, asked, re.search(r"http://\S+/", said[1])[0]
        process.kill()


@pytest.mark.slow
def test_a_port_in_use_is_told_with_the_one_taken(running):
    _, said, asked, address = running
    taken = int(re.search(r":(\d+)/", address)[1])
    assert said[0] == f"Port {asked} is in use; taking {taken}.\n"
    assert said[1] == f"Backprop Explorer is at http://127.0.0.1:{taken}/   (Ctrl+C stops it)\n"


@pytest.mark.slow
def test_the_page_names_no_other_host(running):
    page = urllib.request.urlopen(running[3], timeout=60).read().decode()
    assert "<title>Backprop Explorer</title>" in page
    hosts = set(re.findall(r"(?:src|href)=[\"']((?:https?:)?//[^/\"']+)", page))
    assert hosts == set()


@pytest.mark.slow
@pytest.mark.parametrize(("origin", "status"), [("http://elsewhere.example", 403), ("http://127.0.0.1:1", 403)])
def test_a_foreign_page_may_not_connect(running, origin, status):
    with pytest.raises(HTTPClientError) as refused:
        connect(running[3], origin)
    assert refused.value.code == status


@pytest.mark.slow
def test_its_own_page_may_connect(running):
    assert connect(running[3], running[3].rstrip("/")).selected_subprotocol == "bokeh"


def test_what_a_page_is_told_is_not_held_back(monkeypatch):
    told = []
    monkeypatch.setattr(server.Prompt, "set_nodelay", lambda self, value: told.append(value))
    monkeypatch.setattr(server.WSHandler, "open", lambda self: told.append("open"))
    handlers = dict(server.per_app_patterns)
    handlers["/ws"].open(object.__new__(server.Prompt))
    assert told == [True, "open"]


def connect(address: str, origin: str):
    page = urllib.request.urlopen(address, timeout=60).read().decode()
    token = re.search(r'"token":"([^"]+)"', page)[1]
    request = HTTPRequest(f"{address.replace('http', 'ws')}ws", headers={"Origin": origin})
    loop = IOLoop(make_current=False)
    try:
        return loop.run_sync(lambda: websocket_connect(request, subprotocols=["bokeh", token]), timeout=60)
    finally:
        loop.close()


@pytest.mark.slow
@pytest.mark.once
def test_a_browser_that_takes_long_to_connect_finds_the_page_that_it_was_sent(running):
    async def visit():
        tab = await Tab().open(f"{running[3]}?task=neuron", later=server._LIFETIME_MS / 1000 + 3)
        tab.send("train", type="play")
        while not tab.step:
            await asyncio.sleep(0.05)
        tab.close()

    asyncio.run(asyncio.wait_for(visit(), 60))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_an_interruption_ends_it_quietly(running):
    process, *_ = running
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, "Traceback" in err) == (0, "Stopped.\n", False)


SLOW = """
import time

def loss(x):
    time.sleep(60)
    return x

loss_args = (1.0,)
"""


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_an_interruption_does_not_wait_for_a_page_at_work(tmp_path):
    (tmp_path / "slow_model.py").write_text(SLOW, encoding="utf-8")
    process, said = serving("slow_model:loss", cwd=tmp_path, lines=1)
    with process:
        urllib.request.urlopen(re.search(r"http://\S+/", said[0])[0], timeout=60).read()
        time.sleep(1)  # for the page to begin
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, "Traceback" in err) == (0, "Stopped.\n", False)


@pytest.mark.parametrize(("error", "told"), [(WebSocketClosedError, False), (RuntimeError, True)])
@pytest.mark.usefixtures("_loop")
def test_what_was_on_its_way_to_a_closed_tab_is_not_told_anything_else_is(error, told, caplog):
    running = start(Opening(), 0)

    async def fail():
        raise error

    async def forget():
        asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(fail()))  # which nobody waits for
        await asyncio.sleep(0.01)
        gc.collect()

    running.io_loop.asyncio_loop.run_until_complete(forget())
    running.stop()
    assert ("never retrieved" in caplog.text) == told
