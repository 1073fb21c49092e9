"""``engine.value_and_grad`` returns what JAX's does, or says in one sentence why it can't."""

from __future__ import annotations

import dataclasses
from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.custom_derivatives import linear_call

import engine

X = np.array([0.5, -1.0, 2.0], np.float32)
Layer = namedtuple("Layer", "w b")


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Affine:
    w: object
    b: object


def agrees(fun, *args, argnums=0, has_aux=False, **kwargs):
    """Value, gradients and structure are JAX's, to the last bit or to rounding."""
    mine = engine.value_and_grad(fun, argnums=argnums, has_aux=has_aux)(*args, **kwargs)
    exact = jax.value_and_grad(fun, argnums=argnums, has_aux=has_aux)(*args, **kwargs)
    assert jax.tree.structure(mine[:2]) == jax.tree.structure(exact)
    for found, wanted in zip(jax.tree.leaves(mine[:2]), jax.tree.leaves(exact), strict=True):
        assert jnp.result_type(found) == jnp.result_type(wanted)
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=2e-6, atol=1e-7)
    return mine


def product(x, y, z):
    return jnp.sum(x * y) * z


def test_the_first_argument_is_differentiated():
    agrees(product, X, X, 2.0)


@pytest.mark.parametrize("argnums", [1, -1, (0, 2), (2, 0), (1,), [0, 1], ()])
def test_any_arguments_can_be_asked_for(argnums):
    mine = engine.value_and_grad(product, argnums=argnums)(X, X, 2.0)
    exact = jax.grad(product, argnums=argnums)(X, X, 2.0) if argnums != () else ()
    assert jax.tree.structure(mine[1]) == jax.tree.structure(exact)
    for found, wanted in zip(jax.tree.leaves(mine[1]), jax.tree.leaves(exact), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_aux_comes_beside_the_value():
    def loss(x):
        return jnp.sum(x * x), {"double": x * 2, "n": jnp.arange(2)}

    (value, aux), _, reading = agrees(loss, X, has_aux=True)
    assert float(value) == 5.25
    np.testing.assert_array_equal(aux["double"], X * 2)
    np.testing.assert_array_equal(reading.grad("mul"), np.ones(3))


def test_keyword_arguments_are_passed_on():
    agrees(lambda x, scale: jnp.sum(x) * scale, X, scale=3.0)


def test_keyword_arguments_have_gradients_to_read():
    reading = engine.value_and_grad(lambda x, scale: jnp.sum(x) * scale)(X, scale=3.0)[2]
    assert float(reading.grad("scale")) == X.sum()


@pytest.mark.parametrize(
    "params",
    [
        {"w": X, "b": 2.0},
        [X, 2.0],
        (X, 2.0),
        Layer(X, 2.0),
        Affine(X, 2.0),
        {"w": X, "b": 2.0, "none": None, "deep": [(), {}]},
    ],
    ids=["dict", "list", "tuple", "namedtuple", "dataclass", "empty leaves"],
)
def test_gradients_have_the_arguments_structure(params):
    def loss(params):
        w, b = jax.tree.leaves(params)[-2:] if not isinstance(params, dict) else (params["w"], params["b"])
        return jnp.sum(w) * b

    agrees(loss, params)


def test_a_leaf_that_is_no_array_gets_none():
    grads = engine.value_and_grad(lambda p: jnp.sum(p["w"]))({"w": X, "kind": "relu"})[1]
    assert grads["kind"] is None
    np.testing.assert_array_equal(grads["w"], np.ones(3))


def test_static_arguments_by_closure():
    depth, activation = 3, jnp.tanh

    def loss(x):
        for _ in range(depth):
            x = activation(x)
        return jnp.sum(x)

    agrees(loss, X)


@pytest.mark.parametrize("number", [2.0, 2 + 0j, np.float32(2), np.float64(2)], ids=repr)
def test_python_and_numpy_numbers_are_arguments(number):
    agrees(lambda x: jnp.abs(x) ** 3, number)


def test_nan_and_infinity_travel_as_jax_makes_them():
    agrees(lambda x: jnp.sum(jnp.log(x) * x), np.array([0.0, -1.0, np.inf, 2.0, np.nan], np.float32))


def test_nothing_is_masked_behind_a_where():
    value, grads, _ = agrees(lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0), np.float32(0))
    assert float(value) == 0.0
    assert np.isnan(grads)


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.float32, np.complex64])
def test_each_precision(dtype):
    agrees(lambda x: jnp.sum(jnp.abs(x * x)).astype(jnp.float32), X.astype(dtype))


