"""A gradient, looked at closer: checked by differences of many sizes, and moved by several optimisers."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np

from engine import paths, valley
from engine.differences import Differences
from engine.numbers import short
from engine.optimisers import ALGORITHMS
from engine.training import Step, Trainer
from explorer.figures import brief

Array = Any

COMPARED = {"SGD": "sgd", "Momentum": "momentum", "RMSProp": "rmsprop", "Adam": "adam"}
"""Optimisers that are put side by side, as people and as settings call them."""


def differences(trainer: Trainer, step: Step, node: str, index: tuple[int, ...] | None) -> dict[str, Any]:
    """The valley of one gradient as plain data; takes long, and may be called in any thread.

    Args:
        trainer: of the problem.
        step: where.
        node: an argument leaf of the loss.
        index: which entry of it; ``None`` for a random direction.

    Raises:
        ValleyError: there is nothing to check there.
    """
    problem = trainer.problem
    args = (*step.before.params, *problem.batch(step.before.step))
    found = valley.valley(problem.fun, node, *args, index=index)
    curves = [
        {"dtype": curve.dtype, "kind": kind, **_curve(getattr(curve, kind))}
        for curve in found.curves
        for kind in ("forward", "central")
    ]
    return {
        "name": brief(found.name),
        "verdict": found.verdict,
        "sentence": found.sentence.replace(found.name, brief(found.name), 1),
        "steps": [float(f"{step:.6g}") for step in found.steps],
        "curves": curves,
    }


def _curve(found: Differences) -> dict[str, Any]:
    return {
        "errors": [_number(error) for error in found.errors],
        "best_step": _number(found.best_step),
        "best_error": _number(found.best_error),
        "rounding": _number(found.rounding),
        "truncation": _number(found.truncation),
    }


def _number(value: float | None) -> float | None:
    return float(f"{value:.4g}") if value is not None and math.isfinite(value) else None


def moves(rate: float, step: Step, parameter: int) -> dict[str, Any]:
    """What several optimisers make of one parameter's gradient, as plain data.

    Args:
        rate: the learning rate of all of them.
        step: whose gradient.
        parameter: which leaf of the parameters.
    """
    value, gradient = (jax.tree.leaves(tree)[parameter] for tree in (step.before.params, step.grads))
    made = {name: ALGORITHMS[key](rate, 0.0) for name, key in COMPARED.items()}
    found = paths.moves(made, value, gradient)
    return {
        "rate": short(rate),
        "gradient": short(float(np.linalg.norm(np.asarray(gradient, np.float64)))),
        "rows": [
            {
                "name": name,
                "size": _number(move.size),
                "size_text": short(move.size),
                "ratio": short(move.ratio),
                "cosine": _number(move.cosine),
                "expected": short(move.expected),
            }
            for name, move in found.items()
        ],
    }
