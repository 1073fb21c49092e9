"""Losses of whole networks."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.programs.case import case, normal


def dense(layer, x):
    return x @ layer["w"] + layer["b"]


def _layers(*sizes: int) -> list[dict[str, Any]]:
    pairs = enumerate(itertools.pairwise(sizes))
    return [
        {"w": normal(n, m, seed=i) / np.float32(np.sqrt(n)), "b": normal(m, seed=i + 50) * 0.1} for i, (n, m) in pairs
    ]


@case({"layers": _layers(6, 8, 8, 3)}, normal(4, 6, seed=9), np.array([0, 2, 1, 1]), slow=True)
def mlp(params, x, labels):
    *hidden, last = params["layers"]
    for layer in hidden:
        x = jnp.tanh(dense(layer, x))
    logp = jax.nn.log_softmax(dense(last, x))
    return -jnp.mean(jnp.take_along_axis(logp, labels[:, None], 1))


def _attention(x, w):
    q, k, v = (x @ w[name] for name in "qkv")
    scores = q @ k.T / np.sqrt(q.shape[-1])
    return jax.nn.softmax(jnp.where(jnp.tril(jnp.ones_like(scores)) > 0, scores, -1e9)) @ v


def _norm(x):
    return (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)


@case(
    [{n: normal(8, 8, seed=i + ord(n)) / np.float32(np.sqrt(8)) for n in "qkvo"} for i in range(2)],
    normal(5, 8, seed=7),
    slow=True,
)
def transformer(blocks, x):
    for block in blocks:
        x = x + _attention(_norm(x), block)
        x = x + jax.nn.gelu(_norm(x) @ block["o"])
    return jnp.mean(x**2)


@case([{n: normal(4, 4, seed=i + ord(n)) / 2 for n in "qko"} for i in range(3)], normal(4, seed=7), slow=True)
def scan_over_layers(blocks, x):
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *blocks)
    x, _ = lax.scan(lambda x, b: (x + jnp.tanh(x @ b["q"]) @ b["o"] * jax.nn.sigmoid(x @ b["k"]), None), x, stacked)
    return jnp.sum(x**2)


@case({n: normal(7, 4, seed=ord(n)) * 0.5 for n in "zrh"}, normal(5, 3, seed=7), slow=True)
def gated_recurrent(w, xs):
    def gru(h, x):
        both = jnp.concatenate([h, x])
        z, r = jax.nn.sigmoid(both @ w["z"]), jax.nn.sigmoid(both @ w["r"])
        new = jnp.tanh(jnp.concatenate([r * h, x]) @ w["h"])
        return (1 - z) * h + z * new, new

    h, _ = lax.scan(gru, jnp.zeros(4), xs)
    return jnp.sum(h**2)
