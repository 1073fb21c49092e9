"""The training room without a screen: the same run, and what the page shows of it as plain data.

What is printed with ``--json`` is one object, in strict JSON:

- ``title``; ``settings``: all of them, empty for a function of one's own; ``step``: how many were taken;
  ``devices``: over how many each was divided at last; ``micro_batches`` that each of them took at least;
  ``divided_memory``: whether each remembered a slice of the optimiser's memory only;
- ``loss``: of every step from number ``start`` on, each on its own batch, before its update. ``start`` is 0, but for a
  run that was opened with more than 1,000 steps: then it is where it was opened;
- ``accuracy``: ``train`` and ``test``, after the last step;
- ``tests``: losses and accuracies on fixed examples, after each number of ``steps``, ``null`` where the task has none;
- ``profile``: ``layers``, the first first, ``steps``, and ``gradient_rms``, for each of these steps one list with the
  root mean square of the gradient at each layer's output; every step of the first 1,000, then every second, fourth, …;
- ``scaling``: ``factor`` that the loss of the next step is multiplied by, and how many steps were ``skipped`` because a
  gradient overflowed; ``null`` where the loss isn't scaled;
- ``findings``: :meth:`engine.health.Finding.plain`; empty for a healthy run.

A number that isn't finite is a string, ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``, which ``float`` and JavaScript's
``Number`` read as what it is; ``null`` is what was not measured. All others are written with the digits of their own
precision: read as float32 they are bit for bit those of the run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from tqdm import tqdm

from engine import cluster, optimisers, store
from engine.grad import value_and_grad
from engine.history import TESTS
from engine.loop import Records
from engine.numbers import short
from engine.optimisers import controls
from engine.probe import Probe
from engine.tasks import problem
from explorer.errors import ExplorerError
from explorer.keeping import reopened
from explorer.options import only_dials, settings
from explorer.room import OWN, Room, own_problem
from explorer.saves import Saves
from explorer.target import load

Array = Any

MOST = 10_000_000
"""Steps that can be asked for; the loss of each is kept."""

_PIECE = 0.2
"""Seconds that the steps between two looks at the clock should take."""

_OWN = "a function of one's own is trained as it is."
_KEPT = "the run that is opened keeps its settings."


class HeadlessError(ExplorerError):
    """What was asked for can't be trained."""


