"""Save a run in a folder, and open it again: the training then goes on as if it had never stopped.

The folder is described in :mod:`engine.store`. Its values are

- ``settings``: what the problem was made of; ``step``; ``title``;
- ``parameters``: name, shape and type of each parameter's leaf; ``data``: SHA-256 of the examples;
- ``nodes``: what is measured; ``events``: step, controls, ``every``, text, split;
- ``tracks``: the stride of each; ``snapshots``: their steps; ``gap``: between them; ``test_every``;
- ``versions``: of JAX, Optax and NumPy;

and its parts are ``state``, ``snapshot <step>`` (arrays ``params.0`` …, ``memory.0`` … in flattening order) and
``track <name>`` (the fields of :class:`engine.track.Columns`).

Where several processes train, no one of them need hold a whole state, and none should wait until it is on the disk.
Then ``state`` and the snapshots are no parts: the value ``states`` says of each where Orbax has written it (``3/0``:
folder ``states/3``, arrays ``0.params.0`` …). All else is the same; either kind is opened by one process or by many.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from engine import checkpoints, cluster, store
from engine.loop import TrainState
from engine.optimisers import Controls
from engine.runs import Event, Run
from engine.shares import Split
from engine.snapshots import Snapshots
from engine.store import Arrays, StoreError
from engine.tasks.catalogue import problem
from engine.tasks.problem import Problem, digest
from engine.tasks.settings import Settings
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
    parts = {"state": _arrays(run.state)}
    parts |= {f"snapshot {state.step}": _arrays(state) for state in run.snapshots.states}
    store.write(folder, _values(run, settings), parts | _tracks(run))


class Saver:
    """Saves a run of several processes time and again while it goes on; all of them must call it alike.

    Each process writes its own part of the states. What was saved before stays whole until all have written all of it.
    """

    def __init__(self, folder: str | os.PathLike[str], settings: object = None) -> None:
        """Begin; nothing is written yet.

        Args:
            folder: on a disk that all processes see; it is made if it isn't there.
            settings: what the problem was made of.

        Raises:
            CheckpointsError: Orbax isn't installed.
        """
        self._folder, self._settings = Path(folder), settings
        self._writer = checkpoints.Writer()
        numbers = [int(state.name.partition(".")[0]) for state in store.states(folder)]
        (self._next,) = cluster.agreed(max(numbers, default=-1) + 1)
        self._places: dict[TrainState, str] = {}
        self._committing: threading.Thread | None = None
        self._trouble: StoreError | None = None

    def save(self, run: Run) -> None:
        """Begin to save a run as it is; what was begun before is waited for.

        Raises:
            StoreError: the folder can't be written.
        """
        self.wait()
        states = dict.fromkeys([*run.snapshots.states, run.state])
        self._begin([state for state in states if state not in self._places])
        self._places = {state: self._places[state] for state in states}
        if cluster.first():
            values = _values(run, self._settings) | {"states": self._named(run)}
            tracks = {
                name: {key: np.array(column) for key, column in track.items()} for name, track in _tracks(run).items()
            }
            self._committing = threading.Thread(target=self._commit, args=(values, tracks), name="saving")
            self._committing.start()

    def wait(self) -> None:
        """Wait until what was begun is saved.

        Raises:
            StoreError: it couldn't be.
        """
        if self._committing is None:
            self._finish()
        else:
            self._committing.join()
        if self._trouble is not None:
            raise self._trouble

    def _begin(self, states: list[TrainState]) -> None:
        """Write states together, in one folder more."""
        if not states:
            return
        leaves = {
            f"{index}.{name}": cluster.divided(leaf)
            for index, state in enumerate(states)
            for name, leaf in _leaves(state).items()
        }
        try:
            (self._folder / store.STATES).mkdir(parents=True, exist_ok=True)  # Orbax would try for minutes
            self._writer.begin(self._folder / store.STATES / str(self._next), leaves)
        except OSError as error:
            raise self._refused(error) from error
        self._places |= {state: f"{self._next}/{index}" for index, state in enumerate(states)}
        self._next += 1

    def _named(self, run: Run) -> dict[str, str]:
        snapshots = {f"snapshot {state.step}": self._places[state] for state in run.snapshots.states}
        return {"state": self._places[run.state]} | snapshots

    def _commit(self, values: dict[str, Any], tracks: dict[str, Arrays]) -> None:
        self._finish()
        if self._trouble is None:
            try:
                store.write(self._folder, values, tracks)
            except StoreError as error:
                self._trouble = error

    def _finish(self) -> None:
        try:
            self._writer.wait()
        except OSError as error:
            self._trouble = self._refused(error)

    def _refused(self, error: OSError) -> StoreError:
        reason = error.strerror or str(error)
        return StoreError(f"The run could not be saved in {self._folder}: {reason}. What was saved before is whole.")


def open_run(folder: str | os.PathLike[str], given: Problem | None = None) -> Opened:
    """Open what was saved last, or, if that is damaged, what was saved before.

    Args:
        folder: what a run was saved in.
        given: the problem; unless given it is made from the settings that were saved.

    Raises:
        StoreError: there is no run in the folder, it is damaged or of a newer version, or the problem is another one.
        SettingsError: the settings that were saved don't make a problem here.
    """
    try:
        return _opened(folder, store.read(folder), given)
    except checkpoints.DamageError as error:
        return _opened(folder, store.older(folder, str(error)), given)


_Found = tuple[dict[str, Any], dict[str, Arrays], str]


def _opened(folder: str | os.PathLike[str], found: _Found, given: Problem | None) -> Opened:
    values, parts, note = found
    try:
        run = _run(folder, values, parts, given or _problem(values["settings"]))
        settings, versions = dict(values["settings"]), dict(values["versions"])
    except (StoreError, checkpoints.DamageError):
        raise
    except _DAMAGE as error:
        text = f"The run in {os.fspath(folder)} can't be opened: {type(error).__name__}, {error}."
        raise StoreError(f"{text} It was written by something else than Backprop Explorer.") from error
    return Opened(run, settings, tuple(filter(None, (note, _other(versions)))))


def _values(run: Run, settings: object) -> dict[str, Any]:
    return {
        "settings": _plain(settings),
        "step": run.state.step,
        "title": run.problem.title,
        "parameters": _parameters(run),
        "data": digest((run.problem.examples, run.problem.held_out)),
        "nodes": None if run.loop.nodes is None else list(run.loop.nodes),
        "events": [dataclasses.asdict(event) for event in run.events],
        "tracks": {name: track.stride for name, track in run.history.tracks.items()},
        "snapshots": [state.step for state in run.snapshots.states],
        "gap": run.snapshots.gap,
        "test_every": run.test_every,
        "versions": _versions(),
    }


# ---- one way -------------------------------------------------------------------------------------------------------


def _plain(settings: object) -> dict[str, Any]:
    if isinstance(settings, Mapping):
        return dict(settings)
    if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
        return dataclasses.asdict(settings)
    return {}


def _tracks(run: Run) -> dict[str, Arrays]:
    tracks = run.history.tracks.items()
    return {f"track {name}": {field: getattr(track.columns, field) for field in FIELDS} for name, track in tracks}


def _leaves(state: TrainState) -> Arrays:
    found = {"params": jax.tree.leaves(state.params), "memory": jax.tree.leaves(state.optimiser)}
    return {f"{name}.{index}": leaf for name, own in found.items() for index, leaf in enumerate(own)}


def _arrays(state: TrainState) -> Arrays:
    return {name: _storable(leaf) for name, leaf in _leaves(state).items()}


def _storable(leaf: Any) -> Any:
    """bfloat16 and its like are no types of NumPy's files: their bits are kept."""
    array = np.asarray(leaf)
    return array if array.dtype.kind in "biufc" else array.view(f"u{array.dtype.itemsize}")


