"""Ten thousand equations without a function, a module or a scope among them: shown in parts.

Run: ``backprop-explorer serve docs/large/equations.py:loss``.
"""

import random

import jax.numpy as jnp
import numpy as np

EQUATIONS, REACH, SIZE = 10_000, 30, 8


def loss(weights, x):
    draw = random.Random(0)
    values = [x, weights]
    for number in range(EQUATIONS - 1):
        one, other = (values[-draw.randint(1, min(len(values), REACH))] for _ in range(2))
        values.append(jnp.maximum(one, other) if number % 2 else jnp.sin(one))
    return jnp.sum(values[-1])


def loss_args():
    return np.linspace(-1, 1, SIZE, dtype=np.float32), np.linspace(1, 2, SIZE, dtype=np.float32)
