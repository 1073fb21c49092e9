"""``explorer.show``: one's own function as a graph, in a notebook or, from a script, on a page of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from engine.errors import EngineError
from engine.trace import in_floats
from explorer import late
from explorer.errors import ExplorerError
from explorer.handle import View
from explorer.session import Session
from explorer.target import Target

PORT = 5006


def show(fun: Callable[..., Any], *args: Any) -> View | None:
    """Show a function with its pass: every value and gradient, forward and backward, out of the one jitted step.

    In a notebook, let what it returns be the last line of a cell. In a script, the page is served on this machine and
    opened, until Ctrl+C.

    Args:
        fun: a loss: it returns one number.
        *args: what it is called on; the first is differentiated, and trained.

    Returns:
        The view, to be read and moved from Python; nothing in a script.

    Raises:
        EngineError: the function can't be traced, or its result is no single number.
        ExplorerError: something that a notebook needs isn't installed.
    """
    if not args:
        raise ExplorerError("show needs what the function is called on: show(loss, params, x, y).")
    target = Target(getattr(fun, "__name__", type(fun).__name__), *in_floats(fun, args))
    if not in_notebook():
        late.load("explorer.server").serve(late.load("explorer.app").Opening(target), PORT)
        return None
    widget = _widget()
    try:
        session = Session(target=target)
        session.name_sources(_cell)
        return View(session, widget)
    except EngineError as error:  # where in the engine it was raised tells a reader nothing
        raise error.with_traceback(None) from None


def in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook."""
    return hasattr(_shell(), "kernel")


def _cell(source: str) -> str:
    """``In[3]:7`` for the seventh line of the third cell; any other place as it is."""
    path, _, line = source.rpartition(":")
    known = _shell().compile.format_code_name(path) if path else None
    return f"{known[1]}:{line}" if known else source


def _shell() -> Any:
    """IPython's shell, if this is one."""
    found = sys.modules.get("IPython")
    return found.get_ipython() if found else None


def _widget() -> Any:
    try:
        return late.load("explorer.views.widget").GraphWidget
    except ModuleNotFoundError as error:
        raise ExplorerError(
            f"A notebook needs {error.name!r}, which is not installed: pip install 'backprop-explorer[notebook]'."
        ) from error