def test_double_precision():
    with jax.enable_x64(True):
        _, grads, _ = agrees(lambda x: jnp.sum(x**3), X.astype(np.float64))
        assert grads.dtype == np.float64


def test_the_wrapper_keeps_the_name_and_the_docstring():
    assert engine.value_and_grad(agrees).__name__ == "agrees"
    assert engine.value_and_grad(agrees).__doc__ == agrees.__doc__


def test_an_argument_without_effect_gets_zeros():
    _, grads, _ = agrees(lambda x, y: jnp.sum(y), X, X)
    np.testing.assert_array_equal(grads, np.zeros(3))


def test_an_argument_that_is_an_empty_array():
    agrees(lambda x: jnp.sum(x), np.zeros((0, 2), np.float32))


# ---- what can't be ---------------------------------------------------------------------------------------------------


def vector(x):
    return x * 2


def integer(n):
    return jnp.sum(n)


def boolean(x):
    return jnp.all(x > 0)


def complicated(x):
    return jnp.sum(x) + 1j


def pair(x):
    return jnp.sum(x), x


def mapping(x):
    return {"loss": jnp.sum(x)}


def nothing(x):
    return None


ONE = "a loss is one real number"
NOT_SCALAR = {
    vector: f"vector returned float32[3]; {ONE}. Reduce it: return jnp.mean(...) of it, or jnp.sum(...).",
    boolean: f"boolean returned bool[]; {ONE}. Return a float.",
    complicated: f"complicated returned complex64[]; {ONE}. Return jnp.abs(...) or its real part.",
    pair: f"pair returned a tuple of 2; {ONE}; pass has_aux=True to keep the rest beside it.",
    mapping: f"mapping returned a dict of 1; {ONE}.",
    nothing: f"nothing returned nothing; {ONE}.",
}


@pytest.mark.parametrize("function", NOT_SCALAR, ids=lambda f: f.__name__)
def test_what_is_no_loss_is_named_with_what_to_write(function):
    with pytest.raises(engine.NotScalarError) as caught:
        engine.value_and_grad(function)(X)
    assert str(caught.value) == NOT_SCALAR[function]


def test_an_integer_loss_is_refused():
    with pytest.raises(engine.NotScalarError) as caught:
        engine.value_and_grad(integer)(np.arange(3))
    assert str(caught.value) == "integer returned int32[]; a loss is one real number. Return a float."


def test_aux_needs_a_pair():
    with pytest.raises(engine.NotScalarError) as caught:
        engine.value_and_grad(vector, has_aux=True)(X)
    assert str(caught.value) == "vector returned float32[3]; with has_aux=True it must return (loss, aux)."


def test_a_nameless_function_is_called_the_function():
    with pytest.raises(engine.NotScalarError) as caught:
        engine.value_and_grad(lambda x: x)(X)
    assert str(caught.value).startswith("the function returned float32[3]; ")


def test_an_integer_argument_is_refused_by_name():
    def loss(params, x):
        return jnp.sum(params["n"] * x)

    with pytest.raises(engine.NotDifferentiableError) as caught:
        engine.value_and_grad(loss)({"n": np.arange(3)}, X)
    assert str(caught.value) == (
        "loss can't be differentiated in params.n: it is int32, and only floating-point arrays have gradients. "
        "Pass it as a float, or differentiate another argument (argnums=...)."
    )


@pytest.mark.parametrize("argnums", [3, -4, (0, 7)])
def test_an_argument_that_was_not_given_is_refused(argnums):
    with pytest.raises(engine.NotDifferentiableError) as caught:
        engine.value_and_grad(product, argnums=argnums)(X, X, 2.0)
    assert str(caught.value) == f"product was called with 3 positional arguments; argnums={argnums!r}."


def growing(x):
    return lax.while_loop(lambda v: v < 10.0, lambda v: v * 2, jnp.sum(x))


def test_a_while_loop_on_the_way_is_named_with_its_line():
    with pytest.raises(engine.NotDifferentiableError) as caught:
        engine.value_and_grad(growing)(X)
    line = growing.__code__.co_firstlineno + 1
    assert str(caught.value) == (
        f"growing can't be differentiated through the while_loop at {__file__}:{line}: JAX doesn't keep the steps of "
        "a loop that may run any number of times. Write lax.scan, or fori_loop with Python numbers as bounds."
    )


