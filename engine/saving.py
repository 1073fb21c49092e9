"""Save a run in a folder, and open it again: the training then goes on as if it had never stopped.

The folder is described in :mod:`engine.store`. Its values are

- ``settings``: what the problem was made of; ``step``; ``title``;
- ``parameters``: name, shape and type of each parameter's leaf; ``data``: SHA-256 of the examples;
- ``nodes``: what is measured; ``events``: step, controls, ``every``, text, split;
- ``tracks``: the stride of each; ``snapshots``: their steps; ``gap``: between them; ``test_every``;
- ``versions``: of JAX, Optax and NumPy;

and its parts are ``state``, ``snapshot <step>`` (arrays ``params.0`` …, ``memory.0`` … in flattening order) and
``track <name>`` (the fields of :class:`engine.track.Columns`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from engine import store
from engine.loop import TrainState
from engine.optimisers import Controls
from engine.runs import Event, Run
from engine.shares import Split
from engine.snapshots import Snapshots
from engine.store import Arrays, StoreError
from engine.tasks.catalogue import problem
from engine.tasks.problem import Problem
from engine.tasks.settings import Settings
from engine.trace import is_array
from engine.track import FIELDS, Columns

_DAMAGE = (ValueError, TypeError, KeyError, IndexError, AttributeError)


@dataclasses.dataclass(frozen=True, eq=False)
class Opened:
    """A run from a folder."""

    run: Run
    settings: dict[str, Any]
    notes: tuple[str, ...]
    """What one should know: that the last save was damaged, or made by other versions."""


def save(run: Run, folder: str | os.PathLike[str], settings: object = None) -> None:
    """Save a run; what was saved in the folder before stays whole until this is.

    Args:
        run: what to save.
        folder: is made if it isn't there.
        settings: what the problem was made of, a dataclass of plain values; needed to open without a problem.

    Raises:
        StoreError: the folder can't be written.
    """
    values = {
        "settings": _plain(settings),
        "step": run.state.step,
        "title": run.problem.title,
        "parameters": _parameters(run),
        "data": _digest(run.problem),
        "nodes": None if run.loop.nodes is None else list(run.loop.nodes),
        "events": [dataclasses.asdict(event) for event in run.events],
        "tracks": {name: track.stride for name, track in run.history.tracks.items()},
        "snapshots": [state.step for state in run.snapshots.states],
        "gap": run.snapshots.gap,
        "test_every": run.test_every,
        "versions": _versions(),
    }
    parts = {"state": _arrays(run.state)}
    parts |= {f"snapshot {state.step}": _arrays(state) for state in run.snapshots.states}
    tracks = run.history.tracks.items()
    parts |= {f"track {name}": {field: getattr(track.columns, field) for field in FIELDS} for name, track in tracks}
    store.write(folder, values, parts)


def open_run(folder: str | os.PathLike[str], given: Problem | None = None) -> Opened:
    """Open what was saved last, or, if that is damaged, what was saved before.

    Args:
        folder: what a run was saved in.
        given: the problem; unless given it is made from the settings that were saved.

    Raises:
        StoreError: there is no run in the folder, it is damaged or of a newer version, or the problem is another one.
        SettingsError: the settings that were saved don't make a problem here.
    """
    values, parts, note = store.read(folder)
    try:
        run = _run(values, parts, given or _problem(values["settings"]))
        settings, versions = dict(values["settings"]), dict(values["versions"])
    except StoreError:
        raise
    except _DAMAGE as error:
        text = f"The run in {os.fspath(folder)} can't be opened: {type(error).__name__}, {error}."
        raise StoreError(f"{text} It was written by something else than Backprop Explorer.") from error
    return Opened(run, settings, tuple(filter(None, (note, _other(versions)))))


# ---- one way -------------------------------------------------------------------------------------------------------


def _plain(settings: object) -> dict[str, Any]:
    if isinstance(settings, Mapping):
        return dict(settings)
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        return dataclasses.asdict(settings)
    return {}


def _arrays(state: TrainState) -> Arrays:
    found = {"params": jax.tree.leaves(state.params), "memory": jax.tree.leaves(state.optimiser)}
    return {f"{name}.{index}": _storable(leaf) for name, own in found.items() for index, leaf in enumerate(own)}


def _storable(leaf: Any) -> Any:
    """bfloat16 and its like are no types of NumPy's files: their bits are kept."""
    array = np.asarray(leaf)
    return array if array.dtype.kind in "biufc" else array.view(f"u{array.dtype.itemsize}")


