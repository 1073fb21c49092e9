"""The one address of several processes: hands each browser to one of them, and to the same one as long as it comes.

Of a connection it reads one request's head, decides, and then only passes bytes on; so there is one request on each
connection, and one that brings a body is refused. What everybody who serves strangers must hold is held here: whose
page may connect, how many there may be, and what a browser is told to forbid.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from explorer import assets, heads
from explorer.classroom import LETTERS
from explorer.gauges import as_text
from explorer.heads import Head, HeadError
from explorer.page_servers import Worker

HEAD_SECONDS = 15.0
DRAIN_SECONDS = 1.0
PIECE = 1 << 16
COOKIE = "backprop-explorer-process"

POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: wss: blob:; worker-src blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Panel loads our modules as blobs, and Bokeh writes scripts into the page; nothing comes from elsewhere."""

HELD = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}

_REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 405: "Method Not Allowed", 413: "Content Too Large"}
_REASONS |= {404: "Not Found", 503: "Service Unavailable", 502: "Bad Gateway"}


@dataclasses.dataclass(frozen=True)
class Rules:
    """Who may come."""

    most: int
    """Pages that may be open, in all processes together."""
    origins: tuple[str, ...] = ()
    """``https://host`` of the pages that may connect; without any, those that came from where they connect to."""
    proxied: bool = False
    """Whether a proxy stands before it, whose word on who asks for what host is taken."""


