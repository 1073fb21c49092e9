"""A process of its own that lays graphs out: a line of JSON (DOT text, seconds) comes in, a line of JSON goes out.

Who needs longer than so many seconds is ended by the system. Only what is computed counts: a machine that is busy
elsewhere, with a whole class that opens the page, makes no graph larger.

``pygraphviz`` loads all of Graphviz, and with it what draws text and pictures, which wants GLib and X11 of the system.
A server or a container often has neither. There the libraries of its wheel are called that lay out and write JSON; they
want nothing, and answer the same, as no box of ours holds text.
"""

import ctypes
import importlib
import importlib.util
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def by_pygraphviz() -> Callable[[str], str]:
    """What lays out a DOT text, where the whole of Graphviz can be loaded."""
    pygraphviz = importlib.import_module("pygraphviz")

    def lay_out(text: str) -> str:
        drawn = pygraphviz.AGraph(string=text).draw(format="json0", prog="dot")
        return drawn.decode() if isinstance(drawn, bytes) else str(drawn)

    return lay_out


class Symbol(ctypes.Structure):
    """A plugin of Graphviz, by name."""

    _fields_ = (("name", ctypes.c_char_p), ("address", ctypes.c_void_p))


def by_its_libraries() -> Callable[[str], str]:
    """The same by those of the wheel's libraries that it takes to lay out and to write JSON.

    Raises:
        ImportError: they aren't there.
    """
    names = ("cgraph", "gvc", "gvplugin_dot_layout", "gvplugin_core")
    try:
        cgraph, gvc, layout, core = (ctypes.CDLL(str(_library(name))) for name in names)
    except OSError as error:
        raise ImportError(str(error)) from None
    plugins = [
        Symbol(f"{name}_LTX_library".encode(), ctypes.addressof(ctypes.c_char.in_dll(library, f"{name}_LTX_library")))
        for name, library in zip(names[2:], (layout, core), strict=True)
    ]
    builtins = (Symbol * (len(plugins) + 1))(*plugins)
    for function in (cgraph.agmemread, gvc.gvContextPlugins):
        function.restype = ctypes.c_void_p
    cgraph.aglasterr.restype = ctypes.c_char_p
    cgraph.agseterr(_NEVER)  # what is wrong is asked for, not printed
    context = ctypes.c_void_p(gvc.gvContextPlugins(builtins, 0))

    def lay_out(text: str) -> str:
        graph = ctypes.c_void_p(cgraph.agmemread(text.encode()))
        if not graph:
            raise ValueError(f"Invalid DOT text: {(cgraph.aglasterr() or b'').decode().strip()}")
        try:
            drawn, length = ctypes.c_void_p(), ctypes.c_size_t()
            failed = gvc.gvLayout(context, graph, b"dot") or gvc.gvRenderData(
                context, graph, b"json0", ctypes.byref(drawn), ctypes.byref(length)
            )
            if failed:
                raise ValueError((cgraph.aglasterr() or b"it did not say why").decode().strip())
            found = ctypes.string_at(drawn, length.value).decode()
            gvc.gvFreeRenderData(drawn)
            return found
        finally:
            gvc.gvFreeLayout(context, graph)
            cgraph.agclose(graph)

    _kept.append(builtins)
    return lay_out


_NEVER = 2

_kept: list[Any] = []
"""What Graphviz goes on pointing to."""


def _library(name: str) -> Path:
    spec = importlib.util.find_spec("pygraphviz")
    if spec is None or spec.origin is None:
        raise ImportError("pygraphviz isn't installed")
    beside = Path(spec.origin).parent.with_name("pygraphviz.libs")
    found = sorted(beside.glob(f"lib{name}-*.so*"))
    if not found:
        raise ImportError(f"no library {name} in {beside}")
    return found[0]


def opened() -> Callable[[str], str]:
    """What lays out here."""
    try:
        return by_pygraphviz()
    except ImportError:
        try:
            return by_its_libraries()
        except ImportError:
            pass
        raise  # what keeps the whole from being loaded is what one can mend


LONGEST = 120
"""Seconds after which a layout ends the process: whoever asked has died without stopping it."""


def limit(seconds: float, longest: int) -> None:
    """End the process after so many seconds of computing, or by the clock; 0: not at all. Windows can't."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.alarm(longest)


def answer(lay_out: Callable[[str], str], text: str) -> dict[str, str]:
    """Graphviz's answer to one DOT text, or what it said against it."""
    try:
        return {"json": lay_out(text)}
    except (OSError, ValueError, SystemError) as error:
        return {"error": str(error)}


if __name__ == "__main__":
    engine = opened()
    for line in sys.stdin:
        asked, seconds = json.loads(line)
        limit(seconds, LONGEST)
        sys.stdout.write(json.dumps(answer(engine, asked)) + "\n")
        sys.stdout.flush()
        limit(0, 0)