def _parameters(run: Run) -> list[Any]:
    leaves = jax.tree.leaves(run.state.params)
    found = zip(run.loop.names, leaves, strict=True)
    return [[name, list(leaf.shape), str(leaf.dtype)] for name, leaf in found]


def _digest(given: Problem) -> str:
    sums = hashlib.sha256()
    for leaf in filter(is_array, jax.tree.leaves((given.examples, given.held_out))):
        array = np.asarray(leaf)
        sums.update(f"{array.dtype}{array.shape}".encode())
        sums.update(np.ascontiguousarray(array).tobytes())
    return sums.hexdigest()


def _versions() -> dict[str, str]:
    return {"jax": jax.__version__, "optax": optax.__version__, "numpy": np.__version__}


# ---- and back ------------------------------------------------------------------------------------------------------


def _problem(settings: Mapping[str, Any]) -> Problem:
    known = {field.name for field in dataclasses.fields(Settings)}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise StoreError(f"The run was saved with the setting {unknown[0]!r}, which this version doesn't know.")
    if not settings:
        raise StoreError("The run was saved without settings: give the problem that it trains.")
    return problem(Settings(**settings))


def _run(values: Mapping[str, Any], parts: Mapping[str, Arrays], given: Problem) -> Run:
    events = [_event(event) for event in values["events"]]
    nodes = values["nodes"]
    run = Run(
        given, events[0].controls, nodes if nodes is None else tuple(nodes), events[0].every, values["test_every"]
    )
    _check_same(run, values)
    run.events = events
    run.state = _state(run, values["step"], parts["state"], run.controls)
    steps = values["snapshots"]
    states = [_state(run, step, parts[f"snapshot {step}"], _before(events, step)) for step in steps]
    run.snapshots = Snapshots(states, values["gap"])
    for name, track in run.history.tracks.items():
        track.load(Columns(**parts[f"track {name}"]), values["tracks"][name])
    return run


def _event(found: Mapping[str, Any]) -> Event:
    controls = {**found["controls"], "frozen": tuple(found["controls"]["frozen"])}
    split = Split(**found.get("split", {})).checked()
    return Event(found["step"], Controls(**controls).checked(), found["every"], found["text"], split)


def _check_same(run: Run, values: Mapping[str, Any]) -> None:
    if _parameters(run) != values["parameters"]:
        raise StoreError(
            f"The run was saved of {values['title']} with {_listed(values['parameters'])}; "
            f"the problem here has {_listed(_parameters(run))}. Open it with the problem that it was saved with."
        )
    if _digest(run.problem) != values["data"]:
        raise StoreError(f"The data of {values['title']} are not those that the run was trained on. Restore them.")


def _listed(parameters: list[Any]) -> str:
    return ", ".join(f"{name} {dtype}{list(shape)}" for name, shape, dtype in parameters)


def _state(run: Run, step: int, arrays: Arrays, controls: Controls) -> TrainState:
    """The state whose arrays these are, in the form that the controls ask for."""
    like = run.loop.start(controls)
    params, memory = (
        _filled(tree, name, arrays) for tree, name in ((like.params, "params"), (like.optimiser, "memory"))
    )
    return TrainState(params, memory, int(step))


def _filled(tree: Any, name: str, arrays: Arrays) -> Any:
    leaves, form = jax.tree.flatten(tree)
    return jax.tree.unflatten(form, [_leaf(arrays[f"{name}.{i}"], like) for i, like in enumerate(leaves)])


def _leaf(array: Any, like: Any) -> Any:
    found = array if like.dtype.kind in "biufc" else array.view(like.dtype)
    if (found.shape, found.dtype) != (like.shape, like.dtype):
        raise ValueError(f"an array is {found.dtype}{list(found.shape)} instead of {like.dtype}{list(like.shape)}")
    return jnp.asarray(found)


def _before(events: list[Event], step: int) -> Controls:
    """The controls that a step was reached with: what was changed at the step itself came after."""
    return [events[0], *(event for event in events if event.step < step)][-1].controls


def _other(versions: Mapping[str, Any]) -> str:
    """What to say where other versions took the steps so far."""
    here = _versions()
    other = [f"{name} {there}" for name, there in versions.items() if here.get(name) != there]
    if not other:
        return ""
    return (
        f"This run was trained with {', '.join(other)}; from here on the last digits may differ from what it would do."
    )
