"""The proof badges of a step: how well each gradient that is shown agrees with JAX and with central differences.

A proof compiles the program twice more, so it is made beside the page: nothing here touches a session.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from engine import underflow
from engine.check import Checker, NodeCheck
from engine.health.reach import words
from engine.numbers import short
from engine.training import Step, Trainer
from engine.underflow import Lost

MOST = 400
"""Gradients that are proved together. In a larger graph one is proved when it is looked at: a program that returns
thousands of gradients takes minutes to compile."""

Badge = dict[str, Any]


class Proofs:
    """The proofs of one problem; what is compiled for one step serves every other."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._checkers: dict[frozenset[str], Checker] = {}
        self._compiling = threading.Lock()

    def badges(self, step: Step, shown: Mapping[str, str]) -> dict[str, Badge]:
        """The badge of each box.

        Args:
            step: whose gradients are shown.
            shown: the node that each box with a gradient shows.
        """
        nodes = frozenset(shown.values())
        if not nodes:
            return {}
        problem = self._trainer.problem
        given: tuple[Any, Any] = (*step.before.params, *problem.batch(step.before.step)), {}
        mine = (step.loss, step.grads, step.reading)
        with self._compiling:  # whoever trains the same shares it
            checker = self._checkers.get(nodes)
            if checker is None:
                checker = self._checkers[nodes] = Checker.of(problem.fun, given, step.reading, nodes)
            # of a large graph only what was read closely is proved, and nobody keeps gradients of a hundred million
            exact = self._trainer.untouched(step.before) if step.grads else (step.loss, ())
            report = checker.report(given, mine, exact)
        checks = {check.id: _badge(check) for check in report.nodes}
        for id, lost in self._lost(step, checks).items():
            checks[id]["lost"] = words(lost) if lost.share else ""
        return {box: checks[node] for box, node in shown.items() if node in checks}

    def _lost(self, step: Step, ids: Iterable[str]) -> Mapping[str, Lost]:
        """What of these gradients underflowed, where the step is of mixed precision."""
        wide = self._trainer.wide
        if wide is None or step.reading.plan.how != "full":
            return {}
        return underflow.lost(step.reading, wide.reading(step.before.params, step.before.step), ids)


def _badge(check: NodeCheck) -> Badge:
    numeric = check.numeric_error
    return {
        "ok": bool(check.ok),
        "exact": short(float(check.gradient_error)),
        "numeric": "" if numeric is None else short(float(numeric)),
        "verdict": check.verdict,
    }
