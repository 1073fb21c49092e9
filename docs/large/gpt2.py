"""GPT-2 small as published: 124,439,808 parameters, drawn at random, and its loss on one short text.

Run: ``backprop-explorer serve docs/large/gpt2.py:loss`` (needs Flax: ``pip install flax``).
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

VOCABULARY, CONTEXT, WIDTH, HEADS, BLOCKS = 50257, 1024, 768, 12, 12
TOKENS = 64
"""Of the text that the loss is taken on; the model would take up to ``CONTEXT``."""


class Attention(nn.Module):
    @nn.compact
    def __call__(self, x):
        length = x.shape[-2]
        qkv = nn.Dense(3 * WIDTH, name="c_attn")(x)
        q, k, v = (part.reshape(*part.shape[:-1], HEADS, WIDTH // HEADS) for part in jnp.split(qkv, 3, axis=-1))
        scores = jnp.einsum("...qhd,...khd->...hqk", q, k) / jnp.sqrt(WIDTH // HEADS)
        scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -1e9)
        mixed = jnp.einsum("...hqk,...khd->...qhd", nn.softmax(scores), v)
        return nn.Dense(WIDTH, name="c_proj")(mixed.reshape(x.shape))


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x):
        hidden = nn.gelu(nn.Dense(4 * WIDTH, name="c_fc")(x))
        return nn.Dense(WIDTH, name="c_proj")(hidden)


class Block(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = x + Attention(name="attn")(nn.LayerNorm(name="ln_1")(x))
        return x + MLP(name="mlp")(nn.LayerNorm(name="ln_2")(x))


class GPT2(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        words = nn.Embed(VOCABULARY, WIDTH, name="wte")
        places = nn.Embed(CONTEXT, WIDTH, name="wpe")
        x = words(tokens) + places(jnp.arange(tokens.shape[-1]))
        for number in range(BLOCKS):
            x = Block(name=f"h_{number}")(x)
        return words.attend(nn.LayerNorm(name="ln_f")(x))


def cross_entropy(logits, targets):
    return -jnp.mean(jnp.take_along_axis(nn.log_softmax(logits), targets[..., None], axis=-1))


def loss(params, tokens):
    logits = GPT2().apply({"params": params}, tokens[:, :-1])
    return cross_entropy(logits, tokens[:, 1:])


def shapes():
    """The parameters as shapes: they take no memory, and a trace needs no more."""
    tokens = jax.ShapeDtypeStruct((1, TOKENS), jnp.int32)
    return jax.eval_shape(GPT2().init, jax.random.key(0), tokens)["params"]


def traced_args():
    """What a trace needs of the arguments."""
    return shapes(), jax.ShapeDtypeStruct((1, TOKENS + 1), jnp.int32)


def drawn(path, leaf, random):
    """Numbers for one parameter; NumPy has half a gigabyte of them in a second."""
    kind = path[-1].key
    if kind in ("kernel", "embedding"):
        return 0.02 * random.standard_normal(leaf.shape, np.float32)
    return np.full(leaf.shape, kind == "scale", np.float32)


def loss_args():
    random = np.random.default_rng(0)
    params = jax.tree_util.tree_map_with_path(lambda path, leaf: drawn(path, leaf, random), shapes())
    return params, random.integers(0, VOCABULARY, (1, TOKENS + 1), np.int32)
