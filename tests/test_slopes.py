"""Slopes of activations from forward values, against JAX's own derivative."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.layers import Flow, layers
from engine.numbers import Numbers
from engine.slopes import activations, is_activation, slope

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
PARAMS = {"a": {"w": np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)}, "b": {"w": np.eye(4, 2)}}

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "gelu": jax.nn.gelu,
    "exact gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "swish": jax.nn.swish,
    "elu": jax.nn.elu,
    "softplus": jax.nn.softplus,
    "sine": jnp.sin,
    "square": jnp.square,
    "cube": lambda z: z**3,
    "maximum": lambda z: jnp.maximum(z, 0.1),
    "clip": lambda z: jnp.clip(z, -0.5, 0.5),
    "softsign": jax.nn.soft_sign,
    "hard tanh": jax.nn.hard_tanh,
    "mish": lambda z: z * jnp.tanh(jax.nn.softplus(z)),
    "bump": lambda z: jnp.exp(-(z**2)),
    "log": lambda z: jnp.log1p(jnp.abs(z)),
    "where": lambda z: jnp.where(z > 0, z, 0.3 * z),
}


def measured(activation):
    """The activation part behind the first layer, the numbers, and the pre-activations."""

    def loss(params, x):
        return jnp.mean((activation(x @ params["a"]["w"]) @ params["b"]["w"]) ** 2)

    _, _, reading = jax.jit(engine.value_and_grad(loss))(PARAMS, X)
    found = activations(reading.graph, reading.graph.inputs[:2])
    return Numbers(reading), found, X @ PARAMS["a"]["w"]


@pytest.fixture(scope="module")
def every():
    """A net of two layers for each activation, all in one program, and their derivatives."""
    z = X @ PARAMS["a"]["w"]

    def loss(params, x):
        outs = [act(x @ params[name]["a"]["w"]) @ params[name]["b"]["w"] for name, act in ACTIVATIONS.items()]
        return sum(jnp.mean(out**2) for out in outs)

    _, _, reading = jax.jit(engine.value_and_grad(loss))(dict.fromkeys(ACTIVATIONS, PARAMS), X)
    ids = reading.graph.inputs[: 2 * len(ACTIVATIONS)]
    wanted = jax.jit(lambda z: {name: jax.vmap(jax.vmap(jax.grad(act)))(z) for name, act in ACTIVATIONS.items()})(z)
    names = {layer.output: reading.graph.node(layer.weights[0]).name for layer in layers(reading.graph, ids)}
    parts = {names[output].split(".")[1]: found for output, found in activations(reading.graph, ids).items()}
    return Numbers(reading), parts, wanted


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_slope_is_jaxs_derivative(every, name):
    numbers, parts, wanted = every
    (part,) = parts[name]
    np.testing.assert_allclose(slope(numbers, part.start, part.inner), wanted[name], rtol=1e-4, atol=1e-6)


def test_no_gradient_is_looked_at():
    numbers, found, _ = measured(jnp.tanh)
    ((part,),) = found.values()
    numbers.reading.grads.clear()
    assert slope(numbers, part.start, part.inner) is not None


def test_a_rule_of_the_users_own_has_no_slope_to_tell():
    @jax.custom_vjp
    def straight_through(z):
        return jnp.tanh(z)

    straight_through.defvjp(lambda z: (jnp.tanh(z), None), lambda _, g: (g,))
    numbers, found, _ = measured(straight_through)
    ((part,),) = found.values()
    assert slope(numbers, part.start, part.inner) is None


LINEAR = {
    "identity": lambda z: z,
    "scaling": lambda z: 3.0 * z,
    "shift": lambda z: z - 1.0,
    "centring": lambda z: z - z.mean(-1, keepdims=True),
}


@pytest.mark.parametrize("name", LINEAR)
def test_what_bends_nothing_or_mixes_entries_is_no_activation(name):
    assert measured(LINEAR[name])[1] == {}


def test_dropout_is_no_activation():
    mask = np.random.default_rng(0).integers(0, 2, (8, 4)).astype(bool)
    assert measured(lambda z: jnp.where(mask, 2 * z, 0.0))[1] == {}


def test_a_learned_slope_is_an_activation():
    def loss(slope, z):
        return jnp.sum(jnp.where(z > 0, z, slope * z))

    graph = engine.trace(loss, np.float32(0.2), X)
    flow = Flow(graph, graph.inputs[:1])
    inner = [node.id for node in graph.nodes if node.op in ("mul", "select_n")]
    assert is_activation(flow, graph.inputs[1], inner)
    assert not is_activation(Flow(graph, ()), graph.inputs[1], [*inner, graph.outputs[0]])
