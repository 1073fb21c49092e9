"""That what other tools are timed on is the same computation: the loss, and a gradient on the way."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import engine
from benchmarks.beside import with_flax
from benchmarks.workloads import recurrent, spiral

SAME = {
    "spiral": (spiral, "layer_1", lambda arrived: arrived["Bend_1"]["out"]),
    "recurrent": (recurrent, "hidden", lambda arrived: sum(arrived["SimpleCell_0"]["out"])),  # as state and as output
}


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("name", SAME)
def test_flax_computes_the_same_loss_and_gradients(name):
    make, node, found = SAME[name]
    workload = make()
    probe = engine.Probe((node,), ("grad",), "full")
    slope = jax.jit(engine.value_and_grad(workload.loss, probe=probe))
    wanted, _, reading = slope(workload.params, *workload.batch)
    loss, _, arrived = with_flax.Kept(name, workload)()
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)
    gradient = np.asarray(reading.grad(node))
    np.testing.assert_allclose(found(arrived), gradient, rtol=1e-3, atol=1e-4 * float(np.abs(gradient).max()))