def test_any_other_refusal_is_jaxs_own_reason():
    def hosted(x):
        return jnp.sum(jax.pure_callback(lambda v: v, jax.ShapeDtypeStruct((3,), np.float32), x))

    with pytest.raises(engine.NotDifferentiableError) as caught:
        engine.value_and_grad(hosted)(X)
    assert str(caught.value).startswith("hosted can't be differentiated: ValueError: Pure callbacks do not support JVP")


def residual(y, x):
    return linear_call(lambda y, x: x * y, lambda y, g: g * y, y, x)


def test_to_the_residuals_of_a_linear_call_nothing_is_sent_back():
    _, _, reading = agrees(lambda x, y: jnp.sum(residual(y, x) * y), X, X + 1)
    sent = reading.contributions("y")
    assert [part.tolist() for part in sent.values()] == [[0, 0, 0], (X * (X + 1)).tolist()]


def test_of_what_a_custom_vjp_closes_over_only_the_other_uses_send_something_back():
    weights = np.arange(1, 4, dtype=np.float32)
    scaled = jax.custom_vjp(lambda x: x * weights)
    scaled.defvjp(lambda x: (x * weights, None), lambda _, g: (g * weights,))
    _, _, reading = agrees(lambda x: jnp.sum(scaled(x) * weights), X)
    sent = reading.contributions("constant")
    assert [part.tolist() for part in sent.values()] == [[0, 0, 0], (X * weights).tolist()]


def test_a_rule_that_says_nothing_of_what_is_differentiated_is_named():
    def silent(x):
        return jnp.sum(residual(jnp.sin(x), x))

    with pytest.raises(engine.NotDifferentiableError) as caught:
        engine.value_and_grad(silent)(X)
    line = residual.__code__.co_firstlineno + 1
    assert str(caught.value) == (
        f"silent can't be differentiated through residual/linear_call ({__file__}:{line}): its own rule has no "
        "derivative for sin, which the function computes. Pass sin to it as an argument that has one."
    )


def test_a_rule_that_holds_on_to_an_argument_is_named():
    def holding(x, y):
        scaled = jax.custom_vjp(lambda x: x * y)
        scaled.defvjp(lambda x: (x * y, None), lambda _, g: (g * y,))
        return jnp.sum(scaled(x))

    with pytest.raises(engine.NotDifferentiableError, match="its own rule has no derivative for y, which the function"):
        engine.value_and_grad(holding, argnums=(0, 1))(X, X)


def test_what_stands_off_the_way_is_gone_round():
    def beside(x, y):
        host = jax.pure_callback(lambda v: np.asarray(v) * 2, jax.ShapeDtypeStruct((3,), np.float32), y)
        return jnp.sum(x * host)

    _, _, reading = agrees(beside, X, X)
    with pytest.raises(engine.NoGradientError) as caught:
        reading.grad("y")
    line = beside.__code__.co_firstlineno + 1
    assert str(caught.value) == (
        f"y has no gradient to read: it would come back through pure_callback ({__file__}:{line}). "
        "JAX has no reverse-mode derivative for pure_callback."
    )


def test_what_stands_beside_it_off_the_way_is_read_all_the_same():
    def beside(x, y):
        host = jax.pure_callback(lambda v: np.asarray(v), jax.ShapeDtypeStruct((3,), np.float32), y)
        return jnp.sum(x * host * (y * 2 + 1))

    _, _, reading = agrees(beside, X, X)
    (callback,) = (node.id for node in reading.graph.nodes if node.op == "pure_callback")
    assert reading.plan.cut == {callback}
    np.testing.assert_allclose(reading.grad("add"), X * X)


def test_an_error_while_tracing_is_a_trace_error():
    with pytest.raises(engine.TraceError) as caught:
        engine.value_and_grad(lambda x: jnp.sum(x @ jnp.ones(4)))(X)
    assert str(caught.value).startswith("the function could not be traced: TypeError: dot_general requires contracting")


def test_every_refusal_is_an_engine_error():
    for error in (engine.NotScalarError, engine.NotDifferentiableError, engine.NoGradientError):
        assert issubclass(error, engine.EngineError)