@dataclasses.dataclass(frozen=True)
class Order:
    """What to train, how far, and where it is kept."""

    steps: int
    chosen: Mapping[str, Any]
    """Settings that were given."""
    target: str = ""
    """``MODULE:FUNCTION`` instead of a task."""
    open: str = ""
    """Folder of a run to go on with."""
    save: str = ""
    """Folder to save the run in."""
    split: tuple[tuple[str, Any], ...] = ()
    """How each step is divided: fields of :class:`engine.shares.Split`; without them as it was, or not at all."""
    save_every: int = 0
    """Steps between two saves on the way; 0 for as it is usual (:class:`explorer.saves.Saves`)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """What became of an order."""

    room: Room
    start: int
    """Number of the first step whose loss is here."""
    losses: Array
    interrupted: bool = False
    notes: tuple[str, ...] = ()


class Follower(Protocol):
    """Whoever follows a training."""

    def tell(self, records: Records) -> None:
        """Some steps were taken; returns at once."""

    def close(self) -> None:
        """The training has ended."""


# ---- where it begins -----------------------------------------------------------------------------------------------


def begin(order: Order) -> tuple[Room, tuple[str, ...]]:
    """The run to train, new or opened, and what one should know of it.

    Raises:
        EngineError, ExplorerError: one sentence about what can't be.
    """
    if order.open:
        return _opened(order)
    if order.target:
        return _own(order), ()
    found = settings(order.chosen)
    return Room(problem(found), found), ()


def _own(order: Order) -> Room:
    dials = only_dials(order.chosen, _OWN)
    own = own_problem(load(order.target))
    watched = value_and_grad(own.fun, probe=Probe((), ("grad",), "stats"))  # its sentence about what is no loss
    jax.eval_shape(lambda params: watched(params, *own.batch(0))[0], *own.params)
    return Room(own, first=controls(dataclasses.replace(OWN, **dials)))


def _opened(order: Order) -> tuple[Room, tuple[str, ...]]:
    dials = only_dials(order.chosen, _KEPT)
    return reopened(order.open, load(order.target) if order.target else None, **dials)


# ---- the training --------------------------------------------------------------------------------------------------


def train(order: Order, follow: Callable[[Room], Follower] | None = None) -> Trained:
    """Train; a progress bar is on a terminal alone. Ctrl+C ends it after the step in work.

    Several processes train as one: each calls this with the same order, and goes on alone from its end.

    Args:
        order: what to train.
        follow: starts whoever follows it.

    Raises:
        EngineError, ExplorerError: one sentence about what can't be.
    """
    if not 0 <= order.steps <= MOST:
        raise HeadlessError(f"--steps is {order.steps}, and can be from 0 to {MOST:,}.")
    if order.save and cluster.first():
        _refuse_another(order.save, order.open)
    room, notes = begin(order)
    if cluster.several() and not cluster.alike(room.problem.start):
        raise HeadlessError(
            "The processes don't begin with the same parameters and examples: give what draws them at random a seed, "
            "and have all read the same files."
        )
    together = {"devices": jax.device_count()} if cluster.several() else {}
    if given := dict(order.split) | together:
        room.run.divide(dataclasses.replace(room.run.events[-1].split, **given))
    saves = Saves(room, order.save, order.save_every)
    start, known = _known(room)
    with _interruption() as asked, _followed(room, follow) as tell:
        losses = [known, *_losses(room, order.steps, asked, saves, tell)]
    trained = _ended(Trained(room, start, np.concatenate(losses), asked.is_set(), notes))
    saves.finish()
    if cluster.several():
        cluster.part()
    return trained


def _refuse_another(folder: str, opened: str) -> None:
    """A run is written over by its continuation only."""
    if os.path.exists(os.path.join(folder, store.NAME)) and not (opened and os.path.samefile(folder, opened)):
        raise HeadlessError(f"There is a run in {folder} already: go on with it by --open, or save in another folder.")


def _known(room: Room) -> tuple[int, Array]:
    """The losses that a run brings along, and the number of the first: all, or none where some are joined."""
    columns = room.run.history.loss()
    return (0, columns.last) if len(columns) == room.step else (room.step, columns.last[:0])


@contextlib.contextmanager
def _followed(room: Room, follow: Callable[[Room], Follower] | None) -> Iterator[Callable[[Records], None]]:
    """What is told of each piece of the training; process 0 tells."""
    if follow is None or not cluster.first():
        yield lambda records: None
        return
    with contextlib.closing(follow(room)) as follower:
        yield follower.tell


def _losses(
    room: Room, steps: int, asked: threading.Event, saves: Saves, tell: Callable[[Records], None]
) -> Iterator[Array]:
    """Train, in pieces that take a moment each. What depends on a clock or a person, process 0 decides for all."""
    if not steps or room.broken is not None:
        return
    end, count = room.step + steps, 1
    with tqdm(total=steps, unit="step", desc="Compiling", disable=None) as bar:
        room.warm()
        bar.unpause()
        bar.set_description("Training")
        while room.step < end and room.broken is None:
            piece, due, ended = cluster.agreed(min(count, end - room.step, saves.ahead), saves.due, asked.is_set())
            if due:
                saves.save()
            if ended:
                break
            began = time.monotonic()
            for records in room.advancing(piece):
                yield records.loss
                tell(records)
                bar.set_postfix_str(f"loss {short(float(records.loss[-1]))}", refresh=False)
                bar.update(len(records.loss))
            count = 2 * count if time.monotonic() - began < _PIECE else max(count // 2, 1)


def _ended(trained: Trained) -> Trained:
    """A run whose loss is no longer finite ends with that step, however the steps were divided."""
    room = trained.room
    if room.broken is None or room.step <= room.broken + 1:
        return trained
    room.rewind(room.broken + 1)
    start = min(trained.start, room.step)
    return dataclasses.replace(trained, start=start, losses=trained.losses[: room.step - start])


@contextlib.contextmanager
def _interruption() -> Iterator[threading.Event]:
    """Set by the first Ctrl+C; the second is as usual."""
    asked = threading.Event()
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield asked  # someone else listens, or nobody should
        return

    def hear(number: int, frame: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, hear)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, usual)


# ---- what is shown of it -------------------------------------------------------------------------------------------


def plain(trained: Trained) -> dict[str, Any]:
    """What the page shows of a run, as plain data (see above)."""
    room, tests = trained.room, _tests(trained.room)
    return {
        "title": room.problem.title,
        "settings": {} if room.settings is None else dataclasses.asdict(room.settings),
        "step": room.step,
        **_split(room),
        "start": trained.start,
        "loss": numbers(trained.losses),
        "accuracy": {name: tests[f"{name}_accuracy"][-1] for name in ("train", "test")},
        "tests": tests,
        "profile": _profile(room),
        "scaling": _scaling(room),
        "findings": [_strict(finding.plain()) for finding in room.findings(room.pass_at(room.step))],
    }


def as_json(shown: Mapping[str, Any]) -> str:
    """As strict JSON, in one line."""
    return json.dumps(shown, allow_nan=False)


def numbers(array: Array) -> list[Any]:
    """Numbers as JSON can have them, with the digits of their own precision."""
    return [_number(value) for value in np.asarray(array)]


def _number(value: Any) -> Any:
    if math.isfinite(value):
        return float(str(value))
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _measured(value: Any) -> Any:
    """``None`` for what there isn't."""
    return None if math.isnan(value) else _number(value)


