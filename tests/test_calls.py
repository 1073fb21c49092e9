"""Which call of which function made an equation."""

from __future__ import annotations

import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine import calls, compat

VECTOR = np.ones(3, np.float32)


def dense(w, x):
    return jnp.tanh(x * w) + w


def block(layer, x):
    x = dense(layer["a"], x)
    return dense(layer["b"], x)


def scopes(fun, *args) -> list[str]:
    return [scope.id for scope in engine.trace(fun, *args).scopes]


def test_calls_one_after_another_are_told_apart():
    def loss(a, x):
        x = dense(a, x)
        x = dense(a, x)
        return jnp.sum(x)

    assert scopes(loss, VECTOR, VECTOR) == ["dense", "dense_1"]


def test_calls_on_one_line_are_told_apart():
    assert scopes(lambda a, x: jnp.sum(dense(a, dense(a, x))), VECTOR, VECTOR) == ["dense", "dense_1"]


def test_calls_in_a_loop_are_told_apart():
    def loss(layers, x):
        for w in layers:
            x = dense(w, x)
        return jnp.sum(x)

    assert scopes(loss, [VECTOR] * 3, VECTOR) == ["dense", "dense_1", "dense_2"]


def test_calls_in_a_comprehension_are_told_apart():
    def loss(layers, x):
        return jnp.sum(sum([dense(w, x) for w in layers]))

    assert scopes(loss, [VECTOR] * 3, VECTOR) == ["dense", "dense_1", "dense_2"]


def test_calls_within_repeated_calls_nest():
    def loss(blocks, x):
        for own in blocks:
            x = block(own, x)
        return jnp.sum(x)

    found = scopes(loss, [{"a": VECTOR, "b": VECTOR}] * 2, VECTOR)
    assert found == ["block", "block/dense", "block/dense_1", "block_1", "block_1/dense", "block_1/dense_1"]


def test_a_loop_inside_a_function_does_not_split_the_function():
    def stack(layers, x):
        for w in layers:
            x = jnp.sin(x * w)
        return x

    assert scopes(lambda p, x: jnp.sum(stack(p, x)), [VECTOR] * 3, VECTOR) == ["stack"]


def test_a_branch_of_python_that_goes_back_to_no_line_keeps_one_call():
    def residual(w, x):
        y = (
            jnp.sin(x * w)
            + x
        )  # fmt: skip
        return y * w

    assert scopes(lambda p, x: jnp.sum(residual(p, x)), VECTOR, VECTOR) == ["residual"]


def test_recursion_nests():
    def power(x, n):
        return x * power(x, n - 1) if n else x * 2.0

    assert scopes(lambda x: jnp.sum(power(x, 2)), VECTOR) == ["power", "power/power", "power/power/power"]


def test_a_checkpoint_with_static_arguments_is_one_fold():
    def layer(w, x, scale):
        return jnp.sin(x * w) * scale

    again = jax.checkpoint(layer, static_argnums=2)
    assert scopes(lambda w, x: jnp.sum(again(w, x, 2.0)), VECTOR, VECTOR) == ["layer"]


def test_lambdas_make_no_fold():
    double = lambda x: jnp.sin(x * 2.0)
    assert scopes(lambda x: jnp.sum(double(x)), VECTOR) == []


def test_a_method_call_is_named_after_its_class():
    class Dense:
        def __call__(self, x):
            return jnp.tanh(x * 2.0)

    assert scopes(lambda x: jnp.sum(Dense()(x)), VECTOR) == ["Dense"]


def test_a_library_function_of_several_operations_is_a_fold_and_one_of_one_is_none():
    assert scopes(lambda x: jnp.sum(jax.nn.softmax(jnp.sin(x))), VECTOR) == ["softmax"]


def test_indexing_is_called_indexing():
    assert scopes(lambda x, i: x[i] * 2.0, VECTOR, np.int32(1)) == ["index"]


def test_the_traced_function_itself_makes_no_fold():
    assert scopes(dense, VECTOR, VECTOR) == []


# ---- whose code it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "origin"),
    [(dense, "function"), (jax.nn.softmax, "library"), (types.SimpleNamespace, None), (engine.trace, "hidden")],
)
def test_code_belongs_to_the_user_to_a_library_or_to_the_engine(function, origin):
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    assert (calls.origin(code) if code else None) == origin


def test_the_standard_library_is_a_library():
    assert calls.is_library(types.__file__)
    assert calls.is_library(np.__file__)
    assert not calls.is_library(__file__)


def test_the_users_line_is_the_innermost_of_the_users_code():
    equation = jax.make_jaxpr(lambda x: jax.nn.relu6(x))(1.0).eqns[0]
    where = calls.user_line(compat.frames(equation))
    assert where.startswith(f"{__file__}:")


def test_without_a_call_stack_there_is_no_line():
    assert calls.user_line(()) == ""


def test_equations_made_in_one_call_hold_equal_calls():
    def loss(a, x):
        return jnp.sum(dense(a, dense(a, x)))

    equations = jax.make_jaxpr(loss)(VECTOR, VECTOR).eqns
    found = calls.calls([calls.Made(compat.frames(e), e.primitive.name, None) for e in equations])
    owners = [next((call for call in path if call.name == "dense"), None) for path in found]
    numbers = [owner.number if owner else None for owner in owners]
    assert numbers[0] == numbers[1] == numbers[2] != numbers[3]
    assert numbers[3] == numbers[4] == numbers[5]
    assert numbers[6] is None


def test_the_engine_is_never_on_the_stack_that_is_shown():
    graph = engine.trace(dense, VECTOR, VECTOR)
    assert all(node.source.startswith(sys.modules[__name__].__file__) for node in graph.nodes if node.kind == "op")
