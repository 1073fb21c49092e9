"""A training run: the state it has come to, what was changed on the way, its history, and the way back to any step.

Every step follows from the state before it and from the controls in force. So a few states and the list of changes
are enough to have any step again, bit for bit, on the machine and with the versions that took it first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

from engine import magnitudes
from engine.errors import EngineError
from engine.evaluate import evaluator
from engine.history import History, history, watched
from engine.loop import Loop, Records, TrainState
from engine.optimisers import Controls
from engine.parallel import ParallelLoop
from engine.shares import WHOLE, Split, fitting, mesh
from engine.snapshots import Snapshots
from engine.tasks.problem import Problem

Array = Any

TEST_EVERY = 100
"""Steps between two looks at the test set, unless asked otherwise."""


class RunError(EngineError, ValueError):
    """A run was asked for what it can't do."""


@dataclasses.dataclass(frozen=True)
class Event:
    """What holds from a step on."""

    step: int
    controls: Controls
    every: int = 1
    """Watched nodes are measured at steps whose number is a multiple of this."""
    text: str = ""
    """What was changed, for people; empty if it was only how often one looks."""
    split: Split = WHOLE
    """Over which devices a step is divided."""


class Run:
    """A problem in training. Not for several threads at a time."""

    def __init__(
        self,
        problem: Problem,
        controls: Controls | None = None,
        nodes: tuple[str, ...] | None = (),
        every: int = 1,
        test_every: int = TEST_EVERY,
    ) -> None:
        """Begin at step 0.

        Args:
            problem: what is trained.
            controls: the optimiser; plain gradient descent at the problem's rate unless given.
            nodes: ids, names or scopes of the nodes to be measured; ``None`` for all.
            every: measure them at steps whose number is a multiple of this.
            test_every: look at the test set after multiples of so many steps; it changes nothing of the training.

        Raises:
            ControlsError: a control can't be what it is.
            UnknownNodeError: a node isn't there.
        """
        first = (controls or Controls(rate=problem.rate)).checked()
        first.dials(Loop(problem).names)
        self.loop = problem.once(("loop", nodes), lambda: Loop(problem, nodes))
        self._loops = {WHOLE: self.loop}
        self.test_every = _checked(test_every)
        self._begin(Event(0, first, _checked(every)))

    def _begin(self, event: Event) -> None:
        self.events: list[Event] = [event]
        self.state: TrainState = self.loop.start(event.controls)
        self.snapshots = Snapshots([self.state])
        self.history: History = self._empty()

    def _empty(self) -> History:
        return history(self.loop.names, self._ids, magnitudes.precision(self.state.params))

    @cached_property
    def _ids(self) -> tuple[str, ...]:
        if self.loop.nodes == ():
            return ()
        return watched(self.problem.graph, self.loop.nodes)

    def take_up(self, state: TrainState, controls: Controls) -> None:
        """Begin with a state that another run has come to; of the steps before nothing is known here.

        Args:
            state: the run goes on from it.
            controls: that are in force there.
        """
        self._begin(Event(0, controls))
        self.state, self.snapshots = state, Snapshots([state])

    @property
    def problem(self) -> Problem:
        """What is trained."""
        return self.loop.problem

    @property
    def controls(self) -> Controls:
        """The controls in force."""
        return self.events[-1].controls

    def event(self, step: int) -> Event:
        """What holds at a step."""
        return [event for event in self.events if event.step <= step][-1]

    # ---- forward --------------------------------------------------------------------------------------------------

    def advance(self, count: int = 1) -> None:
        """Take some steps, and record them."""
        for _ in self.advancing(count):
            pass

    def advancing(self, count: int) -> Iterator[Records]:
        """Take some steps, in pieces of at most :attr:`Loop.room`, with what was recorded of each piece.

        After every piece the run is whole, so one may stop between two of them.
        """
        end = self.state.step + count
        while self.state.step < end:
            yield self._advance(end)

    def _advance(self, end: int) -> Records:
        self._test()
        after, records = self._piece(self.state, end)
        self.state = self._changed(after)
        self.history.record(records)
        self.snapshots.offer(after)
        self._test()
        return records

    def _test(self) -> None:
        step = self.state.step
        if step % self.test_every == 0 and step > self.history.tests.final:
            self.history.record_test(step, self.evaluate())

    def evaluate(self) -> Array:
        """The numbers of :data:`engine.history.TESTS` now: ``(4,)``, NaN for what the problem doesn't have."""
        return self._evaluator(self.state.params)

    @cached_property
    def _evaluator(self) -> Any:
        problem = self.problem
        return problem.once("evaluator", lambda: evaluator(problem))

    def _piece(self, state: TrainState, end: int) -> tuple[TrainState, Records]:
        """As many steps as can be taken at once: to the end, the next change or the next look at the test set."""
        event = self.event(state.step)
        loop = self._divided(event.split)
        ahead = [event.step for event in self.events if event.step > state.step]
        stop = min(end, *ahead, state.step - state.step % self.test_every + self.test_every)
        return loop.advance(state, event.controls, min(stop - state.step, loop.room), event.every)

    def _divided(self, split: Split) -> Loop:
        """The loop for so many devices; one is the ordinary one. Where there are fewer now, it is for these."""
        split = fitting(split)
        if split not in self._loops:
            make = partial(ParallelLoop, self.problem, self.loop.nodes, split)
            self._loops[split] = self.problem.once(("loop", self.loop.nodes, split), make)
        return self._loops[split]

    @property
    def current(self) -> Loop:
        """The loop that takes the next step."""
        return self._divided(self.events[-1].split)

    def _changed(self, state: TrainState) -> TrainState:
        """The state after the changes that were made at its step: another method begins with an empty memory."""
        for before, event in zip(self.events, self.events[1:], strict=False):
            if event.step == state.step and before.controls.method != event.controls.method:
                memory = self.loop.remember(event.controls, state.params)
                state = dataclasses.replace(state, optimiser=memory)
        return state

    # ---- changes --------------------------------------------------------------------------------------------------

    def change(self, **changes: Any) -> Event:
        """Change controls from the next step on. Nothing changes if one of them can't be.

        Another optimiser, or another kind of clipping, begins with an empty memory, and is compiled; everything else
        takes effect without either.

        Raises:
            ControlsError: there is no such control, it can't be what was given, or a frozen name is no parameter's.
        """
        before = self.controls
        after = before.changed(**changes)
        after.dials(self.loop.names)
        text = before.difference(after)
        return self._record(dataclasses.replace(self.events[-1], step=self.state.step, controls=after, text=text))

    def freeze(self, *names: str) -> Event:
        """Keep parameters as they are: by name, or by that of what they lie in (``params.layers.0``)."""
        return self.change(frozen=(*self.controls.frozen, *names))

    def unfreeze(self, *names: str) -> Event:
        """Let parameters move again that were frozen under these names; without names, all of them."""
        return self.change(frozen=tuple(name for name in self.controls.frozen if names and name not in names))

    def watch(self, every: int) -> Event:
        """Measure the watched nodes at steps whose number is a multiple of this."""
        return self._record(dataclasses.replace(self.events[-1], step=self.state.step, every=_checked(every), text=""))

    def divide(self, split: Split) -> Event:
        """Divide each step over so many devices from the next one on; what is trained goes on as it is.

        Raises:
            ParallelError: there aren't so many, or a step can't be divided.
        """
        last = self.events[-1]
        if split.checked().devices > 1:
            mesh(split.devices)  # whether there are so many
        self._divided(split)  # whether it can be
        text = last.split.difference(split)
        return self._record(dataclasses.replace(last, step=self.state.step, split=split, text=text))

    def _record(self, event: Event) -> Event:
        last = self.events[-1]
        if (event.controls, event.every, event.split) == (last.controls, last.every, last.split):
            return last
        self.events.append(event)
        if event.controls.method != last.controls.method:
            memory = self.loop.remember(event.controls, self.state.params)
            self.state = dataclasses.replace(self.state, optimiser=memory)
        return event

    # ---- back -----------------------------------------------------------------------------------------------------

    def at(self, step: int) -> TrainState:
        """The state after that many steps, bit for bit; the run stays where it is.

        Raises:
            RunError: the run hasn't come so far.
        """
        first = self.snapshots.states[0].step
        if not first <= step <= self.state.step:
            raise RunError(f"Step {step} isn't in this run; it has steps {first} to {self.state.step}.")
        if step == self.state.step:
            return self.state
        state = self.snapshots.before(step)
        while state.step < step:
            state = self._piece(self._changed(state), step)[0]
        return self._changed(state)

    def opening(self, count: int) -> tuple[float, ...]:
        """The losses of the first steps, taken again: of a long run, history has joined them with others."""
        state, losses = self.at(0), list[float]()
        while len(losses) < min(count, self.state.step):
            state, records = self._piece(self._changed(state), min(count, self.state.step))
            losses += records.loss.tolist()
        return tuple(losses)

    def rewind(self, step: int) -> None:
        """Go back to what the run was after that many steps, with its controls of then. What came after is forgotten.

        Raises:
            RunError: the run hasn't come so far.
        """
        self.at(step)  # refused before anything is forgotten
        missing = self.history.truncate(step)
        self.state = self.at(missing)
        self.events = [event for event in self.events if event.step <= step]
        self.snapshots.truncate(missing)
        self.advance(step - missing)

    def reset(self) -> None:
        """Back to the first parameters, with the controls of now, and an empty history."""
        self._begin(dataclasses.replace(self.events[-1], step=0, text=""))

    @property
    def nbytes(self) -> int:
        """Bytes that history and snapshots take."""
        return self.history.nbytes + self.snapshots.nbytes


def _checked(every: int) -> int:
    if every < 1:
        raise RunError(f"One can't look every {every} steps; give 1 or more.")
    return int(every)
