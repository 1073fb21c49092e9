"""Questions about a data-parallel step, answered as plain data: by whichever process has the devices.

A question names what is trained (settings, and the controls of each step), the step, and how it is divided. The run is
taken to that step *on those devices*, and a second one on a single device beside it; so every number is that of a run
which really was divided, next to that of one which wasn't.
"""

from __future__ import annotations

import base64
import dataclasses
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine.evaluate import evaluator
from engine.history import TESTS
from engine.loop import TrainState
from engine.optimisers import Controls
from engine.parallel import ParallelLoop
from engine.replicas import Look, Replicas, distance
from engine.ring import ring
from engine.runs import Event, Run
from engine.shares import WHOLE, Split
from engine.tasks import Problem, Settings, problem
from explorer.errors import ExplorerError
from explorer.form import DEVICES
from explorer.room import own_problem
from explorer.target import load

Array = Any
Plain = dict[str, Any]

MOST = max(DEVICES)

SMALL = 64
"""Entries that an array may have to be shown element by element."""

FIRST = 16
"""Entries of the array that is shown before somebody chooses one, at most."""

DRIFTS = 100
"""Steps that replicas go on without waiting for each other."""

SECONDS = 1.0
"""For so long, about, the runs are taken on before an answer: it is about the step that they have come to."""

FAR = 3
"""Where as many answers more would not do to catch up, the runs had better take up the training's own state."""

BITE = 10
"""Steps between two looks at the clock."""

_RUNS = 4
"""Pairs of runs that are kept."""


@dataclasses.dataclass(eq=False)
class Pair:
    """A run divided over devices, and the same on one."""

    problem: Problem
    divided: Run
    single: Run
    programs: dict[Split, Replicas]
    events: list[Event]
    """The controls that both were taken on by."""
    began: int = 0
    """The step that both began with."""
    warm: set[Split] = dataclasses.field(default_factory=set)
    """Divisions whose steps are compiled: before, it can't be told how fast they are."""

    @staticmethod
    def of(problem: Problem, events: list[Event], before: Pair | None, begin: Plain | None) -> Pair:
        """Both at step 0, or with a state of the training (:func:`carried`)."""
        first = events[0].controls
        programs, warm = (before.programs, before.warm) if before else ({}, set())
        pair = Pair(problem, Run(problem, first), Run(problem, first), programs, events, warm=warm)
        if begin:
            pair.began = int(begin["step"])
            for run in (pair.divided, pair.single):
                controls = [event.controls for event in events if event.step <= pair.began][-1]
                run.take_up(_state(begin, run, controls), controls)
        return pair

    def goes_on(self, events: list[Event], step: int) -> bool:
        """Whether these controls are those that the runs were taken on by so far, and that step is one of theirs."""
        now = self.divided.state.step
        if step < self.began:
            return False
        so_far = [event for event in self.events if event.step <= now]
        return events[: len(so_far)] == so_far and all(event.step >= now for event in events[len(so_far) :])

    def follow(self, events: list[Event], step: int, split: Split) -> tuple[int, bool]:
        """Take both to a step, or as far as there is time; the divided one goes on as it is divided now.

        Returns:
            The step that they have come to, and whether the other one is far from it.
        """
        self.events, before = events, self.divided.state.step
        if self.divided.state.step < step:
            self.divided.divide(split)
        self._take(self.divided, step, time.monotonic() + SECONDS)
        reached = min(step, self.divided.state.step)
        self._take(self.single, reached)
        far = split in self.warm and step > before and step - reached > FAR * (reached - before)
        self.warm |= {split} if reached > before else set()
        return reached, far

    def _take(self, run: Run, step: int, until: float = math.inf) -> None:
        for event in self.events:
            if run.state.step <= event.step <= step:
                if not _advanced(run, event.step, until):
                    return
                run.change(
                    **{field.name: getattr(event.controls, field.name) for field in dataclasses.fields(Controls)}
                )
        _advanced(run, step, until)

    def replicas(self, split: Split) -> Replicas:
        """The programs for such a division."""
        if split not in self.programs:
            self.programs[split] = Replicas(ParallelLoop(self.problem, (), split))
        return self.programs[split]


def _advanced(run: Run, step: int, until: float) -> bool:
    """Take a run on; whether it came to that step in time."""
    while run.state.step < step and time.monotonic() < until:
        run.advance(min(BITE, step - run.state.step))
    return run.state.step >= step


