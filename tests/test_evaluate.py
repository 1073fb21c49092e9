"""Loss and accuracy on fixed examples."""

from __future__ import annotations

import dataclasses

import numpy as np

from engine.evaluate import MOST, evaluator
from engine.tasks.catalogue import Problem

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(3000, 2)).astype(np.float32), (RNG.uniform(size=3000) > 0.5).astype(np.float32)
W = np.array([1.0, -2.0], np.float32)


def _fun(w, x, y):
    return ((x @ w - y) ** 2).mean()


def _right(params, x, y):
    return ((x @ params[0] > 0) == (y > 0.5)).mean()


LINE = Problem("line", _fun, (W,), (X, Y), lambda step: np.arange(4), held_out=(X[:50] + 1, Y[:50]), accuracy=_right)


def test_both_sets_are_measured_by_loss_and_accuracy():
    found = evaluator(LINE)((W,))
    (x, y), (tx, ty) = (X[:MOST], Y[:MOST]), LINE.held_out
    wanted = [
        ((x @ W - y) ** 2).mean(),
        ((tx @ W - ty) ** 2).mean(),
        ((x @ W > 0) == y).mean(),
        ((tx @ W > 0) == ty).mean(),
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_what_a_problem_doesnt_have_is_nan():
    found = evaluator(dataclasses.replace(LINE, held_out=(), accuracy=None))((W,))
    assert np.isnan(found).tolist() == [False, True, True, True]


def test_a_function_of_ones_own_is_measured_on_its_arguments_as_they_are():
    own = Problem(
        "own",
        lambda w, x, how: (w * x).sum() * how["by"],
        (W,),
        (X[:2, 0], {"by": 2.0, "name": "a"}),
        lambda step: None,
    )
    np.testing.assert_allclose(evaluator(own)((W,))[0], 2 * (W * X[:2, 0]).sum(), rtol=1e-5)


def test_a_noisy_loss_is_told_that_it_is_evaluated():
    noisy = dataclasses.replace(LINE, fun=lambda w, x, y, step: 0 * w.sum() + step, noisy=True)
    assert evaluator(noisy)((W,))[0] == -1