class Refused(Exception):  # noqa: N818 - named after what happened
    """A request is not handed on."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Front:
    """Takes connections."""

    def __init__(self, workers: list[Worker], rules: Rules) -> None:
        self._workers, self._rules = workers, rules
        self._own: dict[str, Callable[[], Any]] = {
            "/health": self._health,
            "/metrics": self._metrics,
            "/rested": self._rested,
        }

    async def take(self, reader: Any, writer: Any) -> None:
        """One connection, from its first byte to its last."""
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, TimeoutError):
            pass  # whoever it was is gone, or the server goes
        finally:
            await _closed(writer)

    async def _answer(self, reader: Any, writer: Any) -> None:
        try:
            head = heads.request(await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS))
            _without_body(head)
            if head.path in self._own:
                status, kind, text = await self._own[head.path]()
                await _say(writer, status, kind, text)
            elif head.path not in ("/", "/ws", "/join") and not head.path.startswith(("/join/", "/static/")):
                await _say(writer, 404, "text/plain", "There is nothing here.")
            elif head.get("Upgrade").lower() == "websocket":
                await self._join(head, reader, writer)
            else:
                await self._fetch(head, writer)
        except (HeadError, asyncio.LimitOverrunError):
            await _say(writer, 400, "text/plain", "This is no request that a browser sends.")
            await _drained(reader, writer)
        except Refused as refused:
            await _say(writer, refused.status, "text/plain", str(refused))
            await _drained(reader, writer)

    # ---- whom to --------------------------------------------------------------------------------------------------

    @property
    def pages(self) -> int:
        """Pages that are open."""
        return sum(worker.pages for worker in self._workers)

    async def _worker(self, head: Head) -> tuple[Worker, bool]:
        """Who answers a request, and whether the browser is to be told to stay with it."""
        known = head.cookie(COOKIE)
        code = head.asked("code").upper() if head.path.startswith("/join") else ""
        named = LETTERS.find(code[0]) if code else int(known) if known.isdecimal() and len(known) < 4 else -1
        if 0 <= named < len(self._workers):
            return self._workers[named], False
        there = [worker for worker in self._workers if worker.port] or self._workers
        return min(there, key=lambda worker: worker.pages), not code

    async def _connect(self, worker: Worker) -> Any:
        try:
            await asyncio.wait_for(worker.ready.wait(), HEAD_SECONDS)
            return await asyncio.open_connection("127.0.0.1", worker.port, limit=heads.LONGEST)
        except (TimeoutError, OSError) as error:
            raise Refused(502, "This part of the server is starting again. Reload the page in a moment.") from error

    def _handed(self, head: Head, worker: Worker, who: Any) -> Head:
        """The head as a process is given it: from this machine, and for one request."""
        came = head.get("X-Forwarded-For").split(",")[-1].strip() if self._rules.proxied else ""
        here = f"127.0.0.1:{worker.port}"
        plain = head.without("X-Forwarded-", "X-Real-Ip", "X-Scheme", "Forwarded", "Keep-Alive", "Origin")
        return plain.having(Host=here, X_Real_Ip=came or str(who[0]))

    # ---- a page, a script ------------------------------------------------------------------------------------------

    async def _fetch(self, head: Head, writer: Any) -> None:
        is_page = head.path == "/"
        if is_page and self.pages >= self._rules.most:
            await _say(writer, 503, "text/html; charset=utf-8", self._notice("full"), {"Retry-After": "10"})
            return
        worker, stay = await self._worker(head)
        place = worker.hold() if is_page and head.method == "GET" else None
        answer = Head("", ())
        try:
            source, target = await self._connect(worker)
            try:
                given = self._handed(head, worker, writer.get_extra_info("peername"))
                target.write(given.having(Connection="close").encoded())
                answer = heads.response(await source.readuntil(b"\r\n\r\n"))
                writer.write(_guarded(self._staying(head, answer, worker) if stay and is_page else answer).encoded())
                await _pump(source, writer)
            finally:
                await _closed(target)
        finally:
            if place and answer.first.split(" ")[1:2] != ["200"]:
                worker.release(place)

    def _staying(self, head: Head, answer: Head, worker: Worker) -> Head:
        """An answer that has the browser come back to the same process."""
        secure = "; Secure" if self._secure(head) else ""
        return answer.adding("Set-Cookie", f"{COOKIE}={worker.index}; Path=/; HttpOnly; SameSite=Lax{secure}")

    def _secure(self, head: Head) -> bool:
        return self._rules.proxied and head.get("X-Forwarded-Proto").lower() == "https"

    # ---- a socket --------------------------------------------------------------------------------------------------

    async def _join(self, head: Head, reader: Any, writer: Any) -> None:
        self._check_origin(head)
        is_page = head.path == "/ws"
        worker, _ = await self._worker(head)
        if is_page and sum(each.sockets for each in self._workers) >= self._rules.most:
            raise Refused(503, "As many people as this server takes are here already.")
        source, target = await self._connect(worker)
        if is_page:
            worker.connected()
        try:
            given = self._handed(head, worker, writer.get_extra_info("peername"))
            target.write(given.having(Origin=f"http://127.0.0.1:{worker.port}").encoded())
            both = [asyncio.ensure_future(_pump(*way)) for way in ((source, writer), (reader, target))]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        finally:
            if is_page:
                worker.gone()
            await _closed(target)

    def _check_origin(self, head: Head) -> None:
        """Refuse the socket to pages of others: a browser names the page that opens it."""
        origin = head.get("Origin").lower().rstrip("/")
        if self._rules.origins:
            allowed = origin in self._rules.origins
        else:
            host = (head.get("X-Forwarded-Host") if self._rules.proxied else "") or head.get("Host")
            allowed = bool(origin) and urlsplit(origin).netloc == host.lower()
        if not allowed:
            raise Refused(
                403, f"Pages of {origin[:100] or 'nowhere'} may not connect here; --allow-origin lets others."
            )

    # ---- what it answers by itself ----------------------------------------------------------------------------------

    async def _health(self) -> tuple[int, str, str]:
        there = sum(bool(worker.port) for worker in self._workers)
        told = {"ok": there == len(self._workers), "processes": there, "pages": self.pages, "most": self._rules.most}
        return 200 if told["ok"] else 503, "application/json", json.dumps(told)

    async def _metrics(self) -> tuple[int, str, str]:
        told = await asyncio.gather(*(_told(worker) for worker in self._workers))
        text = as_text((str(worker.index), found) for worker, found in zip(self._workers, told, strict=True))
        own = {"pages": self.pages, "pages_most": self._rules.most}
        own["restarts_total"] = sum(max(worker.restarts, 0) for worker in self._workers)
        return (
            200,
            "text/plain; version=0.0.4",
            text + "".join(f"backprop_explorer_{name} {value}\n" for name, value in own.items()),
        )

    async def _rested(self) -> tuple[int, str, str]:
        return 200, "text/html; charset=utf-8", self._notice("rested")

    def _notice(self, which: str) -> str:
        """A page instead of the page: it is full, or it was put to rest."""
        return assets.page(
            "notice.html",
            css=assets.variables() + assets.text("follow.css"),
            script=assets.module("notice/main.js"),
            given=json.dumps({"which": which, "pages": self.pages, "most": self._rules.most}),
        )


def _without_body(head: Head) -> None:
    if head.method not in ("GET", "HEAD"):
        raise Refused(405, "Nothing can be sent here, only asked for.")
    if head.get("Transfer-Encoding") or head.get("Content-Length") not in ("", "0"):
        raise Refused(413, "Nothing can be uploaded here.")


def _guarded(answer: Head) -> Head:
    """An answer with what a browser is told to forbid."""
    policy = answer.get("Content-Security-Policy") or POLICY
    fields = [("Content-Security-Policy", policy), *HELD.items()]
    plain = answer.without("Server", *(name for name, _ in fields))
    return Head(plain.first, (*plain.fields, *fields))


async def _closed(writer: Any) -> None:
    writer.close()
    with contextlib.suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()


async def _drained(reader: Any, writer: Any) -> None:
    """Take, for a moment, what is still being sent: closed with bytes unread, a connection loses the answer."""
    if writer.can_write_eof():
        writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while await reader.read(heads.LONGEST):
                pass


async def _pump(source: Any, target: Any) -> None:
    """Pass bytes on until there are no more."""
    while piece := await source.read(PIECE):
        target.write(piece)
        await target.drain()


async def _say(writer: Any, status: int, kind: str, text: str, more: dict[str, str] | None = None) -> None:
    content = text.encode()
    fields = {"Content-Type": kind, "Content-Length": str(len(content)), "Cache-Control": "no-store", **(more or {})}
    head = Head(f"HTTP/1.1 {status} {_REASONS[status]}", (*fields.items(), ("Connection", "close")))
    writer.write(_guarded(head).encoded() + content)
    await writer.drain()


async def _told(worker: Worker) -> dict[str, float]:
    """What a process tells of itself; nothing where it doesn't."""
    try:
        found = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{worker.port}/told", request_timeout=5)
    except (OSError, ValueError, HTTPClientError):
        return {}
    told: dict[str, float] = json.loads(found.body)
    return told
