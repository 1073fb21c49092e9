"""Serving the page on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import dataclasses
import sys
import weakref
import webbrowser
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import panel as pn
from bokeh.document import Document
from bokeh.server.urls import per_app_patterns
from panel.io.server import WSHandler
from tornado.ioloop import PeriodicCallback
from tornado.websocket import WebSocketClosedError

from explorer import assets, joining, late
from explorer.addresses import CONNECT_SECONDS, free_port
from explorer.app import Opening, Page
from explorer.channel import FIRST_SECONDS, Soon
from explorer.fleet_process import FLEET
from explorer.gauges import give_back
from explorer.live import LivePage

OPEN: weakref.WeakSet[Page] = weakref.WeakSet()
"""Pages that are open."""

TURN_SECONDS = 0.0005
"""How long a thread may compute before another gets its turn: the page must be answered while JAX is imported."""

_GRACE_SECONDS = 1.5
"""How long JAX waits to be imported for a first page to be asked for: served first, it is painted while JAX comes."""

_LOOK_SECONDS = 5

_LIFETIME_MS = 4000
"""How long a tab may be away (a reload, a sleeping phone) before its session ends."""


_TRIES = 500
"""How often it is looked whether a new page's session is there, which may be made in another thread."""


class Prompt(WSHandler):  # type: ignore[misc]
    """Between a page and its browser, at once: Bokeh sends a message in parts, and the system would hold the next one
    back until the browser has acknowledged this one, for up to 40 ms.
    """

    def open(self) -> None:
        """Somebody has connected."""
        self.set_nodelay(True)
        super().open()


per_app_patterns[:] = [(path, Prompt if handler is WSHandler else handler) for path, handler in per_app_patterns]


def serve(opening: Opening, port: int, address: str = "127.0.0.1", browser: bool = True) -> None:
    """Serve until interrupted; prints the address once it answers."""
    free = free_port(address, port)
    if free != port:
        print(f"Port {port} is in use; taking {free}.")
    server = start(opening, free, address)
    sys.setswitchinterval(TURN_SECONDS)
    server.io_loop.add_callback(tidy, rests=False)
    server.io_loop.call_later(_GRACE_SECONDS, late.begin, "explorer.opening")
    url = f"http://{'localhost' if address in ('', '0.0.0.0') else address}:{free}/"
    print(f"Backprop Explorer is at {url}   (Ctrl+C stops it)", flush=True)
    if browser:
        webbrowser.open(url)
    with contextlib.suppress(KeyboardInterrupt):
        server.io_loop.start()  # Panel ends it on Ctrl+C
    print("Stopped.")
    stop(server)


def stop(server: Any) -> None:
    """Stop a server, and what its pages compute: that must not outlive it."""
    for page in list(OPEN):
        page.close()
    FLEET.close()  # Python's end waits for whoever waits for an answer of it
    server.stop()


def start(opening: Opening, port: int, address: str = "127.0.0.1", more: Sequence[Any] = (), **options: Any) -> Any:
    """A server that listens but whose loop doesn't run yet.

    Args:
        opening: what a new page starts with.
        port: to listen on; 0 for any that is free.
        address: likewise.
        more: patterns of addresses, with what answers there.
        **options: of Bokeh's server.
    """

    def soon(does: Callable[[], Any], seconds: float = FIRST_SECONDS) -> None:
        # pages are made in other threads, too, and only this way of asking is safe from them
        server.io_loop.add_callback(server.io_loop.call_later, seconds, does)

    server = pn.io.server.get_server(
        {"/": lambda: make_page(opening, soon)},
        port=port,
        address=address,
        show=False,
        start=False,
        title="Backprop Explorer",
        extra_patterns=[*joining.PATTERNS, *more],
        check_unused_sessions_milliseconds=1000,
        **{"unused_session_lifetime_milliseconds": _LIFETIME_MS, **options},
    )
    server.start()  # without it no session of a closed tab would end
    server.io_loop.asyncio_loop.set_exception_handler(unless_closed)
    server.io_loop.add_callback(_begin_with_nobody)
    return server


