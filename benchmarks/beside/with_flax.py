"""The workloads in Flax: ``capture_intermediates`` keeps every module's output, ``perturb`` its gradient.

Outputs are perturbed where Flax sees all modules, in ``intercept_methods``, so that models stay as one writes them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.workloads import BLOCKS, HEADS, SYMBOLS, WIDTH, Workload

Array = Any
Params = dict[str, Any]


class Bend(nn.Module):
    """An activation as a module, so that its output is kept too."""

    function: Callable[[Array], Array]

    def __call__(self, x: Array) -> Array:
        return self.function(x)


class Mlp(nn.Module):
    """Dense layers."""

    sizes: Sequence[int]
    function: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for size in self.sizes[:-1]:
            x = Bend(self.function)(nn.Dense(size)(x))
        return nn.Dense(self.sizes[-1])(x)


class Conv(nn.Module):
    """Two convolutions, a mean over two by two pixels, scores."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for size in (16, 32):
            x = Bend(nn.relu)(nn.Conv(size, (3, 3))(x))
        return nn.Dense(10)(nn.avg_pool(x, (2, 2), (2, 2)).reshape(len(x), -1))


def _linear(size: int) -> nn.Module:
    return nn.Dense(size, use_bias=False)


def _norm() -> nn.Module:
    return nn.LayerNorm(1e-5, use_bias=False)


class Attention(nn.Module):
    """Each moment looks back at those up to it."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        q, k, v = jnp.split(_linear(3 * WIDTH)(x).reshape(*x.shape[:2], HEADS, -1), 3, axis=-1)
        mixed = nn.dot_product_attention(q, k, v, mask=np.tri(x.shape[1], dtype=bool))
        return _linear(WIDTH)(mixed.reshape(x.shape))


class Block(nn.Module):
    """Look back, then think."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = x + Attention()(_norm()(x))
        inner = Bend(nn.gelu)(_linear(4 * WIDTH)(_norm()(x)))
        return x + _linear(WIDTH)(inner)


class Transformer(nn.Module):
    """Embedding, blocks, and scores by the same embedding."""

    @nn.compact
    def __call__(self, text: Array) -> Array:
        embed = nn.Embed(SYMBOLS, WIDTH)
        x = embed(text) + self.param("place", nn.initializers.zeros, (text.shape[1], WIDTH))
        for _ in range(BLOCKS):
            x = Block()(x)
        return embed.attend(_norm()(x))


class Recurrent(nn.Module):
    """The cell at each moment, scanned."""

    @nn.compact
    def __call__(self, xs: Array) -> Array:
        stacked = {"intermediates": 0, "perturbations": 0}
        hidden = nn.RNN(nn.SimpleCell(64), time_major=True, variable_axes=stacked)(xs)
        return _linear(1)(hidden[-1])


# ---- the workload's own weights ------------------------------------------------------------------------------------


def _dense(layer: Params) -> Params:
    return {"kernel": layer["w"], "bias": layer["b"]}


def _each(kind: str, entries: Sequence[Params]) -> Params:
    """As Flax names them where no name is given."""
    return {f"{kind}_{place}": entry for place, entry in enumerate(entries)}


def _of_mlp(layers: list[Params]) -> Params:
    return _each("Dense", [_dense(layer) for layer in layers])


def _of_conv(params: Params) -> Params:
    return _each("Conv", [_dense(layer) for layer in params["convs"]]) | {"Dense_0": _dense(params)}


def _of_block(block: Params) -> Params:
    attention, dense = (
        _each("Dense", [{"kernel": block[name]} for name in names]) for names in (("qkv", "out"), ("up", "down"))
    )
    norms = _each("LayerNorm", [{"scale": block[name]} for name in ("norm_1", "norm_2")])
    return norms | dense | {"Attention_0": attention}


def _of_transformer(params: Params) -> Params:
    ends = {"Embed_0": {"embedding": params["embed"]}, "LayerNorm_0": {"scale": params["norm"]}}
    return _each("Block", [_of_block(block) for block in params["blocks"]]) | ends | {"place": params["place"]}


def _of_recurrent(params: Params) -> Params:
    cell = {"i": {"kernel": params["w"], "bias": params["b"]}, "h": {"kernel": params["u"]}}
    return {"SimpleCell_0": cell, "Dense_0": {"kernel": params["v"]}}


# ---- the step ------------------------------------------------------------------------------------------------------


def _cross_entropy(scores: Array, labels: Array) -> Array:
    return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()


def _squared(answers: Array, wanted: Array) -> Array:
    return ((answers - wanted) ** 2).mean()


@dataclasses.dataclass(frozen=True)
class Model:
    """A workload in Flax: its modules, its weights there, and the distance to what is wanted."""

    module: nn.Module
    weights: Callable[[Any], Params]
    distance: Callable[[Array, Array], Array] = _cross_entropy


MODELS = {
    "spiral": Model(Mlp((8, 8, 8, 2), nn.tanh), _of_mlp),
    "digits": Model(Mlp((128, 128, 10), nn.relu), _of_mlp),
    "conv": Model(Conv(), _of_conv),
    "transformer": Model(Transformer(), _of_transformer),
    "recurrent": Model(Recurrent(), _of_recurrent, _squared),
}


def _perturbed(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
    """What a module gives, plus a zero whose gradient is that of the output."""
    out = call(*args, **kwargs)
    return context.module.perturb("out", out) if context.method_name == "__call__" else out


class Step:
    """A jitted training step, as one writes it."""

    def __init__(self, name: str, workload: Workload) -> None:
        self.model, self.batch = MODELS[name], jax.device_put(workload.batch)
        params = jax.device_put(self.model.weights(workload.params))
        self.state, self.zeros = (params, workload.optimiser.init(params)), self.perturbations()

        def step(state: Any, zeros: Params, *batch: Array) -> Any:
            slope = jax.value_and_grad(self.distance, argnums=(0, 1), has_aux=True)
            (loss, kept), (grads, arrived) = slope(state[0], zeros, *batch)
            updates, memory = workload.optimiser.update(grads, state[1], state[0])
            return (optax.apply_updates(state[0], updates), memory), (loss, kept, arrived)

        self.step = jax.jit(step)

    def perturbations(self) -> Params:
        """What is added to outputs to have their gradients: nothing."""
        return {}

    def answers(self, params: Params, zeros: Params, x: Array) -> tuple[Array, Params]:
        """The model's, and what it keeps beside them."""
        return self.model.module.apply({"params": params}, x), zeros

    def distance(self, params: Params, zeros: Params, x: Array, y: Array) -> tuple[Array, Params]:
        """The loss, and what is kept beside it."""
        answers, kept = self.answers(params, zeros, x)
        return self.model.distance(answers, y), kept

    def loss(self) -> float:
        """The loss now."""
        return float(self.distance(self.state[0], self.zeros, *self.batch)[0])

    def __call__(self) -> Any:
        """Take it."""
        self.state, recorded = self.step(self.state, self.zeros, *self.batch)
        return jax.block_until_ready(recorded)


class Kept(Step):
    """The same; every module's output and its gradient are kept."""

    def perturbations(self) -> Params:
        with nn.intercept_methods(_perturbed):
            zeros: Params = self.model.module.init(jax.random.key(0), self.batch[0])["perturbations"]
        return zeros

    def answers(self, params: Params, zeros: Params, x: Array) -> tuple[Array, Params]:
        given = {"params": params, "perturbations": zeros}
        with nn.intercept_methods(_perturbed):
            answers, kept = self.model.module.apply(given, x, capture_intermediates=True, mutable=["intermediates"])
        return answers, kept["intermediates"]
