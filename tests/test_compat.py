"""What differs between versions of JAX, seen the same from outside."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from engine import compat

X = np.ones(3, np.float32)


def equation(fun, *args):
    return jax.make_jaxpr(fun)(*args).eqns[-1]


def soft(x):
    rule = jax.custom_jvp(jnp.sin)
    rule.defjvp(lambda p, t: (jnp.sin(p[0]), t[0]))
    return rule(x)


FORMS = {
    "jit": lambda x: jax.jit(jnp.sin)(x),
    "remat": lambda x: jax.checkpoint(jnp.sin)(x),
    "scan": lambda x: lax.scan(lambda c, v: (c + v, None), jnp.float32(0), x)[0],
    "cond": lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x),
    "while": lambda x: lax.while_loop(lambda v: v[0] < 9, lambda v: v * 2, x),
    "custom": soft,
    "op": jnp.sin,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_an_equation(form):
    assert compat.form(equation(FORMS[form], X)) == form


@pytest.mark.parametrize(
    ("form", "count"), [("jit", 1), ("remat", 1), ("scan", 1), ("cond", 2), ("while", 2), ("custom", 1), ("op", 0)]
)
def test_the_programs_inside_an_equation(form, count):
    found = compat.bodies(equation(FORMS[form], X))
    assert len(found) == count
    assert all(hasattr(body, "jaxpr") and hasattr(body, "consts") for body in found)


@pytest.mark.parametrize(("reverse", "unroll"), [(False, 1), (True, 2)])
def test_the_parts_of_a_scan_are_told_by_rank(reverse, unroll):
    def loop(w, c, xs):
        return lax.scan(lambda c, x: ((c[0] * w, c[1] + 1), x), c, xs, reverse=reverse, unroll=unroll)

    parts = compat.scan_parts(equation(loop, X, (X, 1.0), np.ones((4, 3), np.float32)))
    assert parts == compat.ScanParts(consts=1, carry=2, length=4, reverse=reverse, unroll=unroll)


def test_the_parts_of_a_scan_without_inputs():
    parts = compat.scan_parts(equation(lambda x: lax.scan(lambda c, _: (c * 2, None), x, None, length=3), X))
    assert (parts.consts, parts.carry, parts.length) == (0, 1, 3)


def test_the_constants_of_a_while():
    def loop(a, b, x):
        return lax.while_loop(lambda v: v < a, lambda v: v * b * b, x)

    assert compat.while_parts(equation(loop, 1.0, 2.0, 3.0)) == (1, 1)


def test_a_function_name_and_its_file():
    def inner(x):
        return jnp.sin(x)

    (body,) = compat.bodies(equation(lambda x: jax.jit(inner)(x), X))
    assert compat.function_name(body) == ("inner", __file__)


def test_the_line_of_a_frame():
    def two_lines(x):
        y = jnp.sin(x)
        return jnp.cos(y)

    frame = next(f for f in compat.frames(equation(two_lines, X)) if f.code is two_lines.__code__)
    assert frame.line == two_lines.__code__.co_firstlineno + 2


def test_named_scopes_are_as_jax_writes_them():
    def scoped(x):
        with jax.named_scope("a"), jax.named_scope("b"):
            return jnp.sin(x)

    assert compat.name_stack(equation(scoped, X)) == "a/b"


def test_one_equation_runs_alone():
    closed = jax.make_jaxpr(lambda x: jnp.cos(jnp.sin(x)))(X)
    np.testing.assert_allclose(compat.evaluate(closed.eqns[0], closed.jaxpr, [X])[0], np.sin(X), rtol=1e-6)


def test_two_uses_of_one_variable_may_have_two_values():
    closed = jax.make_jaxpr(lambda x: x * x)(X)
    (found,) = compat.evaluate(closed.eqns[0], closed.jaxpr, [2 * X, 3 * X])
    np.testing.assert_array_equal(found, 6 * X)


def test_a_number_in_the_equation_stays():
    closed = jax.make_jaxpr(lambda x: x * 2.0)(X)
    np.testing.assert_array_equal(compat.evaluate(closed.eqns[0], closed.jaxpr, [X, 5.0])[0], 2 * X)


@pytest.mark.parametrize(
    ("value", "has"),
    [
        (np.float32(1), True),
        (np.complex64(1), True),
        (jnp.bfloat16(1), True),
        (np.int32(1), False),
        (np.bool_(True), False),
        (jax.random.key(0), False),
    ],
)
def test_only_floats_have_gradients(value, has):
    assert compat.has_gradient(jax.typeof(value)) is has


def test_a_key_is_a_key():
    assert compat.is_key(jax.typeof(jax.random.key(0)))
    assert not compat.is_key(jax.typeof(X))


def test_zeros_have_the_shape_asked_for():
    found = compat.zeros((4, 3), np.float32, jax.typeof(X))
    assert found.shape == (4, 3)
    assert not found.any()


def test_effects_are_noticed():
    assert compat.effects(jax.make_jaxpr(lambda x: jax.debug.print("{x}", x=x))(X))
    assert not compat.effects(jax.make_jaxpr(jnp.sin)(X))


def test_a_program_runs_as_it_is():
    np.testing.assert_array_equal(compat.jaxpr_outputs(jax.make_jaxpr(lambda x: x * X)(X), [2 * X])[0], 2 * X)


@pytest.mark.cpu
def test_a_function_apart_is_a_computation_of_its_own():
    def apart(x):
        return compat.apart(lambda x: (jnp.sin(x) * 2, jax.random.key(0)))(x + 1)[0]

    assert " call(" in jax.jit(apart).lower(X).compile().as_text()
    wanted = np.sin(X + 1) * 2
    for found in (apart(X), jax.jit(apart)(X), jax.vmap(apart)(X)):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_allclose(jax.vjp(apart, X)[1](X)[0], np.cos(X + 1) * 2, rtol=1e-6)
