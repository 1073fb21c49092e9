"""Pictures and people: the layout of a graph, the page that shows a pass on it, and the command line.

``explorer.show(loss, params, x, y)`` shows a function, ``explorer.watch(loss)`` watches a training loop of one's own,
``explorer.save(..., "page.html")`` keeps a page as one file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from explorer import late

if TYPE_CHECKING:
    from explorer.exporting import save as save
    from explorer.notebook import show as show
    from explorer.watching import watch as watch

__all__ = ["save", "show", "watch"]

_FOUND_IN = {"save": "explorer.exporting", "show": "explorer.notebook", "watch": "explorer.watching"}
"""What can be had of this package, and the module that it is loaded from when it is asked for: JAX takes seconds."""


def __getattr__(name: str) -> Any:
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(late.load(_FOUND_IN[name]), name)
