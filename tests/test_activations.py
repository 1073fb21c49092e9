"""Each activation is its published formula, and so is its slope."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.tasks.activations import ACTIVATIONS

pytestmark = [pytest.mark.once, pytest.mark.exact]

X = np.array([-30.0, -3.0, -1.0, -0.25, 0.25, 1.0, 3.0, 30.0])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def gelu(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


FORMULAS = {
    "tanh": lambda x: (math.exp(x) - math.exp(-x)) / (math.exp(x) + math.exp(-x)),
    "sigmoid": sigmoid,
    "relu": lambda x: max(x, 0.0),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "gelu": gelu,
    "swish": lambda x: x * sigmoid(x),
    "sine": math.sin,
    "linear": lambda x: x,
    "step": lambda x: float(x > 0),
}


def test_each_has_a_formula():
    assert list(ACTIVATIONS) == list(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_its_values_are_those_of_its_formula(name):
    np.testing.assert_allclose(ACTIVATIONS[name](jnp.float32(X)), [*map(FORMULAS[name], X)], rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", FORMULAS)
def test_its_slopes_are_those_of_its_formula(name):
    near = 1e-5
    differences = [(FORMULAS[name](x + near) - FORMULAS[name](x - near)) / (2 * near) for x in X]
    slopes = jax.vmap(jax.grad(ACTIVATIONS[name]))(jnp.float32(X))
    np.testing.assert_allclose(slopes, differences, rtol=1e-4, atol=1e-6)


def test_no_gradient_comes_back_through_a_hard_step_not_even_at_the_step():
    assert jax.vmap(jax.grad(ACTIVATIONS["step"]))(jnp.array([-1.0, 0.0, 1.0])).tolist() == [0.0, 0.0, 0.0]
