"""What the engine computes on: said as it is, and the same step lowered for devices that aren't here."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine import devices, packing
from engine.devices import Kind
from engine.loop import Loop
from engine.optimisers import Controls
from engine.tasks.problem import Problem

pytestmark = pytest.mark.cpu

ELSEWHERE = {"cuda": "gpu", "tpu": "tpu"}
LONG = 4099


@pytest.fixture(autouse=True)
def _traced_anew():
    packing._by_xla.clear_cache()
    yield
    packing._by_xla.clear_cache()


def loss(params, xs):
    def step(h, x):
        h = jnp.tanh(x @ params["w"] + h)
        return h, h

    last, all = jax.lax.scan(step, jnp.zeros(LONG), xs)
    return jnp.mean(all**2) + jnp.mean(last)


def given():
    return {"w": np.ones((3, LONG), np.float32) / 9}, np.ones((5, 3), np.float32)


@pytest.fixture(params=list(ELSEWHERE))
def elsewhere(request, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: ELSEWHERE[request.param])
    return request.param


def lowered(step, platform, *args):
    return jax.jit(step).trace(*args).lower(lowering_platforms=(platform,)).as_text()


def test_a_watched_step_calls_nothing_of_the_cpus_elsewhere(elsewhere):
    text = lowered(engine.value_and_grad(loss, probe="stats"), elsewhere, *given())
    assert "stablehlo.while" in text
    assert re.findall(r"custom_call @(\S*?backprop_explorer\S*?)\(", text) == []


def test_a_watched_step_asks_no_host_for_a_branch(elsewhere):
    text = lowered(engine.value_and_grad(loss, probe="stats"), elsewhere, *given())
    assert "stablehlo.case" not in text


def test_the_same_step_has_branches_or_the_library_on_a_cpu():
    text = lowered(engine.value_and_grad(loss, probe="stats"), "cpu", *given())
    assert "stablehlo.case" in text or "backprop_explorer" in text


def test_the_training_loop_lowers_for_it(elsewhere):
    params, xs = given()
    loop = Loop(Problem("loss", loss, (params,), (xs,)), nodes=None)
    start = loop.start(Controls())
    where = (np.int32(0), np.int32(2), np.int32(1))
    dials = Controls().dials(loop.names)
    chunk = jax.jit(loop._chunk, static_argnums=0)
    traced = chunk.trace(Controls().method, (start.params, start.optimiser), dials, where, np.zeros((8, 0), int), [xs])
    assert "backprop_explorer" not in traced.lower(lowering_platforms=(elsewhere,)).as_text()


def test_statistics_made_elsewhere_are_the_same_numbers(monkeypatch):
    here = jax.device_get(engine.value_and_grad(loss, probe="stats")(*given())[2])
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    there = jax.device_get(jax.jit(engine.value_and_grad(loss, probe="stats"))(*given())[2])
    for node in here.graph.nodes:
        for what, wanted in here.stats(node.id).items():
            assert there.stats(node.id)[what] == pytest.approx(wanted, rel=1e-5, abs=1e-12)


def test_the_processor_is_called_so():
    assert str(devices.kinds()[0]).startswith("the processor of this machine (CPU)")
    assert devices.sentence().startswith("Computed on the processor of this machine (CPU)")


def test_a_gpu_is_told_with_its_memory():
    assert str(Kind("gpu", "NVIDIA H100 80GB HBM3", 1, 59 * devices.GIB)) == "1 × NVIDIA H100 80GB HBM3, 59 GiB"
    assert str(Kind("gpu", "NVIDIA A100", 4, 30 * devices.GIB)) == "4 × NVIDIA A100, 30 GiB each"


def test_a_gpu_that_lies_idle_is_noticed(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    shown = tmp_path / "nvidiactl"
    shown.touch()
    monkeypatch.setattr(devices, "_SIGNS", {"cuda": ((str(shown),), "")})
    assert devices.idle_accelerator() == "cuda"
    assert "There seems to be an NVIDIA GPU" in devices.sentence()
    assert "backprop-explorer[cuda]" in devices.advice("cuda")


def test_who_keeps_to_the_cpu_is_not_told_of_it(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(devices, "_SIGNS", {"cuda": (("/",), "")})
    assert devices.idle_accelerator() == ""


def test_products_keep_their_precision_on_an_accelerator(monkeypatch):
    before = jax.config.jax_default_matmul_precision
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    try:
        devices.settle()
        assert jax.config.jax_default_matmul_precision == "highest"
    finally:
        jax.config.update("jax_default_matmul_precision", before)


def test_nothing_is_settled_on_a_cpu():
    devices.settle()
    assert jax.config.jax_default_matmul_precision is None
