"""Flax nnx, Flax linen and Equinox: models fold into their modules, and every gradient agrees."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.check import Checker
from engine.fold import fold, layers
from engine.trace import in_floats

nn = pytest.importorskip("flax.linen")
nnx = pytest.importorskip("flax.nnx")
eqx = pytest.importorskip("equinox")

POINTS = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
IMAGES = np.random.default_rng(1).normal(size=(2, 6, 6, 1)).astype(np.float32)
WORDS = np.random.default_rng(2).normal(size=(1, 4, 8)).astype(np.float32)
KEY = jax.random.key(0)


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A loss with its arguments, the parameters first, and the layers that one expects to see in this order."""

    name: str
    build: Callable[[], tuple[Any, ...]]
    layers: tuple[str, ...]

    @cached_property
    def made(self) -> tuple[Any, ...]:
        """The loss, and its arguments."""
        return self.build()

    @cached_property
    def graph(self) -> engine.Graph:
        fun, *args = self.made
        return engine.trace(fun, *args)


# ---- Flax linen ------------------------------------------------------------------------------------------------------


class LinenMLP(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2, name="head")(nn.tanh(nn.Dense(5)(x)))


class LinenConv(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.avg_pool(nn.relu(nn.Conv(4, (3, 3))(x)), (2, 2), (2, 2))
        return nn.Dense(2)(x.reshape(x.shape[0], -1))


class LinenBlock(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(2)(nn.LayerNorm()(x))
        return x + nn.Dense(8)(nn.gelu(nn.Dense(16)(nn.LayerNorm()(x))))


class LinenGRU(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.RNN(nn.GRUCell(4))(x)


def linen(module: Any, x: Any) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, KEY, x)  # initialising op by op takes seconds
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape, scale=0.5).astype(leaf.dtype), shapes)
    return lambda params, x: jnp.mean(module.apply(params, x) ** 2), params, x


# ---- Flax nnx --------------------------------------------------------------------------------------------------------


class NnxMLP(nnx.Module):
    def __init__(self, rngs):
        self.first, self.head = nnx.Linear(3, 5, rngs=rngs), nnx.Linear(5, 2, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.tanh(self.first(x)))


class NnxConv(nnx.Module):
    def __init__(self, rngs):
        self.conv, self.head = nnx.Conv(1, 4, (3, 3), rngs=rngs), nnx.Linear(36, 2, rngs=rngs)

    def __call__(self, x):
        x = nnx.avg_pool(nnx.relu(self.conv(x)), (2, 2), (2, 2))
        return self.head(x.reshape(x.shape[0], -1))


class NnxBlock(nnx.Module):
    def __init__(self, rngs):
        self.before, self.after = nnx.LayerNorm(8, rngs=rngs), nnx.LayerNorm(8, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 8, rngs=rngs, decode=False)
        self.up, self.down = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 8, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.before(x))
        return x + self.down(nnx.gelu(self.up(self.after(x))))


class NnxGRU(nnx.Module):
    def __init__(self, rngs):
        self.rnn = nnx.RNN(nnx.GRUCell(8, 4, rngs=rngs))

    def __call__(self, x):
        return self.rnn(x, initial_carry=jnp.zeros((1, 4)))


def split(module: Any, x: Any) -> tuple[Any, ...]:
    graph, params, rest = nnx.split(module, nnx.Param, ...)
    return lambda params, x, rest: jnp.mean(nnx.merge(graph, params, rest)(x) ** 2), params, x, rest


# ---- Equinox ---------------------------------------------------------------------------------------------------------


class EqxConv(eqx.Module):
    conv: Any
    head: Any

    def __init__(self, key):
        self.conv, self.head = eqx.nn.Conv2d(1, 4, 3, key=key), eqx.nn.Linear(16, 2, key=key)

    def __call__(self, x):
        return self.head(eqx.nn.AvgPool2d(2, 2)(jax.nn.relu(self.conv(x))).reshape(-1))


class EqxBlock(eqx.Module):
    norm: Any
    attention: Any
    up: Any
    down: Any

    def __init__(self, key):
        self.norm, self.attention = eqx.nn.LayerNorm(8), eqx.nn.MultiheadAttention(2, 8, key=key)
        self.up, self.down = eqx.nn.Linear(8, 16, key=key), eqx.nn.Linear(16, 8, key=key)

    def __call__(self, x):
        h = jax.vmap(self.norm)(x)
        x = x + self.attention(h, h, h)
        return x + jax.vmap(lambda row: self.down(jax.nn.gelu(self.up(row))))(x)


class EqxGRU(eqx.Module):
    cell: Any

    def __call__(self, xs):
        return jax.lax.scan(lambda h, x: (self.cell(x, h), None), jnp.zeros(4), xs)[0]


def partition(module: Any, x: Any) -> tuple[Any, ...]:
    params, static = eqx.partition(module, eqx.is_inexact_array)
    return lambda params, x: jnp.mean(jax.vmap(eqx.combine(params, static))(x) ** 2), params, x


