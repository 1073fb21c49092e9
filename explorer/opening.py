"""A session for a new page, and what the process does once for all of them."""

from __future__ import annotations

import os
import platform

import jax

from explorer.dot_process import open_engine, shared_engine
from explorer.session import Session
from explorer.target import Target, load


def open_session(target: str | Target = "", graphviz: str = "bundled") -> Session:
    """A session for a new page: of one's own function, or of the first task."""
    remember_compiled()
    engine = shared_engine() if graphviz == "bundled" else open_engine(graphviz)
    own = target if isinstance(target, Target) else load(target) if target else None
    return Session(target=own, engine=engine)


def remember_compiled() -> None:
    """Keep compiled steps between runs, in the user's cache folder: the second start needs no compiler."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    # compiled for this very machine: a home folder may be shared with others
    folder = os.path.join(base, "backprop-explorer", f"{platform.node()}-{platform.machine()}-jax{jax.__version__}")
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
