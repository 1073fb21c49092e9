"""The door of a class, by real sockets: who follows can't drive, and nobody gets in by trying."""

from __future__ import annotations

import asyncio
import json

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application
from tornado.websocket import websocket_connect

from explorer.classroom import CLASSES
from explorer.joining import ASKING, AT_ONCE, LONGEST, PATTERNS

OPENED = []


def at(does):
    """Run a test against a server of its own, with one class open; the class, and its address."""

    async def run():
        socket, port = bind_unused_port()
        server = HTTPServer(Application(PATTERNS))
        server.add_socket(socket)
        taught = CLASSES.open(lambda: None)
        try:
            return await does(taught, f"127.0.0.1:{port}")
        finally:
            CLASSES.close(taught)
            for each in OPENED:
                each.close()
                while each.protocol is not None:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            OPENED.clear()
            server.stop()
            await server.close_all_connections()

    return asyncio.run(run())


async def joined(taught, place, code=""):
    OPENED.append(await websocket_connect(f"ws://{place}/join/follow?code={code or taught.code}&me=me"))
    return OPENED[-1]


async def heard(socket):
    return json.loads(await asyncio.wait_for(socket.read_message(), 5))


@pytest.mark.parametrize("kind", ["train", "choose", "toggle", "edit", "play", "class_end", "at", "save", "", None])
def test_a_follower_cannot_drive(kind):
    asked = []

    async def test(taught, place):
        taught.asks = lambda follower, message: asked.append(message)
        socket = await joined(taught, place)
        await socket.write_message(json.dumps({"type": kind, "name": "seed", "value": "1"}))
        return await heard(socket)

    assert (at(test), asked) == ({"said": "Only the teacher can do that."}, [])


@pytest.mark.parametrize(
    "text", ["", "[]", "no JSON", "[" * 1900, '{"type": "answer", "value": "%s"}' % ("x" * LONGEST)]
)
def test_what_is_no_message_is_refused(text):
    async def test(taught, place):
        socket = await joined(taught, place)
        await socket.write_message(text)
        return await heard(socket)

    assert at(test) == {"said": "Only the teacher can do that."}


def test_a_question_is_handed_on():
    asked = []

    async def test(taught, place):
        taught.asks = lambda follower, message: asked.append(message["type"])
        socket = await joined(taught, place)
        await socket.write_message(json.dumps({"type": "explain", "node": "%3"}))
        taught.ask("Which?")
        await socket.write_message(json.dumps({"type": "answer", "value": "this"}))
        return await heard(socket), taught.told()["bars"]

    assert (at(test), asked) == (({"answered": True}, [("this", 1)]), ["explain"])
    assert {"explain", "answer", "fetch"} == ASKING


def test_who_asks_too_often_has_to_wait():
    async def test(taught, place):
        asked = []
        taught.asks = lambda follower, message: asked.append(message)
        socket = await joined(taught, place)
        for _ in range(30):
            await socket.write_message('{"type": "explain"}')
        await socket.write_message("the last one")
        said = []
        while "Only" not in (one := (await heard(socket))["said"]):
            said.append(one)
        return said, len(asked)

    said, count = at(test)
    assert AT_ONCE <= count <= AT_ONCE + 2
    assert said == ["One thing at a time: wait a second."] * (30 - count)


def test_a_wrong_code_is_told_and_the_door_closed():
    async def test(taught, place):
        socket = await joined(taught, place, "AAAAAA")
        return await heard(socket), await socket.read_message()

    said, end = at(test)
    assert (said["refused"].startswith("No class has this code"), end) == (True, None)


def test_a_page_of_another_origin_is_refused():
    async def test(taught, place):
        asks = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "eA==",
        }
        headers = {**asks, "Origin": "http://elsewhere.example"}
        with pytest.raises(HTTPClientError, match="403"):
            await AsyncHTTPClient().fetch(f"http://{place}/join/follow?code={taught.code}", headers=headers)
        return len(taught.followers)

    assert at(test) == 0


def test_who_leaves_is_no_longer_counted():
    async def test(taught, place):
        socket = await joined(taught, place)
        before = len(taught.followers)
        socket.close()
        for _ in range(1000):
            await asyncio.sleep(0.02)
            if not taught.followers:
                break
        return before, len(taught.followers)

    assert at(test) == (1, 0)


def test_nothing_of_the_address_stands_in_the_page():
    async def test(taught, place):
        return await AsyncHTTPClient().fetch(f"http://{place}/join?code=%3Cscript%3Ealert(1)%3C/script%3E")

    answer = at(test)
    assert b"alert(1)" not in answer.body
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["nothing", "setup"])
def test_only_the_scripts_of_the_page_are_served(name):
    async def test(taught, place):
        with pytest.raises(HTTPClientError, match="404"):
            await AsyncHTTPClient().fetch(f"http://{place}/join/{name}.js")

    at(test)