class EqxAttention(eqx.Module):
    attention: eqx.nn.MultiheadAttention
    head: eqx.nn.Linear

    def __init__(self, key):
        self.attention, self.head = eqx.nn.MultiheadAttention(2, 8, key=key), eqx.nn.Linear(8, 2, key=key)

    def __call__(self, x):
        return jax.vmap(self.head)(self.attention(x, x, x))


def whole(module: Any, x: Any) -> tuple[Any, ...]:
    """A model as it stands, with the rates and switches of its dropout in it."""
    fun, args = in_floats(lambda params, x: jnp.mean(jax.vmap(params)(x) ** 2), (module, x))
    return fun, *args


CHANNELS_FIRST = IMAGES.transpose(0, 3, 1, 2)
BLOCK = ("Linear · up", "gelu", "Linear · down")
MODELS = [
    Model("linen-mlp", lambda: linen(LinenMLP(), POINTS), ("Dense_0", "head")),
    Model("linen-conv", lambda: linen(LinenConv(), IMAGES), ("Conv_0", "relu", "avg_pool", "Dense_0")),
    Model(
        "linen-block",
        lambda: linen(LinenBlock(), WORDS),
        ("LayerNorm_0", "query", "key", "value", "dot_product_attention", "out", "LayerNorm_1", "Dense_1", "gelu"),
    ),
    Model("linen-gru", lambda: linen(LinenGRU(), WORDS), ("body_fn × 4",)),
    Model("nnx-mlp", lambda: split(NnxMLP(nnx.Rngs(0)), POINTS), ("Linear · first", "tanh", "Linear · head")),
    Model(
        "nnx-conv",
        lambda: split(NnxConv(nnx.Rngs(0)), IMAGES),
        ("Conv · conv", "relu", "avg_pool", "Linear · head"),
    ),
    Model(
        "nnx-block",
        lambda: split(NnxBlock(nnx.Rngs(0)), WORDS),
        ("LayerNorm · before", "LinearGeneral · attention.query", "dot_product_attention", "LayerNorm · after", *BLOCK),
    ),
    Model("nnx-gru", lambda: split(NnxGRU(nnx.Rngs(0)), WORDS), ("GRUCell",)),
    Model(
        "equinox-mlp",
        lambda: partition(eqx.nn.MLP(3, 2, 5, 1, key=KEY), POINTS),
        ("Linear · layers.0", "relu", "Linear · layers.1"),
    ),
    Model(
        "equinox-whole",
        lambda: whole(EqxAttention(KEY), WORDS),
        ("Linear · attention.query_proj.weight", "Linear · attention.output_proj.weight", "Linear · head"),
    ),
    Model("equinox-conv", lambda: partition(EqxConv(KEY), CHANNELS_FIRST), ("Conv · conv", "relu", "Linear · head")),
    Model("equinox-block", lambda: partition(EqxBlock(KEY), WORDS), ("LayerNorm · norm", *BLOCK)),
    Model("equinox-gru", lambda: partition(EqxGRU(eqx.nn.GRUCell(8, 4, key=KEY)), WORDS), ("GRUCell",)),
]
first_and_rest = pytest.mark.parametrize(
    "model",
    [pytest.param(m, id=m.name, marks=() if m.name.endswith("mlp") else pytest.mark.slow) for m in MODELS],
)
PROVED = ("linen-gru", "nnx-block", "equinox-whole", "equinox-conv", "equinox-gru")
each_library_and_kind = pytest.mark.parametrize(
    "model",  # beside the small ones; their operations are the corpus', which every JAX is asked for
    [
        pytest.param(m, id=m.name, marks=pytest.mark.once if m.name in PROVED else ())
        for m in MODELS
        if m.name in PROVED or m.name.endswith("mlp")
    ],
)


@first_and_rest
def test_a_model_folds_into_its_modules(model):
    graph = model.graph
    parameters = [id for id in graph.inputs if graph.node(id).name.startswith("params")]
    seen = [box.label for box in fold(graph, layers(graph, parameters), parameters).boxes]
    rest = iter(seen)
    assert all(layer in rest for layer in model.layers), seen


@first_and_rest
def test_every_equation_of_a_module_lies_in_a_fold(model):
    outside = {node.op for node in model.graph.nodes if not node.scope and node.op not in ("input", "constant")}
    assert outside == {"integer_pow"}


@pytest.mark.slow
@each_library_and_kind
def test_every_gradient_of_a_model_agrees(model):
    fun, *args = model.made
    mine, exact = (jax.jit(derive(fun))(*args) for derive in (engine.value_and_grad, jax.value_and_grad))
    report = Checker.of(fun, (tuple(args), {}), mine[2]).report((tuple(args), {}), mine, exact)
    assert report.ok, f"\n{report}"


@pytest.mark.parametrize(
    ("name", "leaf"),
    [
        ("linen-mlp", "params.params.head.kernel"),
        ("nnx-mlp", "params.head.kernel"),
        ("equinox-mlp", "params.layers.1.weight"),
    ],
)
def test_parameters_are_named_by_their_path(name, leaf):
    graph = next(model for model in MODELS if model.name == name).graph
    assert leaf in [graph.node(id).name.removesuffix(".value") for id in graph.inputs]
