"""Serving the page on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import socket
import sys
import weakref
import webbrowser
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import panel as pn
from bokeh.document import Document

from explorer import assets, joining, late
from explorer.app import Opening, Page
from explorer.channel import FIRST_SECONDS, Soon
from explorer.errors import ExplorerError
from explorer.live import LivePage

TRIES = 20

_open: weakref.WeakSet[Page] = weakref.WeakSet()

_TURN_SECONDS = 0.0005
"""How long a thread may compute before another gets its turn: the page must be answered while JAX is imported."""

_GRACE_SECONDS = 1.5
"""How long JAX waits to be imported for a first page to be asked for: served first, it is painted while JAX comes."""

_LIFETIME_MS = 4000
"""How long a tab may be away (a reload, a sleeping phone) before its session ends."""


def serve(opening: Opening, port: int, address: str = "127.0.0.1", browser: bool = True) -> None:
    """Serve until interrupted; prints the address once it answers."""
    free = free_port(address, port)
    if free != port:
        print(f"Port {port} is in use; taking {free}.")
    server = start(opening, free, address)
    sys.setswitchinterval(_TURN_SECONDS)
    server.io_loop.call_later(_GRACE_SECONDS, late.begin, "explorer.opening")
    url = f"http://{'localhost' if address in ('', '0.0.0.0') else address}:{free}/"
    print(f"Backprop Explorer is at {url}   (Ctrl+C stops it)", flush=True)
    if browser:
        webbrowser.open(url)
    with contextlib.suppress(KeyboardInterrupt):
        server.io_loop.start()  # Panel ends it on Ctrl+C
    print("Stopped.")
    for page in list(_open):  # what they compute must not outlive the server
        page.close()
    server.stop()


def start(opening: Opening, port: int, address: str = "127.0.0.1") -> Any:
    """A server that listens but whose loop doesn't run yet."""

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
        extra_patterns=joining.PATTERNS,
        unused_session_lifetime_milliseconds=_LIFETIME_MS,
        check_unused_sessions_milliseconds=1000,
    )
    server.start()  # without it no session of a closed tab would end
    return server


def free_port(address: str, wanted: int) -> int:
    """The port asked for, or the next one that is free.

    Raises:
        ExplorerError: none of the next twenty is.
    """
    last = min(wanted + TRIES - 1, 65535)
    for port in range(wanted, last + 1):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise ExplorerError(f"Can't listen on {address}:{port}: {error.strerror}.") from error
                continue
            return port
    raise ExplorerError(f"Ports {wanted} to {last} are all in use; name another with --port.")


def make_page(opening: Opening, soon: Soon) -> pn.Template:
    """A page for a new tab."""
    document = pn.state.curdoc
    own = dataclasses.replace(opening, query=_query(document))
    page = LivePage(opening.feed, opening, document, soon) if opening.feed else Page(own, document, soon)
    pn.state.onload(page.channel.opened)
    template = pn.Template(assets.text("page.html"))
    template.add_variable("page_css", assets.variables() + assets.text("page.css") + assets.text("lesson.css"))
    template.add_variable("words", assets.words())
    template.add_variable("live", bool(opening.feed))  # a loop elsewhere has no lessons
    template.add_variable("languages", assets.LANGUAGES)
    template.add_panel("graph", page.shows.graph)
    template.add_panel("room", page.shows.room)
    template.add_panel("setup", page.shows.setup)
    template.add_panel("lesson", page.shows.course)
    template.add_panel("classroom", page.hosting.view)
    _open.add(page)
    pn.state.on_session_destroyed(lambda context: page.close())
    return template


def _query(document: Document) -> str:
    """The query of the address that a page was asked for at."""
    given = document.session_context.request.arguments if document.session_context else {}
    return urlencode({name: [value.decode("utf-8", "replace") for value in given[name]] for name in given}, doseq=True)
