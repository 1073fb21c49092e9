"""The corpus: losses of every kind that JAX can differentiate, each with arguments.

Every function takes its parameters first and returns one real number. They stay away from kinks, so that central
differences are an oracle too.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name


@dataclasses.dataclass(frozen=True)
class Case:
    """A loss and where to differentiate it."""

    name: str
    fun: Callable[..., Any]
    args: tuple[Any, ...]
    x64: bool = False


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def positive(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(0.5, 2.0, size=shape).astype(np.float32)


CASES: list[Case] = []


def case(*args: Any, x64: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(fun: Callable[..., Any]) -> Callable[..., Any]:
        CASES.append(Case(fun.__name__, fun, args, x64))
        return fun

    return add


# ---- arithmetic ----------------------------------------------------------------------------------------------------


@case(2.0, 3.0, 4.0)
def smallest(x, y, z):
    return (x + y) * z


@case(normal(3), normal(3, seed=1))
def arithmetic(x, y):
    return jnp.sum((x + y) * (x - y) / (1.5 + jnp.square(y)) - (-x))


@case(normal(5))
def fan_out(x):
    return jnp.sum(x * x + jnp.sin(x) * x)


@case(normal(4))
def same_operand_twice(x):
    return jnp.sum(x * x)


@case(normal(4))
def unused_value(x):
    jnp.exp(x)
    return jnp.sum(jnp.cos(x))


@case(normal(3), normal(3, seed=1))
def unused_argument(x, y):
    return jnp.sum(x**3)


@case(np.float32(1.25))
def identity(x):
    return x


@case(np.float32(1.25))
def constant_loss(x):
    return jnp.float32(3.0)


@case(positive(4))
def powers(x):
    return jnp.sum(x**3 + x**-2 + x**2.5 + 2.0**x + x**x)


@case(positive(4))
def elementary(x):
    terms = [jnp.exp(x), jnp.log(x), jnp.tanh(x), jax.nn.sigmoid(x), jnp.sqrt(x), lax.rsqrt(x), jnp.sin(x), jnp.cos(x)]
    terms += [jnp.expm1(x), jnp.log1p(x), jnp.arctan(x), jnp.sinh(x), jax.scipy.special.erf(x), jnp.cbrt(x), jnp.abs(x)]
    return sum(jnp.sum(term * (i + 1)) for i, term in enumerate(terms))


@case(normal(4, 5))
def reductions(x):
    return jnp.sum(x.max(0)) + x.min() + jnp.mean(x) + jnp.prod(1 + 0.1 * x) + jnp.var(x) + jnp.std(x, axis=1).sum()


@case(normal(6))
def cumulative(x):
    y = jnp.cumsum(x) + jnp.cumprod(1 + 0.1 * x) + lax.cumlogsumexp(x) + lax.cummax(x)
    return jnp.sum(y * jnp.arange(6.0))


@case(normal(5))
def maximum_and_clip(x):
    return jnp.sum(jnp.maximum(x, 0.1) * 2 + jnp.minimum(x, 0.3) + jnp.clip(x, -0.5, 0.5) ** 2)


# ---- linear algebra ------------------------------------------------------------------------------------------------


@case(normal(4, 3), normal(5, 4, seed=1))
def matrix_product(w, x):
    return jnp.sum(jnp.tanh(x @ w) ** 2)


@case(normal(2, 4, 3), normal(2, 3, 5, seed=1))
def batched_product(a, b):
    return jnp.sum(jnp.einsum("bij,bjk->bik", a, b) ** 2)


@case(normal(4))
def outer_and_inner(x):
    return jnp.sum(jnp.outer(x, x) ** 2) + jnp.vdot(x, x)


@case(normal(1, 8, 8, 2), normal(3, 3, 2, 4, seed=1) * 0.3)
def convolution(x, w):
    y = lax.conv_general_dilated(x, w, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jnp.sum(jnp.tanh(y) ** 2)


@case(normal(1, 6, 6, 1))
def pooling(x):
    pooled = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    mean = lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return jnp.sum(pooled**2) + jnp.sum(mean**3)


@case(normal(3, 3) + 3 * np.eye(3, dtype=np.float32), normal(3, seed=1))
def solve(a, b):
    return jnp.sum(jnp.linalg.solve(a, b) ** 2) + jnp.linalg.slogdet(a)[1]


@case(normal(3, 3))
def decompositions(a):
    spd = a @ a.T + 3 * jnp.eye(3)
    _, s, _ = jnp.linalg.svd(a + 3 * jnp.diag(jnp.arange(3.0)), full_matrices=False)
    return jnp.sum(jnp.linalg.cholesky(spd)) + jnp.sum(jnp.log(s)) + jnp.sum(jnp.linalg.eigvalsh(spd) ** 0.5)


@case(normal(8))
def fourier(x):
    spectrum = jnp.fft.rfft(x)
    return jnp.sum(jnp.abs(spectrum) ** 2 * jnp.arange(5.0))


# ---- choosing and moving -------------------------------------------------------------------------------------------


@case(normal(5, 3))
def indexing(x):
    return jnp.sum(x[1] ** 2) + x[2, 1] * 3 + jnp.sum(x[1:4, ::2] ** 3) + jnp.sum(x[jnp.array([0, 0, 4])] ** 2)


@case(normal(7, 4), np.array([1, 3, 3, 0]))
def embedding(table, tokens):
    return jnp.sum(jnp.tanh(table[tokens]) * jnp.arange(4.0))


@case(normal(5))
def updates(x):
    y = jnp.zeros(8).at[2:7].set(x).at[jnp.array([2, 2])].add(x[:2]).at[3].multiply(x[0])
    return jnp.sum(y**2)


@case(normal(3), normal(2, seed=1))
def joining(x, y):
    z = jnp.concatenate([x, y, x]) * jnp.arange(8.0)
    return jnp.sum(jnp.pad(z, 2, constant_values=1.0) ** 2) + jnp.sum(jnp.stack([x, 2 * x]) ** 3)


@case(normal(6))
def sorting(x):
    values, _ = lax.top_k(x, 3)
    return jnp.sum(jnp.sort(x) * jnp.arange(6.0)) + jnp.sum(values**2) + jnp.sum(x[jnp.argsort(x)[:2]])


@case(normal(2, 3, 4))
def shapes(x):
    y = x.reshape(6, 4).T[None, ::-1].squeeze(0)
    return jnp.sum(jnp.moveaxis(y.reshape(2, 2, 6), 0, 2) ** 2 * jnp.arange(6.0)[:, None])


@case(normal(6))
def splitting(x):
    a, b, c = jnp.split(x, 3)
    return jnp.sum(a * b) + jnp.sum(c**2)


@case(normal(6))
def selection(x):
    return jnp.sum(jnp.where(x > 0, jnp.sin(x), x**2)) + lax.select_n(jnp.array(1), x[0], x[1] ** 2)


@case(normal(4), normal(4, seed=1))
def dynamic_slices(x, y):
    i = jnp.argmax(y)
    z = lax.dynamic_update_slice(x, y[:2] ** 2, (1,))
    return jnp.sum(lax.dynamic_slice(z, (i // 2,), (2,)) ** 2)


# ---- where the flow is cut -----------------------------------------------------------------------------------------


@case(normal(4))
def stopped(x):
    return jnp.sum(lax.stop_gradient(jnp.exp(x)) * x)


@case(normal(4))
def flat_steps(x):
    return jnp.sum(x * jnp.round(x) + jnp.floor(x) + jnp.sign(x) * x**2)


@case(normal(5))
def integer_path(x):
    count = (x > 0).astype(jnp.int32).sum()
    return jnp.sum(x) * count + x[jnp.argmax(x)]


@case(normal(5), np.array([0, 1, 1, 0, 1]), np.array([True, False, True, True, False]))
def integer_and_boolean_arguments(x, n, mask):
    return jnp.sum(jnp.where(mask, x * n, x**2))


@case(normal(5))
def straight_through(x):
    hard = (x > 0).astype(x.dtype)
    return jnp.sum((x + lax.stop_gradient(hard - x)) * jnp.arange(5.0))


# ---- calls ---------------------------------------------------------------------------------------------------------


@jax.jit
def inner_jit(x, y):
    return jnp.sin(x) * y + x


@case(normal(3), normal(3, seed=1))
def jitted_twice(x, y):
    return jnp.sum(inner_jit(x, y) + inner_jit(y, x) * x)


@case(normal(3))
def jitted_nested(x):
    @jax.jit
    def outer(x):
        return inner_jit(x, x * 2) + x

    return jnp.sum(outer(x) * outer(2.0 * x))


@case(normal(3))
def jitted_passes_through(x):
    y, z = jax.jit(lambda a: (a, jnp.exp(a)))(x)
    return jnp.sum(y * z)


@case(normal(3))
def rematerialised(x):
    block = jax.checkpoint(lambda x: jnp.sin(jnp.cos(x) * x))
    return jnp.sum(block(block(x)))


@case(normal(3))
def remat_with_policy(x):
    policy = jax.checkpoint_policies.save_only_these_names("kept")

    @partial(jax.checkpoint, policy=policy)
    def block(x):
        return jnp.sin(checkpoint_name(jnp.exp(x), "kept")) * x

    return jnp.sum(block(block(x)))


@jax.custom_jvp
def softened(x):
    return jnp.log1p(jnp.exp(x))


@softened.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return softened(x), jax.nn.sigmoid(x) * dx


@case(normal(4))
def custom_jvp(x):
    return jnp.sum(softened(x) ** 2 + softened(2 * x))


@jax.custom_vjp
def clipped(x, limit):
    return x * limit


clipped.defvjp(
    lambda x, limit: (x * limit, (x, limit)), lambda res, g: (jnp.clip(g * res[1], -1, 1), jnp.sum(g * res[0]))
)


@case(normal(4), np.float32(1.5))
def custom_vjp(x, limit):
    return jnp.sum(clipped(x, limit) * 3.0 + x)


@case(normal(4))
def library_activations(x):
    return jnp.sum(
        jax.nn.relu(x) + jax.nn.gelu(x) + jax.nn.silu(x) + jax.nn.elu(x) + jax.nn.softplus(x) + jax.nn.selu(x)
    )


@case(normal(3, 4), np.array([0, 3, 1]))
def cross_entropy(logits, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))


@case(normal(3, 4))
def softmax_and_logsumexp(x):
    return jnp.sum(jax.nn.softmax(x) * jnp.arange(4.0)) + jnp.sum(jax.nn.logsumexp(x, axis=1))


@case(normal(3))
def gradient_inside(x):
    return jnp.sum(jax.grad(lambda y: jnp.sum(jnp.sin(y) ** 2))(x) ** 2)


@case(normal(3))
def hessian_vector_inside(x):
    f = lambda y: jnp.sum(jnp.tanh(y) ** 3)
    return jnp.sum(jax.jvp(jax.grad(f), (x,), (x,))[1])


@case(normal(4, 3))
def gradient_of_vmap_inside(x):
    return jnp.sum(jax.vmap(jax.grad(lambda row: jnp.sum(jax.nn.relu(row) ** 2)))(x) * x)


@case(normal(4, 3))
def vmapped_inside(x):
    return jnp.sum(jax.vmap(lambda row: jnp.sin(row) * row.sum())(x))


# ---- loops and branches --------------------------------------------------------------------------------------------


@case(normal(3, 3) * 0.5, normal(6, 3, seed=1))
def recurrent(w, xs):
    def cell(h, x):
        h = jnp.tanh(h @ w + x)
        return h, h * 2

    h, ys = lax.scan(cell, jnp.zeros(3), xs)
    return jnp.sum(h**2) + jnp.mean(ys)


@case(normal(5))
def scan_reversed(xs):
    carry, ys = lax.scan(lambda c, x: (c * 0.5 + jnp.sin(x), c * x), 1.0, xs, reverse=True)
    return carry + jnp.sum(ys**2)


@case(normal(3, 4))
def scan_nested(xs):
    def outer(c, row):
        inner, ys = lax.scan(lambda d, x: (jnp.sin(d + x), d * x), c, row)
        return inner * 0.9, ys.sum()

    c, sums = lax.scan(outer, 0.1, xs)
    return c + jnp.sum(sums**2)


@case(normal(3), normal(4, seed=1))
def scan_unrolled_shared(w, xs):
    c, ys = lax.scan(lambda c, x: (c + w * x, jnp.sum(c * w)), jnp.zeros(3), xs, unroll=2)
    return jnp.sum(c**2) + jnp.sum(ys)


@case(normal(3))
def scan_without_inputs(x):
    return jnp.sum(lax.scan(lambda c, _: (jnp.sin(c) + x, None), x, None, length=4)[0])


@case(normal(3))
def scan_of_zero_length(x):
    c, ys = lax.scan(lambda c, y: (c * 2, c.sum() * y), x, jnp.zeros((0,)))
    return jnp.sum(c) + jnp.sum(ys)


@case(normal(5, 2))
def mapped(xs):
    return jnp.sum(lax.map(lambda x: jnp.sin(x) * x.sum(), xs))


@case(normal(3))
def fori_static(x):
    return jnp.sum(lax.fori_loop(0, 5, lambda i, c: jnp.sin(c) + i * 0.1, x))


@case(normal(6))
def associative(x):
    return jnp.sum(lax.associative_scan(jnp.multiply, 1 + 0.1 * x) ** 2)


@case(normal(3), np.float32(0.5))
def branch_true(x, p):
    return jnp.sum(lax.cond(p > 0, lambda x: jnp.sin(x) * 2, lambda x: x**3, x))


@case(normal(3), np.float32(-0.5))
def branch_false(x, p):
    return jnp.sum(lax.cond(p > 0, lambda x: jnp.sin(x) * 2, lambda x: x**3, x) * x)


@case(normal(3), np.int32(2))
def switched(x, i):
    return jnp.sum(lax.switch(i, [jnp.sin, jnp.cos, lambda y: y * y * y, jnp.exp], x))


@case(normal(6))
def branch_in_scan(xs):
    def cell(c, x):
        c = lax.cond(x > 0, lambda c: jnp.sin(c) + x, lambda c: c * 0.5, c)
        return c, c

    c, ys = lax.scan(cell, 0.3, xs)
    return c + jnp.sum(ys**2)


@case(normal(3), np.float32(0.4))
def scan_in_branch(x, p):
    loop = lambda y: lax.scan(lambda c, v: (c + jnp.sin(v), c), 0.0, y)[0]
    return lax.cond(p > 0, loop, jnp.sum, x * 2)


@case(normal(3))
def while_of_integers(x):
    n = lax.while_loop(lambda i: i < 4, lambda i: i + 1, 0)
    return jnp.sum(jnp.sin(x) * n)


@case(normal(3), np.float32(2.0))
def while_beside(x, start):
    limit = lax.while_loop(lambda v: v < 50, lambda v: v * v, start)
    return jnp.sum(jnp.sin(x) * limit) + start


@case(normal(3))
def while_stopped(x):
    n = lax.while_loop(lambda s: s[0] < 10, lambda s: (s[0] + jnp.sum(s[1] ** 2), s[1]), (0.0, lax.stop_gradient(x)))[0]
    return jnp.sum(x**2) * n


@case(normal(3))
def fori_dynamic_beside(x):
    n = jnp.sum(x > 0)
    k = lax.fori_loop(0, n, lambda i, c: c + 1.0, 0.0)
    return jnp.sum(x) * k


# ---- numbers -------------------------------------------------------------------------------------------------------


@case(normal(4, dtype=jnp.bfloat16), normal(4, 4, seed=1, dtype=jnp.bfloat16))
def bfloat16(x, w):
    return jnp.sum(jnp.tanh(w @ x).astype(jnp.float32) ** 2)


@case(normal(4, dtype=np.float16))
def float16(x):
    return jnp.sum(jnp.sin(x) * x)


@case(normal(4), normal(4, 4, seed=1))
def mixed_precision(x, w):
    h = jnp.tanh(w.astype(jnp.bfloat16) @ x.astype(jnp.bfloat16))
    return jnp.mean(h.astype(jnp.float32) ** 2)


@case(normal(4, dtype=np.float64), normal(4, 4, seed=1, dtype=np.float64), x64=True)
def float64(x, w):
    return jnp.sum(jnp.tanh(w @ x) ** 2)


@case((normal(3) + 1j * normal(3, seed=1)).astype(np.complex64))
def complex_numbers(z):
    w = jnp.exp(1j * z) * z + jnp.conj(z)
    return jnp.sum(jnp.abs(w) ** 2) + jnp.sum(jnp.real(w * w))


@case(normal(3), np.zeros((0, 3), np.float32))
def zero_size(x, empty):
    return jnp.sum(x**2) + jnp.sum(empty * x) + jnp.sum(jnp.concatenate([empty, x[None]]) ** 2)


@case(normal(4), jax.random.key(3))
def random_keys(x, key):
    a, b = jax.random.split(key)
    keep = jax.random.bernoulli(a, 0.5, x.shape)
    return jnp.sum(jnp.where(keep, x, 0.0) ** 2) + jnp.sum(x * jax.random.normal(b, x.shape))


@case(normal(4))
def effects(x):
    jax.debug.callback(lambda y: None, x)
    jax.debug.print("x sums to {s}", s=x.sum(), ordered=False)
    return jnp.sum(jnp.sin(x))


@case(normal(3), normal(3, seed=1))
def callback_beside(x, y):
    host = jax.pure_callback(lambda v: np.asarray(v) * 2, jax.ShapeDtypeStruct((3,), np.float32), y)
    return jnp.sum(jnp.sin(x) * host) + jnp.sum(y)


@case(normal(3))
def mutable_reference(x):
    ref = jax.new_ref(jnp.zeros(3))
    ref[0] = x[0] ** 2
    ref[1] += jnp.sin(x[1])
    return jnp.sum(ref[...] * x)


@case(np.array([1.0, np.nan, np.inf, -2.0], np.float32))
def not_finite(x):
    return jnp.sum(jnp.where(jnp.isfinite(x), x, 0.0) ** 2) + jnp.sum(jnp.log(jnp.abs(x)))


# ---- arguments -----------------------------------------------------------------------------------------------------

Layer = namedtuple("Layer", "w b")


@case(
    {"layers": [Layer(normal(3, 4), normal(4, seed=1)), Layer(normal(4, 2, seed=2), None)], "scale": 0.5},
    normal(5, 3, seed=3),
)
def pytrees(params, x):
    for layer in params["layers"]:
        x = jnp.tanh(x @ layer.w + (0 if layer.b is None else layer.b))
    return params["scale"] * jnp.sum(x**2)


@case((normal(2), [normal(2, seed=1), None, ()]), {"b": normal(2, seed=2), "a": "relu"})
def static_leaves(params, options):
    first, (second, *_) = params
    assert options["a"] == "relu"
    return jnp.sum(first * second * options["b"])


SHIFT = normal(3, seed=9)


@case(normal(3))
def closed_over(x):
    return jnp.sum(jnp.sin(x + SHIFT) * jnp.asarray(SHIFT))


@case(normal(4, 4) * 0.5, normal(4, seed=1))
def named_values(w, x):
    h = checkpoint_name(jnp.tanh(w @ x), "h")
    with jax.named_scope("head"):
        h = checkpoint_name(jnp.tanh(w @ h), "h")
        return jnp.sum(h**2)


# ---- networks ------------------------------------------------------------------------------------------------------


def dense(layer, x):
    return x @ layer["w"] + layer["b"]


def _layers(*sizes: int) -> list[dict[str, Any]]:
    pairs = enumerate(itertools.pairwise(sizes))
    return [
        {"w": normal(n, m, seed=i) / np.float32(np.sqrt(n)), "b": normal(m, seed=i + 50) * 0.1} for i, (n, m) in pairs
    ]


@case({"layers": _layers(6, 8, 8, 3)}, normal(4, 6, seed=9), np.array([0, 2, 1, 1]))
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
)
def transformer(blocks, x):
    for block in blocks:
        x = x + _attention(_norm(x), block)
        x = x + jax.nn.gelu(_norm(x) @ block["o"])
    return jnp.mean(x**2)


@case([{n: normal(4, 4, seed=i + ord(n)) / 2 for n in "qko"} for i in range(3)], normal(4, seed=7))
def scan_over_layers(blocks, x):
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *blocks)
    x, _ = lax.scan(lambda x, b: (x + jnp.tanh(x @ b["q"]) @ b["o"] * jax.nn.sigmoid(x @ b["k"]), None), x, stacked)
    return jnp.sum(x**2)


@case({n: normal(7, 4, seed=ord(n)) * 0.5 for n in "zrh"}, normal(5, 3, seed=7))
def gated_recurrent(w, xs):
    def gru(h, x):
        both = jnp.concatenate([h, x])
        z, r = jax.nn.sigmoid(both @ w["z"]), jax.nn.sigmoid(both @ w["r"])
        new = jnp.tanh(jnp.concatenate([r * h, x]) @ w["h"])
        return (1 - z) * h + z * new, new

    h, _ = lax.scan(gru, jnp.zeros(4), xs)
    return jnp.sum(h**2)