def _parameters(run: Run) -> list[Any]:
    leaves = jax.tree.leaves(run.state.params)
    found = zip(run.loop.names, leaves, strict=True)
    return [[name, list(leaf.shape), str(leaf.dtype)] for name, leaf in found]


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


def _run(folder: str | os.PathLike[str], values: Mapping[str, Any], parts: Mapping[str, Arrays], given: Problem) -> Run:
    events = [_event(event) for event in values["events"]]
    nodes = values["nodes"]
    run = Run(
        given, events[0].controls, nodes if nodes is None else tuple(nodes), events[0].every, values["test_every"]
    )
    _check_same(run, values)
    run.events = events
    places = values.get("states", {})

    def state(part: str, step: int, controls: Controls) -> TrainState:
        like = run.loop.start(controls)
        found = _together(folder, places[part], like) if places else parts[part]
        return TrainState(*_filled(like, found), int(step))

    run.state = state("state", values["step"], run.controls)
    steps = values["snapshots"]
    states = [state(f"snapshot {step}", step, _before(events, step)) for step in steps]
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
    if digest((run.problem.examples, run.problem.held_out)) != values["data"]:
        raise StoreError(f"The data of {values['title']} are not those that the run was trained on. Restore them.")


def _listed(parameters: list[Any]) -> str:
    return ", ".join(f"{name} {dtype}{list(shape)}" for name, shape, dtype in parameters)


def _together(folder: str | os.PathLike[str], place: str, like: TrainState) -> Arrays:
    """The arrays of a state that several processes wrote together."""
    number, index = store.place_of(place)
    wanted = {f"{index}.{name}": leaf for name, leaf in _leaves(like).items()}
    found = checkpoints.restored(Path(folder) / store.STATES / number, wanted)
    return {name.partition(".")[2]: array for name, array in found.items()}


def _filled(like: TrainState, arrays: Arrays) -> tuple[Any, Any]:
    """Parameters and memory in the form of a state, made of these arrays."""
    names = iter(_leaves(like))
    params, memory = (
        jax.tree.map(lambda leaf: _leaf(arrays[next(names)], leaf), tree) for tree in (like.params, like.optimiser)
    )
    return params, memory


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