class Fleet:
    """Answers questions, one at a time; keeps the runs that it was asked about last."""

    def __init__(self) -> None:
        self._pairs: OrderedDict[str, Pair] = OrderedDict()

    def answer(self, question: Mapping[str, Any]) -> Plain:
        """What was asked for, at the step that was named or an earlier one: its own ``step`` says which.

        Args:
            question: ``settings``, ``target`` and ``start`` (of a function of one's own, else empty), ``events`` (step
                and controls of each), ``step``, ``split``, and ``of``: what is asked, ``look``, ``drift`` or
                ``straggle``, with what that needs; ``begin``, a state (:func:`carried`) that the runs shall begin with.

        Returns:
            Beside what was asked for ``step``, and ``far``: whether it would take long to come to the one named.

        Raises:
            EngineError: it can't be; the message says why.
        """
        events = [_event(found) for found in question["events"]]
        pair = self._pair(question, events)
        split = Split(**question["split"]).checked()
        reached, far = pair.follow(events, int(question["step"]), split)
        return _ANSWERS[question["of"]](_Asked(pair, reached, split), question) | {"far": far}

    def _pair(self, question: Mapping[str, Any], events: list[Event]) -> Pair:
        key = repr((question["session"], question["settings"], question["target"]))
        found = self._pairs.pop(key, None)
        begin = question.get("begin")
        if found is None or begin or not found.goes_on(events, int(question["step"])):
            made = found.problem if found else _problem(question)
            found = Pair.of(made, events, found, begin)
        self._pairs[key] = found
        while len(self._pairs) > _RUNS:
            self._pairs.popitem(last=False)
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class _Asked:
    """Where one looks."""

    pair: Pair
    step: int
    split: Split

    @property
    def controls(self) -> Controls:
        return [event.controls for event in self.pair.events if event.step <= self.step][-1]

    @property
    def state(self) -> TrainState:
        return self.pair.divided.at(self.step)

    @property
    def replicas(self) -> Replicas:
        return self.pair.replicas(self.split)


# ---- one step ------------------------------------------------------------------------------------------------------


def _look(asked: _Asked, question: Mapping[str, Any]) -> Plain:
    state = asked.state
    look = asked.replicas.look(state, asked.controls)
    names = asked.pair.single.loop.names
    tensor = question.get("tensor") or _smallest(look, names)
    return {
        "step": asked.step,
        "split": dataclasses.asdict(asked.split),
        "platform": asked.replicas.loop.mesh.devices.flat[0].platform,
        "names": list(names),
        "small": [name for name, leaf in zip(names, jax.tree.leaves(look.mean), strict=True) if leaf.size <= SMALL],
        "devices": [_device(look, device) for device in range(asked.split.devices)],
        "piece": asked.replicas.loop.shares.size,
        "loss": _number(look.loss),
        "mean": [_rms(leaf) for leaf in jax.tree.leaves(look.mean)],
        "entries": sum(leaf.size for leaf in jax.tree.leaves(look.mean)),
        "memory": look.bytes.tolist(),
        "proof": _proof(asked, look, state),
        "lost": [list(map(_number, look.without(device))) for device in range(asked.split.devices)],
        "tensor": _tensor(asked, look, names.index(tensor)) if tensor in names else None,
        "history": [{"step": event.step, "devices": event.split.devices} for event in _moves(asked.pair.divided)],
    }


def _moves(run: Run) -> list[Event]:
    """Where another number of devices took over."""
    pairs = zip([None, *run.events], run.events, strict=False)
    return [event for before, event in pairs if before is not None and before.split.devices != event.split.devices]


def _device(look: Look, device: int) -> Plain:
    leaves = [leaf[device] for leaf in jax.tree.leaves(look.grads)]
    empty = not look.shares[device]
    return {
        "examples": look.rows[device].tolist(),
        "share": _number(look.shares[device]),
        "loss": None if empty else _number(look.losses[device]),
        "gradient": [None if empty else _rms(leaf) for leaf in leaves],
    }


def _proof(asked: _Asked, look: Look, state: TrainState) -> Plain:
    """Differences from the step on one device, relative; from the same state, and of the two runs so far."""
    single = asked.pair.single.at(asked.step)
    loss, grads, after = asked.replicas.single(state, asked.controls)
    each = [
        distance([leaf[device] for leaf in jax.tree.leaves(look.after)], jax.tree.leaves(after))
        for device in range(asked.split.devices)
    ]
    first = [np.asarray(leaf[0]) for leaf in jax.tree.leaves(look.after)]
    same = all(
        np.array_equal(leaf, np.broadcast_to(one, leaf.shape)) for leaf, one in zip(_after(look), first, strict=True)
    )
    return {
        "loss": _number(abs(float(look.loss) - float(loss)) / max(abs(float(loss)), 1e-30)),
        "gradient": _number(distance(jax.tree.leaves(look.mean), jax.tree.leaves(grads))),
        "update": _number(max(each)),
        "replicas": same,
        "began": asked.pair.began,
        "run": _number(distance(jax.tree.leaves(state.params), jax.tree.leaves(single.params))),
    }


def _after(look: Look) -> list[Array]:
    return jax.tree.leaves(look.after)


def _smallest(look: Look, names: tuple[str, ...]) -> str:
    """The array to begin with: the longest of those that fit on a screen, or else the shortest of all."""
    sizes = {name: leaf.size for name, leaf in zip(names, jax.tree.leaves(look.mean), strict=True)}
    shown = {name: size for name, size in sizes.items() if size <= FIRST}
    return max(shown, key=lambda name: shown[name]) if shown else min(sizes, key=lambda name: sizes[name])