def _strict(value: Any) -> Any:
    """Plain data with every number that isn't finite as a string."""
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return {key: _strict(part) for key, part in value.items()}
    return [_strict(part) for part in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def _tests(room: Room) -> dict[str, Any]:
    """What was measured on fixed examples, and is after the last step."""
    columns = room.run.history.tests.columns
    steps, rows = columns.final.tolist(), list(columns.last)
    if steps[-1:] != [room.step]:
        steps, rows = [*steps, room.step], [*rows, room.run.evaluate()]
    return {"steps": steps} | {name: [_measured(row[place]) for row in rows] for place, name in enumerate(TESTS)}


def _scaling(room: Room) -> dict[str, Any] | None:
    memory = room.run.state.optimiser
    factor = optimisers.factor(memory)
    return None if factor is None else {"factor": float(factor), "skipped": optimisers.skipped(memory)}


def _split(room: Room) -> dict[str, Any]:
    split = room.run.events[-1].split
    return {"devices": split.devices, "micro_batches": split.pieces, "divided_memory": split.sharded}


def _profile(room: Room) -> dict[str, Any]:
    history = room.run.history
    sizes, counts = (history.measured("grad", name) for name in ("rms", "nonfinite"))
    nodes = {id: place for place, id in enumerate(history.nodes)}
    columns = []
    for layer in room.layers:
        place = nodes.get(layer.output)
        columns.append([None] * len(sizes) if place is None else _ran(sizes.last[:, place], counts.last[:, place]))
    rows = [[column[index] for column in columns] for index in range(len(sizes))]
    return {"layers": [layer.name for layer in room.layers], "steps": sizes.final.tolist(), "gradient_rms": rows}


def _ran(sizes: Array, counts: Array) -> list[Any]:
    """Sizes of gradients; ``None`` where not even the entries that aren't finite could be counted."""
    return [None if math.isnan(count) else _number(size) for size, count in zip(sizes, counts, strict=True)]
