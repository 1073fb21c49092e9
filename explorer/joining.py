"""The page that follows a teacher: light, without Bokeh, and fed by a socket that takes nothing but questions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from explorer import assets
from explorer.classroom import CLASSES, Follower
from explorer.errors import ExplorerError

ASKING = frozenset({"explain", "fetch", "answer"})
"""What a follower may send; none of it changes what the teacher sees or trains."""

LONGEST = 2000
A_SECOND, AT_ONCE = 2.0, 6.0
"""Messages that a follower may send, over time and in a row."""

STUCK_SECONDS = 30

_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_ENTRIES = {"graph": "graphview/main.js", "room": "room/main.js", "follow": "follow/main.js"}
_SHEETS = {"graph": "graphview.css", "room": "room.css"}


class JoinPage(RequestHandler):
    """The page itself; it asks for a code unless the address has one."""

    def get(self) -> None:
        """Send it. It is the same for everyone: what was typed never stands in it."""
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        sheets = {name: assets.variables() + assets.text(sheet) for name, sheet in _SHEETS.items()}
        held = _in_script({"look": assets.look(), "sheets": sheets})
        self.finish(assets.page("follow.html", css=assets.variables() + assets.text("follow.css"), held=held))


class Script(RequestHandler):
    """One of its scripts: the very modules that draw the teacher's page."""

    def get(self, name: str) -> None:
        """Send it."""
        if name not in _ENTRIES:
            raise HTTPError(404)
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(assets.module(_ENTRIES[name]))


class FollowSocket(WebSocketHandler):
    """One follower. Tornado refuses it to pages of another origin."""

    _follower: Follower | None = None

    async def open(self) -> None:
        """Join the class of the code, or say why not."""
        self.set_nodelay(True)
        self._allowance, self._last = AT_ONCE, time.monotonic()
        try:
            taught = CLASSES.find(self.get_argument("code", ""), self.request.remote_ip or "")
            self._follower = taught.join(self._take, self.get_argument("me", "") or str(id(self)))
        except ExplorerError as error:
            await self._say({"refused": str(error)})
            self.close(1000)
            return
        await self._follower.tell()

    async def on_message(self, message: str | bytes) -> None:
        """Take a question or an answer; refuse everything else."""
        follower, asked = self._follower, _understood(message)
        if follower is None:
            return
        if asked is None:
            await self._say({"said": "Only the teacher can do that."})
        elif not self._may():
            await self._say({"said": "One thing at a time: wait a second."})
        elif asked["type"] == "answer":
            await self._say({"answered": follower.taught.answer(follower, str(asked.get("value", "")))})
        else:
            follower.taught.asks(follower, asked)

    def on_close(self) -> None:
        """Leave the class."""
        if self._follower is not None:
            self._follower.taught.leave(self._follower)

    def _may(self) -> bool:
        now = time.monotonic()
        self._allowance, self._last = min(AT_ONCE, self._allowance + A_SECOND * (now - self._last)), now
        may = self._allowance >= 1
        self._allowance -= may
        return may

    async def _say(self, message: dict[str, Any]) -> None:
        await self._take(json.dumps(message).encode())

    async def _take(self, text: bytes) -> None:
        """Bring a text; who takes half a minute over one is gone."""
        with contextlib.suppress(WebSocketClosedError):
            try:
                await asyncio.wait_for(self.write_message(text, binary=False), STUCK_SECONDS)
            except TimeoutError:
                self.close()


def _understood(message: str | bytes) -> dict[str, Any] | None:
    """A message that a follower may send; ``None`` for any other."""
    if isinstance(message, bytes) or len(message) > LONGEST:
        return None
    try:
        asked = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return asked if isinstance(asked, dict) and asked.get("type") in ASKING else None


def _in_script(value: Any) -> str:
    """Plain data as a script may hold it."""
    return json.dumps(value, ensure_ascii=False).replace("</", "<\\/")


PATTERNS: list[Any] = [(r"/join", JoinPage), (r"/join/(\w+)\.js", Script), (r"/join/follow", FollowSocket)]
"""What the server answers beside the page."""
