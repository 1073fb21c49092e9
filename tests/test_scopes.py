"""How a model folds: its own functions, named scopes, jitted names, library functions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.calls import Call
from engine.scopes import paths
from tests.programs import CASES
from tests.programs.networks import mlp, transformer

VECTOR = np.ones(3, np.float32)


def dense(layer, x):
    return x @ layer["w"] + layer["b"]


def layers(count: int) -> dict:
    return {"layers": [{"w": np.ones((3, 3), np.float32), "b": VECTOR} for _ in range(count)]}


def labels(fun, *args) -> dict[str, str]:
    return {scope.id: scope.label for scope in engine.trace(fun, *args).scopes}


def case_args(fun):
    return next(case.args for case in CASES if case.fun is fun)


def test_repeated_calls_are_labelled_with_the_parameters_they_use():
    found = labels(mlp, *case_args(mlp))
    assert [found[name] for name in ("dense", "dense_1", "dense_2")] == [
        "dense · layers.0",
        "dense · layers.1",
        "dense · layers.2",
    ]


def test_blocks_of_a_list_are_labelled_with_the_argument_too():
    found = labels(transformer, *case_args(transformer))
    assert found["_attention"] == "_attention · blocks.0"
    assert found["_attention_1"] == "_attention · blocks.1"


def test_a_function_that_uses_no_parameter_keeps_its_name():
    assert labels(transformer, *case_args(transformer))["_norm_1"] == "_norm_1"


def test_a_parameter_used_through_a_loop_labels_what_uses_it():
    def loss(params, xs):
        def cell(h, x):
            return jnp.tanh(dense(params["a"], h) + dense(params["b"], x)), None

        return jnp.sum(jax.lax.scan(cell, jnp.zeros(3), xs)[0])

    params = dict(zip("ab", layers(2)["layers"], strict=True))
    found = labels(loss, params, np.ones((4, 3), np.float32))
    assert found == {"cell": "cell × 4", "cell/dense": "dense · a", "cell/dense_1": "dense · b"}


def test_a_named_scope_is_a_fold():
    def loss(x):
        with jax.named_scope("head"):
            y = jnp.sin(x) * 2
        return jnp.sum(y)

    graph = engine.trace(loss, VECTOR)
    assert [(scope.id, scope.kind) for scope in graph.scopes] == [("head", "named")]
    assert [node.scope for node in graph.nodes] == ["", "head", "head", ""]


def test_a_named_scope_inside_a_function_lies_inside_its_fold():
    def head(x):
        x = x * 3.0
        with jax.named_scope("inside"):
            return jnp.sin(x) * 2

    assert list(labels(lambda x: jnp.sum(head(x)), VECTOR)) == ["head", "head/inside"]


def test_a_function_called_in_a_named_scope_lies_inside_that():
    def twice(x):
        return jnp.sin(x) * 2

    def loss(x):
        with jax.named_scope("outside"):
            return jnp.sum(twice(x) * x)

    assert list(labels(loss, VECTOR)) == ["outside", "outside/twice"]


def test_named_scopes_nest():
    def loss(x):
        with jax.named_scope("a"), jax.named_scope("b"):
            return jnp.sum(jnp.sin(x))

    assert list(labels(loss, VECTOR)) == ["a", "a/b"]


def test_two_named_scopes_of_one_name_are_told_apart():
    def loss(x):
        for _ in range(2):
            with jax.named_scope("step"):
                x = jnp.sin(x) * 2
            x = x + 1
        return jnp.sum(x)

    assert list(labels(loss, VECTOR)) == ["step", "step_1"]


def test_a_slash_in_a_name_makes_no_level():
    def step(x):
        return jnp.sin(x) * 2

    step.__name__ = step.__qualname__ = "in/out"
    assert list(labels(lambda x: jnp.sum(jax.jit(step)(x)), VECTOR)) == ["in.out"]


def test_vmap_leaves_the_names_as_they_are():
    def row(x):
        with jax.named_scope("row"):
            return jnp.sin(x) * 2

    assert list(labels(lambda x: jnp.sum(jax.vmap(row)(x) * 2), np.ones((2, 3), np.float32))) == ["row"]


def test_a_jitted_function_is_a_fold_with_its_name():
    @jax.jit
    def encode(x):
        return jnp.sin(x) * 2

    graph = engine.trace(lambda x: jnp.sum(encode(encode(x))), VECTOR)
    assert [(scope.id, scope.kind) for scope in graph.scopes] == [("encode", "jit"), ("encode_1", "jit")]


@pytest.mark.parametrize("function", [jax.nn.softmax, jax.nn.log_softmax, jax.nn.standardize, jax.nn.gelu])
def test_a_library_function_is_one_fold_that_opens_into_primitives(function):
    graph = engine.trace(lambda x: jnp.sum(function(x) * x), VECTOR)
    (scope,) = [scope for scope in graph.scopes if not scope.parent]
    assert (scope.name, scope.kind) == (function.__name__, "library")
    assert len(graph.members(scope.id)) > 2


def test_inside_a_library_function_no_other_is_a_fold():
    def loss(x):
        return jnp.sum(jnp.var(x, axis=-1))

    assert [scope.id for scope in engine.trace(loss, np.ones((2, 3), np.float32)).scopes] == ["var"]


# ---- the nesting itself ----------------------------------------------------------------------------------------------


def call(name: str, number: int, kind: str = "function") -> Call:
    return Call(name, kind, number)


def shown(found) -> list[str]:
    return ["/".join(token.name for token in path) for path in found]


def test_what_contains_more_of_the_program_is_further_out():
    called = [(call("f", 0),), (call("f", 0),), (call("f", 0),)]
    assert shown(paths(called, ["", "s", ""], [False] * 3)) == ["f", "f/s", "f"]
    called = [(), (call("f", 0),), ()]
    assert shown(paths(called, ["s", "s", "s"], [False] * 3)) == ["s", "s/f", "s"]


def test_a_named_scope_that_a_module_made_names_its_call():
    found = paths([(call("Dense", 0, "module"),)], ["Dense_0"], [False])
    assert [(token.name, token.kind) for token in found[0]] == [("Dense_0", "module")]


def test_a_module_that_fills_a_named_scope_is_named_by_it():
    found = paths([(call("Dense", 0, "module"),)] * 2, ["head"] * 2, [False] * 2)
    assert [(token.name, token.kind) for token in found[0]] == [("head", "module")]


def test_a_module_that_does_not_fill_a_named_scope_stays():
    found = paths([(call("Dense", 0, "module"),), ()], ["head"] * 2, [False] * 2)
    assert shown(found) == ["head/Dense", "head"]


def test_what_transformations_wrapped_around_a_name_is_left_out():
    assert shown(paths([()], ["jvp(vmap(encoder))"], [False])) == ["encoder"]


def test_a_library_function_around_one_operation_is_left_out():
    library = call("mean", 0, "library")
    assert shown(paths([(library,)], [""], [False])) == [""]
    assert shown(paths([(library,), (library,)], ["", ""], [False, False])) == ["mean", "mean"]
    assert shown(paths([(library,), (library,)], ["", ""], [False, True])) == ["", ""]
