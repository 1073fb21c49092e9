"""The watched step under jit, vmap, scan and on several devices."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import engine

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
W = np.array([[0.5, -1.0], [0.25, 2.0], [1.5, 0.75]], np.float32)


def loss(w, x):
    h = jnp.tanh(x @ w)
    return jnp.mean(h * h)


def branching(x):
    return lax.cond(x > 0, lambda x: jnp.sin(x) * 2, lambda x: x * x, x)


def same(found, wanted, rtol=1e-5) -> None:
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=1e-7)


def test_jit_changes_nothing():
    plain, jitted = engine.value_and_grad(loss)(W, X), jax.jit(engine.value_and_grad(loss))(W, X)
    same(jitted, plain)
    assert jitted[2].graph == plain[2].graph


def test_a_step_is_compiled_once_for_equal_shapes():
    traced = []

    def counted(w, x):
        traced.append(1)
        return loss(w, x)

    step = jax.jit(engine.value_and_grad(counted))
    step(W, X)
    first = len(traced)
    step(2 * W, X)
    assert len(traced) == first


def test_vmap_over_seeds_puts_the_seeds_first():
    seeds = np.stack([W, 2 * W, -W])
    value, grads, reading = jax.jit(jax.vmap(engine.value_and_grad(loss), in_axes=(0, None)))(seeds, X)
    for index, w in enumerate(seeds):
        same((value[index], grads[index]), jax.value_and_grad(loss)(w, X))
        alone = engine.value_and_grad(loss)(w, X)[2]
        same(reading.value("tanh")[index], alone.value("tanh"))
        same(reading.grad("tanh")[index], alone.grad("tanh"))
        same(reading.stats("tanh")["grad"]["rms"][index], alone.stats("tanh")["grad"]["rms"])


def test_contributions_under_vmap_sum_to_the_gradient():
    reading = jax.vmap(engine.value_and_grad(lambda x: jnp.sum(x * jnp.sin(x))))(X)[2]
    same(sum(reading.contributions("x").values()), reading.grad("x"))


def test_a_branch_under_vmap_is_masked_for_each():
    reading = jax.vmap(engine.value_and_grad(branching))(np.array([1.0, -2.0, 3.0], np.float32))[2]
    np.testing.assert_allclose(reading.grad("x"), [2 * np.cos(1.0), -4.0, 2 * np.cos(3.0)], rtol=1e-5)
    assert reading.value("cond/if_true/sin").mask.tolist() == [False, True, False]
    assert reading.branch("cond").tolist() == [1, 0, 1]


def descend(probe):
    watched = engine.value_and_grad(loss, probe=probe)

    @jax.jit
    def run(w):
        def step(w, _):
            value, grads, reading = watched(w, X)
            return w - 0.1 * grads, (value, reading)

        return lax.scan(step, w, None, length=5)

    return run(W)


@pytest.mark.parametrize("probe", ["full", "stats"])
def test_scan_over_steps_puts_the_steps_first(probe):
    end, (values, reading) = descend(probe)
    w = jnp.asarray(W)
    for index in range(5):
        value, grads = jax.value_and_grad(loss)(w, X)
        same(values[index], value)
        found = reading.stats("w")["grad"]["l2"][index]
        same(found, np.linalg.norm(grads), rtol=1e-4)
        if probe == "full":
            same(reading.grad("w")[index], grads)
        w = w - 0.1 * grads
    same(end, w)


def test_a_gradient_may_be_differentiated_again():
    second = jax.grad(lambda w: jnp.sum(engine.value_and_grad(loss)(w, X)[1] ** 2))(W)
    same(second, jax.grad(lambda w: jnp.sum(jax.grad(loss)(w, X) ** 2))(W))


def test_a_loss_that_holds_a_gradient_is_watched():
    def penalised(w):
        return loss(w, X) + jnp.sum(jax.grad(loss)(w, X) ** 2)

    value, grads, _ = jax.jit(engine.value_and_grad(penalised))(W)
    same((value, grads), jax.value_and_grad(penalised)(W))


def test_the_watched_step_may_be_rematerialised():
    value, grads, _ = jax.checkpoint(engine.value_and_grad(loss))(W, X)
    same((value, grads), jax.value_and_grad(loss)(W, X))


# ---- four devices ----------------------------------------------------------------------------------------------------

MESH = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P
import engine

assert jax.device_count() == 4
W = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)
X = np.linspace(-2, 2, 24, dtype=np.float32).reshape(8, 3)


def loss(w, x):
    def cell(h, row):
        return jnp.tanh(h + row), None

    h = jnp.tanh(x @ w)
    return jnp.mean(h * h) + jnp.mean(jax.lax.scan(cell, jnp.zeros_like(h[:, 0]), h.T)[0])


def same(found, wanted):
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-5, atol=1e-6)


value, grads = jax.value_and_grad(loss)(W, X)
alone = jax.jit(engine.value_and_grad(loss))(W, X)[2]


def check(kind, probe):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(kind,))
    x = jax.device_put(X, NamedSharding(mesh, P("data", None)))
    w = jax.device_put(W, NamedSharding(mesh, P()))
    with jax.set_mesh(mesh):
        found = jax.jit(engine.value_and_grad(loss, probe=probe))(w, x)
    same(found[0], value), same(found[1], grads)
    for node in alone.graph.nodes:
        if probe == "full":
            same(found[2].grad(node.id), alone.grad(node.id))
        else:
            for what, numbers in found[2].stats(node.id).items():
                same(numbers["rms"], alone.stats(node.id)[what]["rms"])


def own(w, x):
    w = jax.lax.pcast(w, "data", to="varying")
    value, grads, reading = engine.value_and_grad(lambda w, x: loss(w, x) / 4)(w, x)
    return jax.lax.psum(value, "data"), jax.lax.psum(grads, "data"), reading.grad("loss/tanh"), grads[None]


for kind in (AxisType.Auto, AxisType.Explicit):
    for probe in ("full", "stats"):
        check(kind, probe)
print("mesh agrees")

mesh = Mesh(np.array(jax.devices()), ("data",))
parts = (P(), P(), P("data", None), P("data"))
shared = jax.jit(jax.shard_map(own, mesh=mesh, in_specs=(P(), P("data", None)), out_specs=parts))(W, X)
wanted = [jax.grad(loss)(W, part) / 4 for part in np.split(X, 4)]
same(shared[0], value), same(shared[1], grads), same(shared[3], wanted)
same(shared[2], alone.grad("tanh"))
print("shard_map agrees")
"""


@pytest.mark.slow
def test_a_mesh_of_four_devices_agrees_with_one():
    """Sharded automatically, explicitly, and by hand."""
    here = Path(__file__).parents[1]
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(here),
    }
    command = [sys.executable, "-W", "error::DeprecationWarning", "-c", textwrap.dedent(MESH)]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=here, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.splitlines() == ["mesh agrees", "shard_map agrees"]
