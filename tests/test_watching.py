"""``explorer.watch``: the loops of docs/watching/, with a watcher and without; and a page that dies."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
import explorer
from engine.grad import Asked
from explorer.watching import Watcher
from tests.sources import ROOT

pytestmark = pytest.mark.once

LOOPS = ["plain", "optax_loop", "linen", "nnx_loop", "equinox_loop"]


class Box:
    """Stands for the process that shows a loop: keeps what it is offered."""

    def __init__(self, pieces, heard):
        self.pieces, self.heard, self.offered, self.closed = pieces, heard, [], False

    def offer(self, sample):
        self.offered.append(sample)

    def close(self):
        self.closed = True


def boxed(fun, every=5, **asked):
    """A watcher, and the box of what it sends."""
    boxes = []

    def link(*given):
        boxes.append(Box(*given))
        return boxes[0]

    return Watcher(fun, Asked(**asked), every, link), boxes[0]


def unwatched(fun):
    """Stands where a watcher would stand, and is JAX alone."""

    def jit(fun=None, by=jax.jit, **options):
        return by(fun, **options) if fun else lambda fun: by(fun, **options)

    return SimpleNamespace(value_and_grad=jax.value_and_grad(fun), jit=jit)


def example(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "watching" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_same(one, other, rounding=0):
    mine, wanted = jax.tree.leaves(one), jax.tree.leaves(other)
    assert len(mine) == len(wanted) > 1
    for a, b in zip(mine, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=rounding, atol=rounding)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOPS)
def test_a_watched_loop_of_each_library_trains_as_without(name):
    loop = example(name)
    watcher, box = boxed(loop.loss)
    rounding = 1e-6 if name == "equinox_loop" else 0  # its tiny products are computed with what follows them
    assert_same(loop.train(watcher, 12), loop.train(unwatched(loop.loss), 12), rounding)
    watcher.close()
    assert [sample.step for sample in box.offered] == [0, 5, 10]
    assert [sample.reading.plan.how for sample in box.offered] == ["full", "stats", "stats"]
    assert box.offered[1].moved is not None


def loss(w, x):
    return jnp.mean((x @ w) ** 2)


W, X = jnp.ones((3, 2)), jnp.ones((4, 3))


def test_it_stands_in_place_of_value_and_grad_on_the_loss_too():
    watcher, _ = boxed(loss)
    mine = watcher.value_and_grad(loss, argnums=(0, 1))(W, X)
    assert_same(mine, jax.value_and_grad(loss, argnums=(0, 1))(W, X))
    watcher.close()


def test_a_reading_of_ones_own_is_handed_over():
    watcher, box = boxed(None, every=2)
    step = jax.jit(engine.value_and_grad(loss))
    for _ in range(3):
        value, _, reading = step(W, X)
        watcher.record(reading, value)
    watcher.record(reading, value, step=10)
    watcher.close()
    assert [sample.step for sample in box.offered] == [0, 2, 10]
    assert box.offered[0].parameters == (reading.graph.node("w").id,)


def test_a_page_that_is_gone_is_sampled_for_no_longer():
    watcher, box = boxed(loss)
    watcher.value_and_grad(W, X)
    box.heard("")
    watcher.value_and_grad(W, X)
    assert (box.offered, watcher.alive, watcher.step) == ([], False, 2)
    with pytest.raises(explorer.watching.ExplorerError, match="could not be served"):
        _ = watcher.url
    watcher.close()


def test_who_looks_gets_a_full_reading():
    watcher, box = boxed(loss, every=1)
    for word in ("", "full", "", ""):
        if word:
            box.heard(word)
        watcher.value_and_grad(W, X)
    watcher.close()
    assert [sample.reading.plan.how for sample in box.offered] == ["full", "full", "stats", "stats"]


def test_a_watcher_says_where_it_is():
    watcher, box = boxed(loss)
    box.heard("url http://127.0.0.1:5006/")
    assert watcher.url == "http://127.0.0.1:5006/"
    assert repr(watcher) == "Watcher(step 0, every 5, http://127.0.0.1:5006/)"
    watcher.close()
    assert box.closed


def test_a_watcher_without_a_loss_says_so():
    watcher, _ = boxed(None)
    with pytest.raises(engine.EngineError, match=r"explorer.watch\(loss\)"):
        watcher.value_and_grad(W, X)
    watcher.close()


KILLED = """
import hashlib, os, signal, sys, time
import jax, numpy as np
sys.path.insert(0, "docs/watching")
import optax_loop
import explorer

class Killing:
    "A watcher whose page is killed in the middle of the run."
    def __init__(self, watcher):
        self.watcher, self.jit, self.calls = watcher, None, 0
        self.value_and_grad = watcher.value_and_grad
        self.jit = lambda step: self.counted(watcher.jit(step))
    def counted(self, step):
        def call(*args):
            self.calls += 1
            if self.calls == 60:
                os.kill(self.watcher.process, signal.SIGKILL)
            if self.calls > 60:
                time.sleep(0.01)
            return step(*args)
        return call

watcher = explorer.watch(optax_loop.loss, every=5, port=int(sys.argv[1]), browser=False)
assert watcher.url.endswith(f":{sys.argv[1]}/")
found = optax_loop.train(Killing(watcher), 200)
leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(found)]
print(watcher.alive, watcher.step, *(hashlib.sha256(leaf).hexdigest() for leaf in leaves))
watcher.close()
"""


@pytest.mark.slow
def test_a_page_that_is_killed_leaves_training_as_it_is():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", KILLED, "5490"], capture_output=True, text=True, cwd=ROOT, timeout=300
    )
    assert done.returncode == 0, done.stderr
    loop = example("optax_loop")
    wanted = loop.train(unwatched(loop.loss), 200)
    hashes = [hashlib.sha256(np.asarray(leaf).tobytes()).hexdigest() for leaf in jax.tree.leaves(wanted)]
    assert done.stdout.split() == ["False", "200", *hashes]
