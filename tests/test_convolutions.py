"""Convolutions inside loops: the same numbers, and every one in the layout that is computed fast."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from engine.convolutions import straightened
from tests.programs import normal

LAYOUTS = ("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("CHWN", "IHWO", "NHWC")


def gradient(layout, **options):
    """A convolution's loss, differentiated in pictures and kernel, and the two."""
    shapes = {"N": 5, "H": 7, "W": 6, "C": 4, "I": 4 // options.get("feature_group_count", 1), "O": 8}
    picture = normal(*(shapes[axis] for axis in layout[0]))
    kernel = normal(*({**shapes, "H": 3, "W": 2}[axis] for axis in layout[1]))

    def loss(picture, kernel):
        made = lax.conv_general_dilated(picture, kernel, dimension_numbers=layout, **options)
        return jnp.sum(jnp.sin(made))

    return jax.grad(loss, argnums=(0, 1)), (picture, kernel)


def layouts(jaxpr) -> list:
    """Of every convolution in a program and in those inside it, whether batch, places and channels stand in order."""
    found = []
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "conv_general_dilated":
            rows, _, *places = eqn.params["dimension_numbers"].lhs_spec
            found.append([rows, *places] == sorted([rows, *places]) and rows == 0)
        for param in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            inner = getattr(param, "jaxpr", param)
            found += layouts(inner) if hasattr(inner, "eqns") else []
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "options",
    [
        {"window_strides": (1, 1), "padding": "SAME"},
        {"window_strides": (2, 1), "padding": "VALID"},
        {"window_strides": (1, 1), "padding": ((1, 2), (0, 1)), "rhs_dilation": (2, 1)},
        {"window_strides": (1, 2), "padding": "SAME", "feature_group_count": 2},
    ],
)
def test_gradients_are_the_same(layout, options):
    fun, args = gradient(layout, **options)
    for found, wanted in zip(jax.jit(straightened(fun))(*args), jax.jit(fun)(*args), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


@pytest.mark.cpu
def test_the_gradient_of_a_kernel_is_turned_round():
    fun, args = gradient(LAYOUTS[0], window_strides=(1, 1), padding="SAME")
    assert False in layouts(jax.make_jaxpr(fun)(*args).jaxpr)
    assert set(layouts(jax.make_jaxpr(straightened(fun))(*args).jaxpr)) == {True}


@pytest.mark.cpu
def test_programs_inside_are_straightened_too():
    fun, (picture, kernel) = gradient(LAYOUTS[1], window_strides=(1, 1), padding="SAME")

    def steps(asked, kernel):
        def step(kernel, _):
            return kernel - lax.cond(asked, jax.jit(lambda: 1e-3 * fun(picture, kernel)[1]), lambda: 0 * kernel), None

        return lax.scan(step, kernel, length=2)[0]

    made = layouts(jax.make_jaxpr(straightened(steps))(True, kernel).jaxpr)
    assert made
    assert all(made)
    np.testing.assert_allclose(straightened(steps)(True, kernel), steps(True, kernel), rtol=1e-4, atol=1e-4)


def test_what_has_no_convolution_is_the_same_program():
    def fun(tree, power):
        return {"y": tree["x"] ** power if tree["how"] == "power" else 0, "none": None}

    given = {"x": jnp.arange(3.0), "how": "power"}
    made = straightened(fun)(given, 2)
    assert made["none"] is None
    assert made["y"].tolist() == [0, 1, 4]


@pytest.mark.cpu
def test_xla_leaves_it_as_it_was_turned():
    fun, args = gradient(LAYOUTS[0], window_strides=(1, 1), padding="SAME")

    def crooked(fun):
        looped = jax.jit(lambda *args: lax.fori_loop(0, 2, lambda _, args: tuple(fun(*args)), args))
        return looped.lower(*args).compile().as_text().count("dim_labels=f01b_i01o")

    assert crooked(fun) == 1
    assert crooked(straightened(fun)) == 0
