"""The one-pass library for a GPU: its kernels, and all that leads to them, on a driver that computes on the CPU."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine import build_kernel, compat, kernel, nvrtc, stats
from engine.runs import Run
from engine.shares import Split
from engine.tasks import problem, usual
from tests.test_kernel import ODD
from tests.test_stats import ARRAYS

RNG = np.random.default_rng(0)
HERE = Path(__file__).parent


def compile_with(source, made, *options):
    command = [
        build_kernel._compiler(),
        "-O2",
        "-std=c++17",
        "-shared",
        "-fPIC",
        "-w",
        *options,
        str(source),
        "-o",
        made,
    ]
    subprocess.run(command, check=True)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    """The library on the emulated driver, known to XLA as a call on the CPU."""
    try:
        build_kernel._compiler()
    except build_kernel.KernelError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("emulated")
    driver, library = str(folder / "driver.so"), str(folder / "library.so")
    source = kernel.sources("cuda")[0]
    compile_with(HERE / "emulated_cuda.cc", driver, "-I", str(source.parent))
    compile_with(source, library, "-DWITHOUT_STREAM", "-I", jax.ffi.include_dir())
    symbols = ctypes.CDLL(library)
    assert symbols.Load(driver.encode(), b"") == 0
    target = jax.ffi.pycapsule(symbols.StatisticsOnCuda)
    jax.ffi.register_ffi_target(kernel._target("Emulated"), target, platform="cpu")
    return symbols


@pytest.fixture
def on_gpu(emulated, monkeypatch):
    """The engine believes that JAX computes on a GPU."""
    monkeypatch.setattr(compat, "platform", lambda: "cuda")
    monkeypatch.setattr(compat, "on_cpu", lambda: False)
    monkeypatch.setattr(kernel, "loaded", lambda: True)
    monkeypatch.setitem(kernel.HANDLERS, "cuda", {np.dtype("float32"): "Emulated"})
    monkeypatch.setattr(jax, "device_count", lambda: 1)


def rows(*tables, lead=1):
    with np.errstate(all="ignore"):
        return np.concatenate([stats.measure(np.asarray(table, np.float64), np, lead=lead) for table in tables], -2)


def agree(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-38)


@pytest.mark.parametrize("name", [*ARRAYS, *ODD])
def test_its_numbers_are_numpys(on_gpu, name):
    table = np.reshape(stats.real((ARRAYS | ODD)[name], np), (1, -1))
    agree(kernel.measure([jnp.asarray(table, jnp.float32)], [1]), rows(table.astype(np.float32)))


@pytest.mark.parametrize("length", [1, 31, 32, 33, 1024, 1025, 8192, 8193, 40_000])
def test_rows_of_any_length_are_shared_out(on_gpu, length):
    table = RNG.normal(size=(11, length)).astype(np.float32) + np.float32(3)
    agree(kernel.measure([jnp.asarray(table)], [1]), rows(table))


def test_more_arrays_than_a_launch_takes_are_measured_by_several(on_gpu):
    tables = [RNG.normal(size=(1 + k % 3, 1 + 977 * k % 9001)).astype(np.float32) for k in range(200)]
    agree(kernel.measure(list(map(jnp.asarray, tables)), [1] * len(tables)), rows(*tables))


def test_what_varies_little_keeps_its_spread(on_gpu):
    table = (RNG.normal(size=(1, 20_000)) * 1e-3 + 1000).astype(np.float32)
    agree(kernel.measure([jnp.asarray(table)], [1]), rows(table))


def test_a_sum_is_added_up_as_the_step_adds_it(on_gpu):
    terms = [RNG.normal(size=size).astype(np.float32) for size in ((100, 130), (130,), (1, 130), (100, 130))]
    whole = kernel.Sum(tuple(map(jnp.asarray, terms)))
    added = ((terms[0] + terms[1]) + terms[2]) + terms[3]
    found = kernel.measure([whole, jnp.asarray(added)], [0, 1])
    agree(found, rows(added.reshape(1, -1), added))
    np.testing.assert_array_equal(found[0, 3:5], [added.min(), added.max()])


def test_under_vmap_each_example_has_its_own_rows(on_gpu):
    one, other = (RNG.normal(size=size).astype(np.float32) for size in ((4, 2, 40), (4, 3, 9000)))
    agree(jax.vmap(lambda *tables: kernel.measure(tables, [1, 1]))(one, other), rows(one, other, lead=2))


def test_arrays_one_behind_the_other_have_a_row_each_under_vmap_too(on_gpu):
    whole, table = (RNG.normal(size=size).astype(np.float32) for size in ((4, 50), (4, 2, 9)))
    found = jax.vmap(lambda whole, table: kernel.measure([whole, table], [0, 1], (33, 1, 16)))(whole, table)
    parts = [whole[:, None, :33], whole[:, None, 33:34], whole[:, None, 34:], table]
    agree(found, rows(*parts, lead=2))


def loss(params, xs):
    def step(h, x):
        return jnp.tanh(x @ params["w"] + h @ params["u"] + params["b"]), None

    last, _ = jax.lax.scan(step, jnp.zeros((xs.shape[1], 40)), xs)
    return jnp.mean(jax.nn.log_softmax(last @ params["u"]) ** 2)


PARAMS = {
    name: RNG.normal(size=size).astype(np.float32) / 6
    for name, size in {"w": (3, 40), "u": (40, 40), "b": (40,)}.items()
}
XS = RNG.normal(size=(7, 60, 3)).astype(np.float32)


def read(double=False):
    """Statistics of every node of a recurrent net."""
    with jax.enable_x64(double):
        params, xs = jax.tree.map(lambda leaf: leaf.astype(np.float64) if double else leaf, (PARAMS, XS))
        step = jax.jit(engine.value_and_grad(lambda *args: loss(*args), probe="stats"))
        _, _, reading = step(params, xs)
        text = step.lower(params, xs).as_text()
        return text, {node.id: reading.stats(node.id) for node in reading.graph.nodes}


def test_what_it_does_not_take_is_measured_by_xla_as_if_it_were_not_there(on_gpu, monkeypatch):
    with jax.enable_x64(True):
        weights, x = [np.eye(40)] * 6, np.ones((60, 40))

        def lowered():
            step = engine.value_and_grad(lambda *args: sum(jnp.sin(args[1] @ w).sum() for w in args[0]), probe="stats")
            return jax.jit(step).lower(weights, x).as_text().count("stablehlo.reduce")

        there = lowered()
        monkeypatch.setattr(kernel, "loaded", lambda: False)
        assert there == lowered()


def test_a_step_divided_over_devices_of_the_cpu_is_watched_beside_a_gpu(on_gpu, library, monkeypatch):
    monkeypatch.setitem(kernel.HANDLERS, "cuda", {np.dtype("float32"): "StatisticsOnCuda"})
    made = problem(usual("spiral", width=4, depth=1))
    run = Run(made, nodes=None)
    alone = Run(made)
    run.divide(Split(2))
    run.advance(3), alone.advance(3)
    for found, wanted in zip(*(jax.tree.leaves(each.at(3).params) for each in (run, alone)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("double", [False, True])
def test_a_step_reads_what_it_reads_on_the_cpu(on_gpu, monkeypatch, double):
    text, found = read(double)
    monkeypatch.undo()
    _, wanted = read(double)
    assert text.count("@backprop_explorer.Emulated") == (not double)  # once, the loop's nodes among them
    assert found.keys() == wanted.keys()
    for id, parts in wanted.items():
        for part, row in parts.items():
            for name, number in row.items():
                np.testing.assert_allclose(found[id][part][name], number, rtol=2e-4, atol=1e-7, err_msg=f"{id} {name}")


def test_what_was_traced_for_it_and_runs_on_the_cpu_is_measured_there(on_gpu, library, monkeypatch):
    monkeypatch.setitem(kernel.HANDLERS, "cuda", {np.dtype("float32"): "StatisticsOnCuda"})
    tables = [RNG.normal(size=size).astype(np.float32) for size in ((2, 40), (1, 9000), (3, 1))]
    agree(kernel.measure(list(map(jnp.asarray, tables)), [1, 1, 1]), rows(*tables))


# ---- building ------------------------------------------------------------------------------------------------------


def test_without_a_driver_it_is_not_loaded(emulated):
    assert emulated.Load(b"no-such-driver.so", b"") == -1
    assert emulated.Load(b"libm.so.6", b"") == -1


def test_without_cudas_compiler_it_says_what_brings_it(monkeypatch, tmp_path):
    monkeypatch.setattr(nvrtc, "_places", list)
    monkeypatch.setattr(kernel, "library", lambda platform: tmp_path / f"{platform}.so")
    monkeypatch.setattr(compat, "architecture", lambda: "sm_90")
    with pytest.raises(build_kernel.KernelError, match=r"pip install 'backprop-explorer\[cuda\]'"):
        build_kernel.build("cuda")


def test_cudas_compiler_is_quoted(monkeypatch, tmp_path):
    """A stand-in that fails as the real one does."""
    (tmp_path / "failing.cc").write_text(
        '#include <cstring>\nextern "C" { int nvrtcCreateProgram(void**, ...) { return 0; }\n'
        "int nvrtcCompileProgram(void*, ...) { return 6; } int nvrtcDestroyProgram(void*) { return 0; }\n"
        "int nvrtcGetProgramLogSize(void*, size_t* size) { *size = 9; return 0; }\n"
        'int nvrtcGetProgramLog(void*, char* log) { std::strcpy(log, "no space"); return 0; } }\n'
    )
    compile_with(tmp_path / "failing.cc", str(tmp_path / "libnvrtc.so.13"))
    monkeypatch.setattr(nvrtc, "_places", lambda: [[tmp_path / "libnvrtc.so.13"]])
    with pytest.raises(nvrtc.NvrtcError, match=r"failed: no space\."):
        nvrtc.compiled(kernel.sources("cuda")[-1], "sm_90")
