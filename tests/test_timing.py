"""Measured beside counted."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.timing import measure

W = np.full((128, 128), 0.01, np.float32)


def net(params, x, kind):
    for w in params:
        x = {"tanh": jnp.tanh}[kind](x @ w)
    return jnp.sum(x)


def test_a_loss_is_timed_in_three_forms():
    found = measure(net, [W] * 3, np.ones((64, 128), np.float32), "tanh", repeats=3)
    assert min(found.forward, found.reverse, found.forward_mode) > 0


def test_a_form_is_timed_for_what_it_does():
    def waits(gradient):
        time.sleep(0.2)
        return np.asarray(gradient)

    slow = jax.custom_vjp(jnp.sin)
    slow.defvjp(lambda x: (jnp.sin(x), None), lambda _, g: (jax.pure_callback(waits, g, g),))
    found = measure(slow, np.float32(1), repeats=3)
    assert found.reverse > 0.2 > found.forward


def test_what_has_no_forward_mode_is_timed_without_it():
    double = jax.custom_vjp(lambda x: x * 2)
    double.defvjp(lambda x: (double(x), None), lambda _, g: (g * 2,))
    assert measure(lambda x: jnp.sum(double(x)), W, repeats=1).forward_mode is None


def test_what_is_no_loss_says_so():
    with pytest.raises(engine.NotScalarError):
        measure(jnp.sin, W)
