"""A tab without a browser: what Bokeh's script says and hears on the page's websocket, and nothing drawn."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

VIEWS = ("graph", "train", "setup")
"""Sections of the page, each with one component in it."""

_STEP = re.compile(r'\\"step\\":(\d+)')
"""In a picture of the run, which is JSON in a message of JSON: the last step that was taken."""

_DAY = 86400


class Tab:
    """One open page. All of its methods belong to one event loop."""

    def __init__(self) -> None:
        self.models: dict[str, str] = {}
        """For each section of the page the id of its component."""
        self.step = 0
        """Of the run, as its last picture told it."""
        self.pictures = 0
        """Of the run, as many as came."""
        self.at = 0.0
        """When the last of them did, by the monotonic clock."""
        self.stands = "asks for the page"
        """What it waits for."""
        self.closed = False
        self.cookies = ""
        self._waiting: list[tuple[str, asyncio.Future[str]]] = []

    async def open(self, url: str, origin: str = "", later: float = 0.0) -> Tab:
        """Ask for the page and connect, as a browser does.

        Args:
            url: of the page.
            origin: of the page that connects, if it isn't this one.
            later: seconds that it takes to load its scripts.

        Raises:
            HTTPClientError: the page or its socket was refused.
        """
        page = await AsyncHTTPClient().fetch(
            url, connect_timeout=120, request_timeout=120
        )  # it lets ten through at once
        html = page.body.decode()
        self.cookies = "; ".join(each.split(";")[0] for each in page.headers.get_list("Set-Cookie"))
        for view in VIEWS:
            found = re.search(rf'class="{view}".*?data-root-id="(\w+)"', html, re.DOTALL)
            assert found, f"there is no {view} on this page"
            self.models[view] = found[1]
        self.stands = "connects"
        await asyncio.sleep(later)
        token = re.search(r'"token":"([^"]+)"', html)
        assert token
        parts = urlsplit(url)
        headers = {"Origin": origin or f"{parts.scheme}://{parts.netloc}", "Cookie": self.cookies}
        request = HTTPRequest(f"ws://{parts.netloc}/ws", headers=headers, connect_timeout=60, request_timeout=_DAY)
        self._socket = await websocket_connect(request, subprotocols=["bokeh", token[1]], max_message_size=1 << 28)
        self._reading = asyncio.ensure_future(self._read())
        await self.hear('"ACK"')
        self._say("PULL-DOC-REQ", {})
        self._event("document_ready", {})
        self.stands = "waits"
        return self

    def close(self) -> None:
        """Close the tab."""
        self._socket.close()

    def send(self, view: str, **message: Any) -> None:
        """What the component of a section sends: ``send("train", type="play")``."""
        model = {"id": self.models[view]}
        self._event("data_event", {"type": "map", "entries": [["model", model], ["data", _mapped(message)]]})

    async def hear(self, word: str, does: Callable[[], None] = lambda: None) -> str:
        """Do something, and wait for the first message that has a word in it."""
        heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((word, heard))
        self.stands = f"waits for {word}"
        does()
        return await heard

    def _event(self, name: str, values: dict[str, Any]) -> None:
        event = {"type": "event", "name": name, "values": values or {"type": "map"}}
        self._say("PATCH-DOC", {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event}]})

    def _say(self, kind: str, content: dict[str, Any]) -> None:
        for part in ({"msgid": uuid.uuid4().hex, "msgtype": kind}, {}, content):
            self._socket.write_message(json.dumps(part))

    async def _read(self) -> None:
        while (text := await self._socket.read_message()) is not None:
            if isinstance(text, str) and len(text) > 2:
                self._heard(text)
        self.closed = True
        for _, heard in self._waiting:
            if not heard.done():
                heard.set_exception(ConnectionError("the server has closed the socket"))

    def _heard(self, text: str) -> None:
        if '"attr":"frame"' in text:
            self.pictures, self.at = self.pictures + 1, time.monotonic()
            self.step = max(map(int, _STEP.findall(text)), default=self.step)
        for waiting in self._waiting[:]:
            word, heard = waiting
            if word in text:
                self._waiting.remove(waiting)
                if not heard.done():
                    heard.set_result(text)


def _mapped(value: Any) -> Any:
    """Plain data as Bokeh's script writes it."""
    if isinstance(value, dict):
        return {"type": "map", "entries": [[key, _mapped(each)] for key, each in value.items()]}
    return [_mapped(each) for each in value] if isinstance(value, list) else value
