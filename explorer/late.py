"""Late imports, by name, in one place: the first page is served while JAX is still being imported.

Importing JAX takes as long as everything that the server itself needs; a browser takes as long again to load the page.
Doing one after the other would double the time to the first picture.
"""

from __future__ import annotations

import gc
import importlib
import threading
from types import ModuleType

_one_at_a_time = threading.RLock()


def load(name: str) -> ModuleType:
    """The module of this name, imported now if it hasn't been; no two threads import at once."""
    with _one_at_a_time:
        return importlib.import_module(name)


def hurry() -> None:
    """Collect no garbage while modules are imported by the hundred: there is none, and looking takes a tenth more."""
    gc.disable()


def calm() -> None:
    """The start is over: what is there stays, and garbage is collected as usual. Only the first time: what comes later,
    another page say, will go.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def begin(name: str) -> threading.Thread:
    """Start importing a module beside whatever else happens."""
    thread = threading.Thread(target=load, args=(name,), name=f"import {name}", daemon=True)
    thread.start()
    return thread
