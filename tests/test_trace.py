"""Tracing: any function, any arguments, nothing computed."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.trace import flatten, in_floats

VECTOR = np.ones(3, np.float32)
Point = namedtuple("Point", "x y")


def loss(w, x):
    return jnp.sum(jnp.tanh(w * x))


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Layer:
    w: object
    b: object


def names(graph: engine.Graph) -> list[str]:
    return [graph.node(id).name for id in graph.inputs]


def test_shapes_alone_give_the_same_graph():
    shape = jax.ShapeDtypeStruct((3,), np.float32)
    assert engine.trace(loss, shape, shape) == engine.trace(loss, VECTOR, VECTOR)


def test_shapes_too_large_for_any_memory_trace():
    huge = jax.ShapeDtypeStruct((1 << 20, 1 << 20), np.float32)
    assert engine.trace(loss, huge, huge).node("tanh").shape == (1 << 20, 1 << 20)


def test_nothing_is_run():
    ran = []

    def noisy(x):
        jax.debug.callback(lambda _: ran.append(1), x)
        return jnp.sum(x)

    engine.trace(noisy, VECTOR)
    jax.effects_barrier()
    assert ran == []


def test_shape_dtype_and_op_of_each_node():
    graph = engine.trace(loss, VECTOR, VECTOR)
    rows = [(node.op, node.kind, node.shape, node.dtype) for node in graph.nodes]
    assert rows == [
        ("input", "input", (3,), "float32"),
        ("input", "input", (3,), "float32"),
        ("mul", "op", (3,), "float32"),
        ("tanh", "op", (3,), "float32"),
        ("reduce_sum", "op", (), "float32"),
    ]


def test_the_source_is_the_users_line():
    node = engine.trace(loss, VECTOR, VECTOR).node("tanh")
    file, line = node.source.rsplit(":", 1)
    assert file == __file__
    assert int(line) == loss.__code__.co_firstlineno + 1


def test_the_source_passes_over_library_code():
    def smooth(x):
        return jax.nn.softmax(x)[0]

    node = engine.trace(smooth, VECTOR).node("softmax/exp")
    assert node.source == f"{__file__}:{smooth.__code__.co_firstlineno + 1}"


def test_argument_leaves_are_named_by_parameter_and_path():
    def model(params, point, *rest, scale=1.0):
        return params["layers"][1].w * point.y * rest[1] * scale

    params = {"layers": [Layer(1.0, None), Layer(2.0, 3.0)]}
    graph = engine.trace(model, params, Point(1.0, 2.0), 3.0, 4.0, scale=5.0)
    expected = ["params.layers.0.w", "params.layers.1.w", "params.layers.1.b"]
    assert names(graph) == [*expected, "point.x", "point.y", "rest.0", "rest.1", "scale"]


def test_keyword_arguments_come_after_positional_ones_in_order():
    graph = engine.trace(lambda x, **options: x + options["b"] * options["a"], 1.0, b=2.0, a=3.0)
    assert names(graph) == ["x", "a", "b"]


def test_a_partial_knows_its_own_parameters():
    graph = engine.trace(partial(loss, VECTOR), VECTOR)
    assert graph.name == "loss"
    assert names(graph) == ["x"]


def test_a_function_without_a_signature_numbers_its_arguments():
    assert names(engine.trace(jnp.hypot, 1.0, 2.0)) in (["arg0", "arg1"], ["x1", "x2"])


def test_what_is_no_array_stays_as_it_is():
    def choose(x, options):
        return jax.nn.relu(x) if options["kind"] == "relu" and options["none"] is None else x

    graph = engine.trace(choose, 1.0, {"kind": "relu", "none": None, "call": max})
    assert names(graph) == ["x"]
    assert graph.node("relu").kind == "custom"


def test_arrays_and_the_rest_are_told_apart():
    found = flatten(loss, ({"a": VECTOR, "b": "text", "c": True}, 3), {})
    assert found.arrays == (0, 3)
    assert [leaf.name for leaf in found.names] == ["w.a", "w.b", "w.c", "x"]
    args, kwargs = found.unflatten([1, 2])
    assert args == ({"a": 1, "b": "text", "c": True}, 2)
    assert kwargs == {}


def test_a_closed_over_array_is_a_constant():
    graph = engine.trace(lambda x: x * VECTOR, VECTOR)
    assert [(node.name, node.kind) for node in graph.nodes] == [("x", "input"), ("constant", "constant"), ("mul", "op")]


def test_what_a_closure_holds_is_read_at_every_trace():
    depth = 1

    def deep(x):
        for _ in range(depth):
            x = jnp.sin(x)
        return x

    assert len(engine.trace(deep, 1.0).nodes) == 2
    depth = 3
    assert len(engine.trace(deep, 1.0).nodes) == 4


def test_the_loss_may_be_an_argument():
    graph = engine.trace(lambda x: x, 1.0)
    assert graph.outputs == graph.inputs == ("%0",)
    assert graph.consumers("x") == (engine.OUTPUT,)


def test_the_loss_may_be_a_number():
    graph = engine.trace(lambda x: jnp.float32(3), 1.0)
    (out,) = graph.outputs
    assert graph.node(out).op == "constant"


def test_several_results_are_all_outputs_and_the_first_is_the_loss():
    graph = engine.trace(lambda x: (x * 2, {"aux": x + 1}), 1.0)
    assert [graph.node(id).name for id in graph.outputs] == ["mul", "add"]
    assert graph.consumers("mul") == (engine.OUTPUT,)
    assert graph.consumers("add") == ()


def test_branching_on_an_array_says_what_to_write():
    def branchy(x):
        return x if x > 0 else -x

    with pytest.raises(engine.TraceError) as caught:
        engine.trace(branchy, 1.0)
    line = branchy.__code__.co_firstlineno + 1
    assert str(caught.value) == (
        "branchy could not be traced: TracerBoolConversionError: Attempted boolean conversion of traced array with "
        f"shape bool[] (test_trace.py:{line}). JAX traces the function once for all inputs, so Python "
        "can't branch on an array's value or turn it into a NumPy array: write jax.lax.cond, jax.lax.scan or "
        "jnp.where, or close over the value as a static one."
    )


def test_any_error_of_the_function_is_one_sentence_with_its_cause():
    def broken(x):
        raise LookupError("no such thing")

    with pytest.raises(engine.TraceError) as caught:
        engine.trace(broken, 1.0)
    line = broken.__code__.co_firstlineno + 1
    assert str(caught.value) == f"broken could not be traced: LookupError: no such thing (test_trace.py:{line})"
    assert isinstance(caught.value.__cause__, LookupError)


def test_an_error_of_many_lines_is_one_line_and_not_long():
    def broken(x):
        raise LookupError("no such thing\n  as this:\n" + "word " * 100)

    with pytest.raises(engine.TraceError) as caught:
        engine.trace(broken, 1.0)
    said = str(caught.value)
    assert said.startswith("broken could not be traced: LookupError: no such thing as this: word word")
    assert "\n" not in said
    assert len(said) < 300
    assert "… (test_trace.py:" in said


def test_an_error_of_the_call_itself_has_no_line():
    with pytest.raises(engine.TraceError) as caught:
        engine.trace(lambda x, y: x, 1.0)
    assert str(caught.value).endswith("missing 1 required positional argument: 'y'")


def test_a_trace_error_is_an_engine_error_and_a_type_error():
    assert issubclass(engine.TraceError, engine.EngineError)
    assert issubclass(engine.TraceError, TypeError)


# ---- models as they are ----------------------------------------------------------------------------------------------


MODEL = {"w": VECTOR, "act": jnp.tanh, "training": True, "rate": 0.5, "none": None, "count": 3}


def test_of_a_model_the_arrays_alone_are_differentiated():
    def loss(model, x):
        assert model["training"] is True
        assert model["none"] is None
        return jnp.sum(model["act"](model["w"] * x)) * model["rate"] * model["count"]

    fun, args = in_floats(loss, (MODEL, VECTOR))
    assert args[0] == dict.fromkeys(MODEL) | {"w": VECTOR}
    assert names(engine.trace(fun, *args)) == ["model.w", "x"]
    assert fun(*args) == loss(MODEL, VECTOR)


def test_the_function_of_a_model_folds_as_before():
    def scaled(model, x):
        return model["w"] * x

    def loss(model, x):
        return jnp.sum(scaled(model, x))

    fun, args = in_floats(loss, (MODEL, VECTOR))
    graph = engine.trace(fun, *args)
    assert (graph.name, [scope.id for scope in graph.scopes]) == ("loss", ["scaled"])


@pytest.mark.parametrize(
    "first", [VECTOR, 2.0, {"w": VECTOR, "scale": 0.5, "b": None}, np.arange(3), {"act": jnp.tanh}]
)
def test_what_jax_takes_or_has_no_weights_stays_as_it_is(first):
    args = (first, VECTOR)
    assert in_floats(loss, args) == (loss, args)


def test_a_python_switch_is_no_array():
    def loss(x, training):
        return jnp.sum(x) if training else x[0]

    assert names(engine.trace(loss, VECTOR, True)) == ["x"]
