"""A training in another process, as what it sends tells it: columns of steps, and a few passes kept whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

import jax
import numpy as np

from engine import health, profile, wire
from engine.errors import EngineError
from engine.graph import Graph
from engine.health import Evidence, Finding
from engine.history import History, history
from engine.loop import Records, TrainState
from engine.reading import Reading
from engine.training import Step
from explorer import members
from explorer.extras import spreads
from explorer.seen import Seen

Array = Any
Arrays = Mapping[str, Array]

WATCHED = 128
"""Nodes that columns are kept of, besides the parameters, at most."""

BYTES, PASSES = 1 << 28, 64
"""Passes that are kept whole, at most: the first one and the latest ones."""

EVERY_SECONDS = 2.0
"""How often a pass is asked for while somebody looks."""


class Followed(Seen):
    """What one program of another process told of its steps."""

    gaps = True

    def __init__(self, title: str, graph: Graph, parameters: tuple[str, ...]) -> None:
        super().__init__()
        self.title, self.graph = title, graph
        self._parameters = parameters
        self.every = 1
        """It is looked at steps whose number is a multiple of this."""
        self.passes: list[Step] = []
        """Whole passes, the oldest first."""
        nodes = dict.fromkeys([*profile.told(graph, parameters, WATCHED), *parameters])
        names = tuple(graph.node(id).name for id in parameters)
        self._history = history(names, tuple(nodes), np.float64)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Ids of the leaves that are trained."""
        return self._parameters

    @property
    def history(self) -> History:
        """What was sampled."""
        return self._history

    @property
    def step(self) -> int:
        """How many steps were taken, as far as is known."""
        return self._history.numbers.final + 1

    def take(self, step: int, reading: Reading, arrays: Arrays) -> None:
        """Add what was read of a step.

        Args:
            step: its number.
            reading: full, or of statistics; of this program.
            arrays: ``loss``, and ``moved`` and ``after/0`` … as far as they are known.
        """
        whole = _pass(step, reading, self.parameters, arrays) if reading.plan.how == "full" else None
        if self.every != wire.COMMANDED:  # else columns tell of every step
            self._record(step, reading, arrays, whole)
        if whole is not None:
            self._keep(whole)

    def _record(self, step: int, reading: Reading, arrays: Arrays, whole: Step | None) -> None:
        sizes = {what: self._sizes(reading, what) for what in ("value", "grad")}
        moved = arrays["moved"] if "moved" in arrays else _moved(whole, len(self.parameters))
        row = (np.reshape(arrays["loss"], 1), sizes["value"][None], np.reshape(moved, (1, -1)), sizes["grad"][None])
        batched = jax.tree.map(lambda leaf: leaf[None], reading)
        self._history.record(Records(step, *row, np.array([step]), batched))

    def take_columns(self, arrays: Arrays) -> None:
        """Add steps as :func:`engine.wire.columns` tells them."""
        self._history.take(arrays["steps"], arrays["numbers"])
        if "measures" in arrays:
            self._history.take_measures(arrays["watched"], arrays["measures"])

    def _sizes(self, reading: Reading, what: str) -> Array:
        """Euclidean norm of each parameter, or of its gradient; NaN where it wasn't read."""
        found = np.full(len(self.parameters), np.nan)
        for place, id in enumerate(self.parameters):
            try:
                found[place] = reading.stats(id)[what]["l2"]
            except (EngineError, KeyError):
                continue
        return found

    def _keep(self, whole: Step) -> None:
        self.passes.append(whole)
        size = sum(array.nbytes for array in wire.arrays(whole.reading).values())
        most = max(2, min(PASSES, BYTES // max(size, 1)))
        self.passes = [self.passes[0], *self.passes[1:][1 - most :]]
        try:
            self.look(whole, spreads(self, whole))
        except EngineError:  # not everything was read of it
            return

    def passes_at(self, most: int) -> list[int]:
        """Steps of the passes that are kept whole."""
        kept = [each.before.step for each in self.passes]
        return [kept[place] for place in sorted({*np.linspace(0, len(kept) - 1, most).astype(int).tolist()})]

    def pass_at(self, step: int) -> Step:
        """The whole pass that was taken last before a step, or at it; the first one if there is none."""
        earlier = [each for each in self.passes if each.before.step <= step]
        return earlier[-1] if earlier else self.passes[0]

    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the training; nothing where too little of it was read."""
        latest = next((each for each in self.passes if not np.isfinite(each.loss)), self.passes[-1])
        readings = tuple(dict.fromkeys((self.passes[0].reading, latest.reading)))
        before, after = (
            dict(zip(self.parameters, state.params, strict=True)) for state in (latest.before, latest.after)
        )
        losses = tuple(map(float, self._history.loss().last))
        known = (before, after) if latest.after is not latest.before else ({}, {})
        try:
            return health.diagnose(Evidence(readings, self.parameters, *known, losses, self.step))
        except EngineError:
            return ()


def _pass(step: int, reading: Reading, parameters: Sequence[str], arrays: Arrays) -> Step | None:
    """A full reading as a step; nothing if the parameters weren't read."""
    try:
        params = tuple(np.asarray(reading.fetched("value", id)) for id in parameters)
        grads = tuple(np.asarray(reading.fetched("grad", id)) for id in parameters)
    except EngineError:
        return None
    before = after = TrainState(params, None, step)
    if "after/0" in arrays:
        after = TrainState(tuple(arrays[f"after/{place}"] for place in range(len(params))), None, step + 1)
    return Step(before, after, arrays["loss"], grads, reading, lambda state: arrays["loss"])


def _moved(whole: Step | None, count: int) -> Array:
    """How far a step moved each parameter, where it is kept whole and its update is known; else NaN."""
    if whole is None or whole.after is whole.before:
        return np.full(count, np.nan)
    pairs = zip(whole.before.params, whole.after.params, strict=True)
    return np.array([np.linalg.norm(np.ravel(new - old)) for old, new in pairs])


class Feed:
    """What arrives from the process that trains. Taken in one thread, looked at in others under :attr:`lock`."""

    def __init__(self, ask: Callable[[str], None]) -> None:
        """Begin with nothing.

        Args:
            ask: sends a word to the process that trains.
        """
        self.lock = threading.RLock()
        self.followed: Followed | None = None
        self.members: dict[str, Any] = {}
        """What each device had of the last step that was read (:func:`explorer.members.plain`); empty if it has all."""
        self.ended = False
        """Whether nothing more will come."""
        self.listeners: list[Callable[[], None]] = []
        """Are called, in whatever thread, when something came."""
        self._ask = ask
        self._asked = -EVERY_SECONDS
        self._outlines: dict[int, Any] = {}

    def receive(self, stream: BinaryIO) -> None:
        """Take everything that comes, until the stream ends."""
        try:
            while (message := wire.receive(stream)) is not None:
                self._take(*message)
                self._tell()
        finally:
            self.ended = True
            self._tell()

    def want(self) -> None:
        """Somebody looks: have a whole pass sent, if the last one isn't quite new."""
        now = time.monotonic()
        if not self.ended and now >= self._asked + EVERY_SECONDS:
            self._asked = now
            self._ask("full")

    def _tell(self) -> None:
        for listener in list(self.listeners):
            listener()

    def _take(self, header: dict[str, Any], arrays: Arrays) -> None:
        if header["kind"] == "outline":
            self._outlines[header["id"]] = (*wire.restored(header["outline"]), header)
            return
        if header["kind"] == members.KIND:
            self.members = members.plain(header, arrays)
            return
        if header["kind"] == "columns":
            with self.lock:
                if self.followed is not None:
                    self.followed.take_columns(arrays)
            return
        graph, plan, layout, told = self._outlines[header["id"]]
        with self.lock:
            if self.followed is None:
                self.followed = Followed(told["title"], graph, tuple(told["parameters"]))
                self.followed.every = told["every"]
            if [node.id for node in graph.nodes] != [node.id for node in self.followed.graph.nodes]:
                return  # of another program: an evaluation, perhaps
            own = {
                name: array for name, array in arrays.items() if name.partition("/")[0] in ("loss", "moved", "after")
            }
            rest = {name: array for name, array in arrays.items() if name not in own}
            same = self.followed.graph if hash(graph) == hash(self.followed.graph) else graph
            self.followed.take(header["step"], wire.assembled(same, plan, layout, rest), own)
