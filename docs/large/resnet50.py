"""ResNet-50 as published: 25,557,032 parameters, drawn at random, and its loss on one picture of noise.

Run: ``backprop-explorer serve docs/large/resnet50.py:loss`` (needs Flax: ``pip install flax``).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

STAGES = (3, 4, 6, 3)
CLASSES = 1000
PICTURES, SIZE = 1, 224

Conv = partial(nn.Conv, use_bias=False)
Norm = partial(nn.BatchNorm, use_running_average=False)


class Bottleneck(nn.Module):
    filters: int
    stride: int

    @nn.compact
    def __call__(self, x):
        y = nn.relu(Norm(name="bn_1")(Conv(self.filters, (1, 1), name="conv_1")(x)))
        y = nn.relu(Norm(name="bn_2")(Conv(self.filters, (3, 3), self.stride, name="conv_2")(y)))
        y = Norm(name="bn_3")(Conv(4 * self.filters, (1, 1), name="conv_3")(y))
        if x.shape != y.shape:
            x = Norm(name="bn_shortcut")(Conv(4 * self.filters, (1, 1), self.stride, name="conv_shortcut")(x))
        return nn.relu(x + y)


class Stage(nn.Module):
    filters: int
    blocks: int
    stride: int

    @nn.compact
    def __call__(self, x):
        for number in range(self.blocks):
            x = Bottleneck(self.filters, self.stride if number == 0 else 1, name=f"block_{number}")(x)
        return x


class ResNet50(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(Norm(name="bn")(Conv(64, (7, 7), 2, padding=3, name="conv")(x)))
        x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for number, blocks in enumerate(STAGES):
            x = Stage(64 * 2**number, blocks, 1 if number == 0 else 2, name=f"stage_{number}")(x)
        return nn.Dense(CLASSES, name="head")(jnp.mean(x, axis=(-3, -2)))


def cross_entropy(logits, labels):
    return -jnp.mean(jnp.take_along_axis(nn.log_softmax(logits), labels[:, None], axis=-1))


def loss(params, averages, pictures, labels):
    logits, _ = ResNet50().apply({"params": params, "batch_stats": averages}, pictures, mutable=["batch_stats"])
    return cross_entropy(logits, labels)


def shapes():
    """Parameters and moving averages as shapes: they take no memory, and a trace needs no more."""
    pictures = jax.ShapeDtypeStruct((PICTURES, SIZE, SIZE, 3), jnp.float32)
    variables = jax.eval_shape(ResNet50().init, jax.random.key(0), pictures)
    return variables["params"], variables["batch_stats"]


def traced_args():
    """What a trace needs of the arguments."""
    pictures = jax.ShapeDtypeStruct((PICTURES, SIZE, SIZE, 3), jnp.float32)
    return *shapes(), pictures, jax.ShapeDtypeStruct((PICTURES,), jnp.int32)


def drawn(path, leaf, random):
    """Numbers for one parameter: He's scale, drawn by NumPy in a moment."""
    kind = path[-1].key
    if kind == "kernel":
        return random.standard_normal(leaf.shape, np.float32) * np.float32(np.sqrt(2 / np.prod(leaf.shape[:-1])))
    return np.full(leaf.shape, kind in ("scale", "var"), np.float32)


def loss_args():
    random = np.random.default_rng(0)
    variables = jax.tree_util.tree_map_with_path(lambda path, leaf: drawn(path, leaf, random), shapes())
    pictures = random.standard_normal((PICTURES, SIZE, SIZE, 3), np.float32)
    return *variables, pictures, random.integers(0, CLASSES, PICTURES, np.int32)
