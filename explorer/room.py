"""A run in training, as a page or a command line follows it: its steps, the full pass at any of them, what is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any
from weakref import WeakValueDictionary

import jax
import numpy as np

from engine import health, optimisers, profile
from engine.graph import Graph
from engine.health import Finding
from engine.history import History
from engine.loop import Records, TrainState, settled
from engine.more import More, is_large
from engine.optimisers import Controls, controls
from engine.probe import STATS, Probe
from engine.reading import Reading
from engine.runs import Event, Run
from engine.tasks import Problem, Settings
from engine.training import Step, Trainer, trainer
from explorer.seen import Seen
from explorer.target import Target

WATCHED = 128
"""Nodes that every step of a run is measured at, at most: those of the first layers of a very deep net."""

OPENING = 5
"""First steps whose losses say where a run began (:attr:`engine.health.evidence.Course.start`)."""

DIALS = ("optimizer", "rate", "schedule", "clip", "clip_at", "decay", "scaling")
"""Settings that can change while training runs."""

OWN = Settings(rate=Controls().rate)
"""Settings of a function of one's own, of which only the dials matter."""


class Room(Seen):
    """A problem, its run, and the passes that were looked at. Not for several threads at a time."""

    def __init__(self, problem: Problem, settings: Settings | None = None, first: Controls | None = None) -> None:
        """Begin at step 0.

        Args:
            problem: what is trained.
            settings: what it was made of; ``None`` for a function of one's own.
            first: of the optimiser at the first step, if not as the settings are.
        """
        super().__init__()
        self.problem = problem
        self.settings = settings
        self.graph: Graph = problem.graph
        self.large = is_large(self.graph)
        self.seen: tuple[str, ...] = ()
        """Of a large graph the nodes that are seen at first."""
        self.more: More = problem.once("more", lambda: More(problem))
        self.run = Run(problem, first or controls(settings or OWN), nodes=self.watched)
        self.broken: int | None = None
        """The first step whose loss is not finite."""
        self._opened = False
        """Whether the run was saved: what it began with may have been drawn on another machine."""

    @cached_property
    def trainer(self) -> Trainer:
        """The step that is shown, compiled when it is first taken."""
        problem, first = self.problem, self.run.events[0].controls
        if not self.large:
            return problem.once("trainer", lambda: trainer(problem, first))
        nodes = tuple(dict.fromkeys((*self.seen, *self.watched)))
        return problem.once(("trainer", nodes), lambda: trainer(problem, first, Probe(nodes, STATS.what, STATS.how)))

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Ids of the leaves that are trained."""
        return self.graph.inputs[: sum(len(jax.tree.leaves(tree)) for tree in self.problem.params)]

    @cached_property
    def watched(self) -> tuple[str, ...]:
        """Ids of the nodes that every step is measured at."""
        return profile.told(self.graph, self.parameters, WATCHED)

    # ---- steps ----------------------------------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return self.run.state.step

    @property
    def history(self) -> History:
        """What was recorded of the run."""
        return self.run.history

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the parameters that stay as they are."""
        return self.run.controls.frozen

    @property
    def events(self) -> list[Event]:
        """What holds from which step on."""
        return self.run.events

    @property
    def warm(self) -> Callable[[], Any]:
        """What compiles the loop that trains, and what tests: of the run as it is now, whoever changes it meanwhile."""
        run, loop, state, controls = self.run, self.run.current, self.run.state, self.run.controls
        return lambda: (loop.advance(state, controls, 1), run.evaluate())

    @property
    def next(self) -> Callable[[], Step]:
        """What takes the full pass that training goes on with: likewise of the run as it is now."""
        return partial(self._finished, self.trainer, self.run.state, self.run.controls)

    def advance(self, count: int) -> None:
        """Take some steps; fewer if the loss stops being finite, as nothing that follows would tell more."""
        for _ in self.advancing(count):
            pass

    def advancing(self, count: int) -> Iterator[Records]:
        """The same in pieces, with what was recorded of each."""
        if self.broken is not None:
            return
        for records in self.run.advancing(count):
            lost = np.flatnonzero(~np.isfinite(records.loss))
            if lost.size:
                self.broken = int(records.steps[lost[0]])
            yield records
            if lost.size:
                return

    def take_up(self, run: Run) -> None:
        """Go on with a run of the same problem that was saved."""
        self.run, self.looks, self._opened = run, [], True
        self.__dict__.pop("first", None)
        losses = run.history.loss()
        lost = np.flatnonzero(losses.nonfinite)
        self.broken = self._first_lost(losses.first[lost[0]], losses.final[lost[0]]) if lost.size else None

    def _first_lost(self, first: int, final: int) -> int:
        """The first of some steps whose loss is not finite; the last one, if none of the others is."""
        others = (step for step in range(int(first), int(final)) if not np.isfinite(self.pass_at(step).loss))
        return next(others, int(final))

    def change(self, **changes: Any) -> None:
        """Turn dials, or freeze parameters, from the next step on.

        Raises:
            ControlsError: one of them can't be.
        """
        self.run.change(**changes)

    def dials(self, step: int) -> dict[str, Any]:
        """What the dials are at a step."""
        return {name: getattr(self.run.event(step).controls, name) for name in DIALS}

    def rewind(self, step: int) -> None:
        """Go back to what the run was after that many steps; what came after is forgotten."""
        self.run.rewind(step)
        self.looks = [look for look in self.looks if look.step <= step]
        self.broken = None if self.broken is None or self.broken >= step else self.broken

    # ---- full passes ----------------------------------------------------------------------------------------------

    def passes_at(self, most: int) -> list[int]:
        """Steps of the run, closer together at the start, where most happens."""
        return sorted({0, *np.geomspace(1, self.step, most).round().astype(int).tolist()}) if self.step else [0]

    def pass_at(self, step: int) -> Step:
        """The full pass that starts from the state after that many steps, and the update that was made of it."""
        return self._taken(self.trainer, self.run.at(step), self.run.event(step).controls)

    def _taken(self, trained: Trainer, state: TrainState, controls: Controls) -> Step:
        """A step; the first one is taken once for all who train the same, and kept as long as one of them has it."""
        if state.step or self._opened:
            return trained.advance(state, controls)
        firsts: WeakValueDictionary[Any, Step] = self.problem.once("firsts", WeakValueDictionary)
        step = firsts.get((trained, controls))
        if step is None:
            step = firsts[trained, controls] = trained.advance(state, controls)
        return step

    def _finished(self, *begin: Any) -> Step:
        """A step with its numbers there: JAX returns one that it has only begun with, and a large model's parameters
        take a while to be measured, for which no page should wait.
        """
        step = self._taken(*begin)
        jax.block_until_ready(step.loss)
        step.measure()
        return step

    def unseen(self) -> list[int]:
        """Steps around which nobody has looked, and whose pass is at hand: those of the states that are kept."""
        kept, known = self.run.snapshots, np.array([look.step for look in self.looks])
        steps = [state.step for state in kept.states if state.step <= self.step]
        return [step for step in steps if not len(known) or np.abs(known - step).min() > kept.gap / 2]

    @property
    def first(self) -> Step:
        """The pass at step 0."""
        if self.known_first is None:
            self.known_first = self.pass_at(0)
        return self.known_first

    def reset(self) -> None:
        """Back to the first step, from the same parameters, with the dials as they are."""
        self.run.reset()
        self.broken, self.looks, self.known_first = None, [], None

    def findings(self, latest: Step) -> tuple[Finding, ...]:
        """What is wrong with the run.

        Args:
            latest: a pass, best the last; of a run that is no longer finite the one at which it broke is taken.

        Returns:
            Nothing for a healthy run, and for that of a large graph: it can't be judged by statistics alone.
        """
        if self.large:
            return ()
        if self.broken is not None:
            latest = self._breaking()
        readings = [self.first.reading] if latest.before.step else []
        of = latest.before.params, latest.after.params
        dials = self.dials(latest.before.step)
        now = dataclasses.replace(self.settings, **dials) if self.settings else dials
        evidence = health.gather([*readings, latest.reading], *of, self._losses(), now, self.step)
        skipped = optimisers.skipped(self.run.state.optimiser)
        return health.diagnose(dataclasses.replace(evidence, wide=self._wide(latest), skipped=skipped))

    def _losses(self) -> tuple[float, ...]:
        """The loss of each step; of a long run of every so many, and of the first ones."""
        track = self.run.history.numbers
        own = tuple(track.columns.of(0).last.tolist())
        return own if track.stride == 1 else (*self.run.opening(OPENING), *own[1:])

    def _wide(self, step: Step) -> Reading | None:
        """The gradients of a pass in float32; none where they are so already."""
        return self.trainer.wide.reading(step.before.params, step.before.step) if self.trainer.wide else None

    def _breaking(self) -> Step:
        assert self.broken is not None
        here = self.pass_at(self.broken)
        spoilt = not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(here.before.params))
        return self.pass_at(self.broken - 1) if spoilt and self.broken else here


def own_problem(target: Target) -> Problem:
    """The problem of training a function of one's own on its example arguments."""
    first, *rest = target.args
    params = jax.tree.map(settled, first)  # as the loop takes them: another type would be another graph
    return Problem(target.name, target.fun, (params,), tuple(rest), rate=OWN.rate, note="its example arguments")