def unless_closed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tell what nobody has caught, unless a tab was closed while something was on its way to it: Panel, which sent it,
    forgets what it waits for together with the page.
    """
    if not isinstance(context.get("exception"), WebSocketClosedError):
        loop.default_exception_handler(context)


def _begin_with_nobody() -> None:
    """Have Panel be busy for a moment, as it begins then to look after what is. In the session of whoever came first
    Panel 1.10 can't begin with Bokeh 3.10: it tries again for ever, and that session never ends.
    """
    pn.io.PeriodicCallback(callback=lambda: None, period=1, count=1, session_scoped=False).start()


def make_page(opening: Opening, soon: Soon) -> pn.Template:
    """A page for a new tab."""
    document = pn.state.curdoc
    own = dataclasses.replace(opening, query=_query(document))
    page = LivePage(opening.feed, opening, document, soon) if opening.feed else Page(own, document, soon)
    for does in (_kept(document, soon), page.channel.opened):
        pn.state.onload(does)
    template = pn.Template(assets.text("page.html"))
    template.add_variable("page_css", assets.variables() + assets.text("page.css") + assets.text("lesson.css"))
    template.add_variable("head", assets.head())
    template.add_variable("words", assets.words())
    template.add_variable("live", bool(opening.feed))  # a loop elsewhere has no lessons
    template.add_variable("languages", assets.LANGUAGES)
    template.add_panel("graph", page.shows.graph)
    template.add_panel("room", page.shows.room)
    template.add_panel("setup", page.shows.setup)
    template.add_panel("parallel", page.shows.parallel)
    template.add_panel("lesson", page.shows.course)
    template.add_panel("classroom", page.hosting.view)
    OPEN.add(page)
    pn.state.on_session_destroyed(lambda context: _close(page))
    return template


def _kept(document: Document, soon: Soon) -> Callable[[], None]:
    """Keep the session of a new page until its browser has connected, as is told by what is returned.

    A session that nobody is connected to ends soon. A browser that came later would be given another one, to which
    nothing belongs that it has: a page that never shows anything.
    """
    kept: list[tuple[Any, asyncio.TimerHandle]] = []
    came = False

    def keep(tries: int = _TRIES) -> None:
        context = document.session_context
        if came or context is None:
            return
        if context.session is not None:
            context.session.block_expiration()
            loop, of_nobody = asyncio.get_running_loop(), contextvars.Context()  # else it would know the document
            kept.append((context.session, loop.call_later(CONNECT_SECONDS, let_go, context=of_nobody)))
        elif tries:  # it is still being made
            soon(partial(keep, tries - 1))

    def let_go() -> None:
        nonlocal came
        came = True
        while kept:
            session, timer = kept.pop()
            timer.cancel()
            session.unblock_expiration()

    soon(keep, 0)
    return let_go


def _close(page: Page) -> None:
    OPEN.discard(page)
    page.close()


def tidy(rests: bool) -> None:
    """From now on give memory back that pages took which are gone.

    Args:
        rests: whether pages that nobody uses are put to rest, too.
    """
    count, left = len(OPEN), False

    def look() -> None:
        nonlocal count, left
        for page in list(OPEN) if rests else ():
            page.idle()
        before, left = left, len(OPEN) < count
        if left or before:  # what a page computes may outlast it by a moment
            give_back()
        count = len(OPEN)

    PeriodicCallback(look, 1000 * _LOOK_SECONDS).start()


def _query(document: Document) -> str:
    """The query of the address that a page was asked for at."""
    given = document.session_context.request.arguments if document.session_context else {}
    return urlencode({name: [value.decode("utf-8", "replace") for value in given[name]] for name in given}, doseq=True)
