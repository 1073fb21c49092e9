"""What there is on this machine: versions, devices, Graphviz; and of what is missing how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import jax

from engine import compat, devices, kernel
from engine.version import __version__
from explorer.dot_process import open_engine
from explorer.errors import ExplorerError

Plain = dict[str, Any]

NEEDED = ("jax", "jaxlib", "numpy", "optax", "panel", "bokeh", "pygraphviz", "scikit-learn")
EXTRAS = {
    "flax": ("flax", "a model written in Flax"),
    "equinox": ("equinox", "a model written in Equinox"),
    "anywidget": ("notebook", "the view in a notebook"),
    "pyarrow": ("parquet", "export as Parquet"),
    "tensorboard": ("tensorboard", "event files"),
    "orbax": ("cluster", "runs of several processes that are saved"),
}
"""Libraries that may be missing, each with the extra that brings it and what it is for."""

_DRAWING = "digraph { a -> b }"


def examined() -> Plain:
    """What there is, as plain data.

    Returns:
        ``ok``: whether the page works; ``versions``; ``devices``, each with ``platform``, ``name``, ``count``,
        ``memory`` (bytes; ``null`` where JAX doesn't say); ``graphviz``: ``bundled`` and ``system``; ``statistics``:
        how those of watched steps are made; ``extras``: whether each is there; ``missing``: sentences.
    """
    bundled, system = _draws("bundled"), bool(shutil.which("dot"))
    extras = {name: importlib.util.find_spec(name) is not None for name in EXTRAS}
    idle = devices.idle_accelerator()
    return {
        "ok": not bundled,
        "versions": _versions(),
        "devices": [vars(kind) | {"text": str(kind)} for kind in devices.kinds()],
        "graphviz": {"bundled": not bundled, "system": system},
        "statistics": "in one pass, by the library in C++" if kernel.available() else "by XLA",
        "extras": extras,
        "missing": [
            *([bundled] if bundled else []),
            *([devices.advice(idle)] if idle else []),
            *_slow(),
            *(_lacks(name) for name, there in extras.items() if not there),
        ],
    }


def _versions() -> dict[str, str]:
    found = {"backprop-explorer": __version__, "Python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in NEEDED}


def _draws(graphviz: str) -> str:
    """Why a graph can't be laid out here; or nothing."""
    engine = open_engine(graphviz)
    try:
        engine.lay_out(_DRAWING)
    except ExplorerError as error:
        said = _import_error() if graphviz == "bundled" else ""
        reason = f"pygraphviz can't be imported: {said}" if said else str(error).rstrip(".")
        return f"{reason}. pip install --force-reinstall pygraphviz brings the libraries anew."
    finally:
        engine.close()
    return ""


def _import_error() -> str:
    """Why the worker that draws can't begin: a library that the system lacks, say."""
    tried = subprocess.run([sys.executable, "-c", "import pygraphviz"], capture_output=True, text=True, check=False)
    return (tried.stderr.strip().splitlines() or [""])[-1].rstrip(".") if tried.returncode else ""


def _slow() -> list[str]:
    """What makes watching slower than it need be."""
    if kernel.loaded() or compat.platform() not in kernel.SOURCES or jax.device_count() > 1:
        return []
    return [
        "Watched steps are slower than they need be: python -m engine.build_kernel mends that, with a C++ compiler."
    ]


def _lacks(name: str) -> str:
    extra, purpose = EXTRAS[name]
    return f"For {purpose}: pip install 'backprop-explorer[{extra}]'."


def report(found: Mapping[str, Any]) -> str:
    """The same as text for a terminal."""
    size = max(map(len, found["versions"]))
    lines = [f"{name:{size}}  {version}" for name, version in found["versions"].items()]
    graphviz = "bundled works" if found["graphviz"]["bundled"] else "bundled DOES NOT WORK"
    system = "the system has one too" if found["graphviz"]["system"] else "none in the system, and none is needed"
    lines += [
        "",
        *(f"{'computed on':{size}}  {kind['text']}" for kind in found["devices"]),
        f"{'Graphviz':{size}}  {graphviz}; {system}",
        f"{'statistics':{size}}  {found['statistics']}",
    ]
    missing = [f"- {sentence}" for sentence in found["missing"]]
    return "\n".join([*lines, "", *(["What is missing"] if missing else ["Nothing is missing."]), *missing])
