"""A session for a new page, and what the process does once for all of them."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import jax

from engine import devices
from engine.errors import EngineError
from explorer.dot_process import open_engine, shared_engine
from explorer.limits import NONE, Limits
from explorer.options import only_dials, settings
from explorer.place import Place, read
from explorer.session import Session
from explorer.target import Target, load


def open_session(target: str | Target = "", graphviz: str = "bundled") -> Session:
    """A session for a new page: of one's own function, or of the first task."""
    return follow("", target, graphviz)[0]


def follow(
    query: str, target: str | Target = "", graphviz: str = "bundled", local: bool = True, limits: Limits = NONE
) -> tuple[Session, Place]:
    """A session for a new page, and where a link leads on it.

    Args:
        query: of the address that was asked for; what can't be followed in it is said in the place.
        target: one's own function, which is shown unless the link names a task.
        graphviz: which Graphviz lays the graph out.
        local: whether only people at this machine see the page: then a link can name a file.
        limits: of what the page may ask for.
    """
    prepare()
    engine = shared_engine() if graphviz == "bundled" else open_engine(graphviz)
    own = target if isinstance(target, Target) else load(target) if target else None
    place = read(query, own.name if own else "")
    refused = _refused(place, own, local)
    if not refused:
        try:
            return Session(place.settings, own if place.function else None, engine, limits), place
        except EngineError as error:
            refused = str(error)
    return Session(target=own, engine=engine, limits=limits), Place(said=(*place.said, refused))


def _refused(place: Place, own: Target | None, local: bool) -> str:
    """Why a link can't be followed at all; or nothing."""
    if place.settings.csv and not local:
        return "The link names a file, and files can be named only on a page that is served to this machine alone."
    if place.function and (own is None or own.name != place.function):
        serve = "backprop-explorer serve MODULE:FUNCTION"
        return f"The link shows the function {place.function[:40]!r}, which isn't served here: {serve} serves it."
    return ""


def session_of(target: str, chosen: Mapping[str, Any], graphviz: str = "bundled") -> Session:
    """A session for a command: of a task with some settings chosen, or of one's own function.

    Raises:
        EngineError, ExplorerError: one sentence about what can't be.
    """
    if not target:
        prepare()
        engine = shared_engine() if graphviz == "bundled" else open_engine(graphviz)
        return Session(settings(chosen), engine=engine)
    session = open_session(target, graphviz)
    if dials := only_dials(chosen, "One's own function brings its data along."):
        session.choose(**dials)
    return session


def prepare() -> None:
    """What a process does before it compiles the first step."""
    devices.settle()
    _remember_compiled()


def _remember_compiled() -> None:
    """Keep compiled steps between runs, in the user's cache folder: the second start needs no compiler.

    Who has told JAX a folder of their own keeps it.
    """
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    # compiled for this very machine: a home folder may be shared with others
    folder = os.path.join(base, "backprop-explorer", f"{platform.node()}-{platform.machine()}-jax{jax.__version__}")
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
