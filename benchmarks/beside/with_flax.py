"""The feed-forward workloads in Flax: ``capture_intermediates`` for values, ``perturb`` for their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from benchmarks.workloads import Workload

Array = Any


class Mlp(nn.Module):
    """Dense layers."""

    sizes: Sequence[int]
    bend: Callable[[Array], Array]
    watched: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for place, size in enumerate(self.sizes):
            x = nn.Dense(size)(x)
            x = self.perturb(f"dense_{place}", x) if self.watched else x
            if place < len(self.sizes) - 1:
                x = self.bend(x)
                x = self.perturb(f"bent_{place}", x) if self.watched else x
        return x


class Conv(nn.Module):
    """Two convolutions, a mean over two by two pixels, scores."""

    watched: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for place, size in enumerate((16, 32)):
            x = nn.Conv(size, (3, 3))(x)
            x = self.perturb(f"conv_{place}", x) if self.watched else x
            x = nn.relu(x)
            x = self.perturb(f"bent_{place}", x) if self.watched else x
        x = nn.avg_pool(x, (2, 2), (2, 2)).reshape(len(x), -1)
        x = nn.Dense(10)(self.perturb("pooled", x) if self.watched else x)
        return self.perturb("scores", x) if self.watched else x


MODELS: dict[str, Callable[[bool], nn.Module]] = {
    "spiral": lambda watched: Mlp((8, 8, 8, 2), jnp.tanh, watched),
    "digits": lambda watched: Mlp((128, 128, 10), nn.relu, watched),
    "conv": Conv,
}


class Step:
    """A jitted training step, bare or with every module's output and the gradients of all that is perturbed."""

    def __init__(self, name: str, workload: Workload, watched: bool = False) -> None:
        model = MODELS[name](watched)
        x, _ = self.batch = jax.device_put(workload.batch)
        variables = model.init(jax.random.key(0), x)
        params, self.zeros = variables["params"], variables.get("perturbations", {})
        self.state = params, workload.optimiser.init(params)

        def loss(params: Any, zeros: Any, x: Array, y: Array) -> Any:
            given, kept = {"params": params}, {}
            if watched:
                given = given | {"perturbations": zeros}
                scores, kept = model.apply(given, x, capture_intermediates=True, mutable=["intermediates"])
            else:
                scores = model.apply(given, x)
            return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean(), kept

        def step(state: Any, zeros: Any, x: Array, y: Array) -> Any:
            slope = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
            (value, kept), (grads, arrived) = slope(state[0], zeros, x, y)
            updates, memory = workload.optimiser.update(grads, state[1], state[0])
            return (optax.apply_updates(state[0], updates), memory), (value, kept, arrived)

        self.step = jax.jit(step)

    def __call__(self) -> Any:
        """Take it."""
        self.state, recorded = self.step(self.state, self.zeros, *self.batch)
        return jax.block_until_ready(recorded)


def recorded(name: str, workload: Workload) -> Step:
    """The step with everything recorded."""
    return Step(name, workload, watched=True)
