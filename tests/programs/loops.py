"""Losses with loops and branches."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.programs.case import case, normal, positive


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


@case(normal(3, 4), slow=True)
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


@case(normal(6), slow=True)
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


@case(normal(6), slow=True)
def branch_in_scan(xs):
    def cell(c, x):
        c = lax.cond(x > 0, lambda c: jnp.sin(c) + x, lambda c: c * 0.5, c)
        return c, c

    c, ys = lax.scan(cell, 0.3, xs)
    return c + jnp.sum(ys**2)


@case(normal(3), np.float32(0.4), slow=True)
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


@case(normal(3), positive(3))
def while_closed_over(x, step):
    n = lax.while_loop(lambda s: jnp.sum(s) < 10, lambda s: s * 1.5 + step, jnp.ones(3))
    return jnp.sum(x * n)


@case(normal(4, 3), slow=True)
def while_closed_over_in_scan(xs):
    def cell(total, x):
        step = jnp.abs(lax.stop_gradient(x)) + 1.0
        n = lax.while_loop(lambda s: jnp.sum(s) < 10, lambda s: s * 1.5 + step, jnp.ones(3))
        return total + jnp.sum(x * n), total

    return lax.scan(cell, 0.0, xs)[0]


@case(normal(3))
def while_stopped(x):
    n = lax.while_loop(lambda s: s[0] < 10, lambda s: (s[0] + jnp.sum(s[1] ** 2), s[1]), (0.0, lax.stop_gradient(x)))[0]
    return jnp.sum(x**2) * n


@case(normal(3))
def fori_dynamic_beside(x):
    n = jnp.sum(x > 0)
    k = lax.fori_loop(0, n, lambda i, c: c + 1.0, 0.0)
    return jnp.sum(x) * k