def _tensor(asked: _Asked, look: Look, place: int) -> Plain | None:
    """One array, element by element, and its way around the ring."""
    parts, mean = jax.tree.leaves(look.parts)[place], jax.tree.leaves(look.mean)[place]
    if mean.size > SMALL or np.iscomplexobj(mean):
        return None
    found = ring(asked.replicas.loop.mesh, parts)
    return {
        "name": asked.pair.single.loop.names[place],
        "shape": list(mean.shape),
        "own": [_numbers(leaf) for leaf in jax.tree.leaves(look.grads)[place]],
        "parts": [_numbers(leaf) for leaf in parts],
        "mean": _numbers(mean),
        "stages": [[[_numbers(chunk) for chunk in device] for device in stage] for stage in found.stages],
        "sent": found.sent.tolist(),
        "bytes": found.bytes_sent,
        "off": _number(float(np.abs(found.total - mean.reshape(-1)).max(initial=0))),
    }


# ---- what goes wrong -----------------------------------------------------------------------------------------------


def _drift(asked: _Asked, question: Mapping[str, Any]) -> Plain:
    state = asked.state
    steps, meet = min(int(question.get("steps", DRIFTS)), DRIFTS), int(question.get("meet", 0))
    drift = asked.replicas.drift(state, asked.controls, steps, meet)
    together = asked.pair.single.loop.advance(state, asked.controls, min(steps, asked.pair.single.loop.room))[0]
    apart = [jax.tree.map(lambda leaf, own=device: leaf[own], drift.params) for device in range(asked.split.devices)]
    mean = jax.tree.map(lambda leaf: leaf.mean(0), drift.params)
    return {
        "step": asked.step,
        "steps": steps,
        "meet": meet,
        "spread": _numbers(drift.spread),
        "losses": [_numbers(row) for row in drift.losses.T],
        "scores": _scores(asked.pair.problem, {"apart": apart, "mean": [mean], "together": [together.params]}),
    }


def _scores(given: Problem, params: Mapping[str, list[Any]]) -> Plain:
    """Losses on the fixed examples that a run is tried on."""
    evaluate, place = evaluator(given), TESTS.index("train_loss")
    return {name: [_number(evaluate(each)[place]) for each in found] for name, found in params.items()}


def _straggle(asked: _Asked, question: Mapping[str, Any]) -> Plain:
    state = asked.state
    slow = int(question["device"]) % asked.split.devices
    seconds = min(max(float(question.get("seconds", 0.2)), 0.0), 1.0)
    stamps = asked.replicas.straggle(state, asked.controls, slow, seconds)
    waited = stamps[:, :, 2] - stamps[:, :, 1]
    return {
        "step": asked.step,
        "slow": slow,
        "seconds": seconds,
        "stamps": [[_numbers(device) for device in step] for step in stamps],
        "waited": _numbers(waited.mean(0)),
    }


_ANSWERS: Mapping[str, Callable[[_Asked, Mapping[str, Any]], Plain]] = {
    "look": _look,
    "drift": _drift,
    "straggle": _straggle,
}


# ---- plain data ----------------------------------------------------------------------------------------------------


def events(run: Run) -> list[Plain]:
    """The controls of a run, as a question carries them."""
    return [{"step": event.step, "controls": dataclasses.asdict(event.controls)} for event in run.events]


def _problem(question: Mapping[str, Any]) -> Problem:
    if question["target"]:
        own = own_problem(load(question["target"]))
        if own.start != question["start"]:
            raise ExplorerError(
                f"{own.title} comes out otherwise in the process that has the devices: give what draws its arguments "
                "at random a seed; or the file was changed, and the page should be started anew."
            )
        return own
    return problem(Settings(**question["settings"]).checked())


def carried(state: TrainState) -> Plain:
    """A state of a training as a question carries it."""
    leaves = (np.asarray(leaf) for leaf in jax.tree.leaves((state.params, state.optimiser)))
    each = [[leaf.dtype.name, leaf.shape, base64.b64encode(leaf.tobytes()).decode("ascii")] for leaf in leaves]
    return {"step": state.step, "leaves": each}


def _state(found: Plain, run: Run, controls: Controls) -> TrainState:
    start = run.loop.start(controls)
    arrays = [
        np.frombuffer(base64.b64decode(text), np.dtype(dtype)).reshape(shape) for dtype, shape, text in found["leaves"]
    ]
    params, memory = jax.tree.unflatten(jax.tree.structure((start.params, start.optimiser)), map(jnp.asarray, arrays))
    return TrainState(params, memory, int(found["step"]))


def _event(found: Mapping[str, Any]) -> Event:
    controls = {**found["controls"], "frozen": tuple(found["controls"]["frozen"])}
    return Event(int(found["step"]), Controls(**controls).checked(), split=WHOLE)


def _rms(leaf: Array) -> float | None:
    return _number(np.sqrt(np.mean(np.square(np.abs(leaf).astype(np.float64))))) if leaf.size else None


def _number(value: Any) -> float | None:
    """As JSON can have it; nothing where it isn't finite."""
    found = float(value)
    return found if math.isfinite(found) else None


def _numbers(array: Array) -> list[float | None]:
    return [_number(f"{value:.7g}") for value in np.asarray(array).reshape(-1)]
