"""What a probe asks for, and what of it a plan records."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.probe import FULL, STATS, as_probe, resolve, use
from engine.tape import Tape
from engine.trace import program

X = np.array([0.5, -1.0, 2.0], np.float32)


def dense(w, x):
    return jnp.tanh(x * w)


def loss(w, x):
    return jnp.sum(dense(w, dense(w, x)))


def read(probe, fun=loss, *args):
    return engine.value_and_grad(fun, probe=probe)(*(args or (X, X)))[2]


@pytest.fixture(scope="module")
def full():
    return read("full")


@pytest.fixture(scope="module")
def summed():
    return jax.jit(engine.value_and_grad(loss, probe="stats"))(X, X)[2]


def plan(probe, fun=loss, *args):
    traced = program(fun, args or (X, X), {})
    return resolve(traced.graph, probe, traced.graph.inputs[:1])


def test_a_probe_is_hashable_and_equal_by_content():
    assert len({engine.Probe(("h",)), engine.Probe(("h",)), engine.Probe()}) == 2


def test_lists_become_tuples():
    assert engine.Probe(nodes=["h"], what=["value"]) == engine.Probe(("h",), ("value",))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"nodes": "h"}, "Probe takes tuples: write Probe(nodes=('h',), what=('value', 'grad'))."),
        ({"what": "value"}, "Probe takes tuples: write Probe(nodes=('h',), what=('value', 'grad'))."),
        ({"what": ("values",)}, "Probe can't record 'values'; what it can: value, grad, contributions."),
        ({"how": "some"}, "Probe can't record 'some'; write how='full' or how='stats'."),
    ],
)
def test_a_wrong_probe_says_what_to_write(wrong, sentence):
    with pytest.raises(engine.ProbeError) as caught:
        engine.Probe(**wrong)
    assert str(caught.value) == sentence


def test_short_forms():
    assert as_probe("full") is FULL
    assert as_probe("stats") is STATS
    assert as_probe(STATS) is STATS
    with pytest.raises(engine.ProbeError) as caught:
        as_probe("half")
    assert str(caught.value) == "probe='half' is neither 'full' nor 'stats' nor an engine.Probe(...)."


def test_a_wrong_probe_is_refused_before_the_function_is_called():
    with pytest.raises(engine.ProbeError):
        engine.value_and_grad(loss, probe="half")


@pytest.mark.parametrize("key", ["dense/tanh", "%3"])
def test_a_node_is_chosen_by_name_or_by_id(full, key):
    reading = read(engine.Probe((key,)))
    assert set(reading.grads) == {"%3"}
    np.testing.assert_array_equal(reading.value("dense/tanh"), full.value("dense/tanh"))
    np.testing.assert_array_equal(reading.grad("%3"), full.grad("%3"))


def test_a_scope_chooses_what_lies_in_it():
    assert set(read(engine.Probe(("dense_1",))).grads) == {"%4", "%5"}


def test_the_root_is_no_scope_to_choose():
    with pytest.raises(engine.UnknownNodeError):
        read(engine.Probe(("",)))


def test_an_unknown_node_is_named_with_the_closest():
    with pytest.raises(engine.UnknownNodeError) as caught:
        read(engine.Probe(("dense/tanhh",)))
    assert str(caught.value) == (
        "loss has no node 'dense/tanhh'; it has 14 names and ids. Did you mean 'dense/tanh' or 'dense_1/tanh' or "
        "'dense/mul'?"
    )


def test_a_node_not_watched_says_so():
    reading = read(engine.Probe(("dense/tanh",)))
    for ask, sentence in (
        (reading.value, "This reading has no value of dense_1/mul; its probe left it out."),
        (reading.grad, "This reading has no gradient of dense_1/mul; its probe left it out."),
        (reading.stats, "This reading didn't record dense_1/mul; its probe left it out."),
    ):
        with pytest.raises(engine.UnknownNodeError) as caught:
            ask("dense_1/mul")
        assert str(caught.value) == sentence


def test_values_alone_leave_gradients_out():
    reading = read(engine.Probe(what=("value",)))
    assert reading.grads == {}
    with pytest.raises(engine.UnknownNodeError) as caught:
        reading.grad("dense/tanh")
    assert str(caught.value) == "This reading has no gradient of dense/tanh; its probe left it out."


def test_gradients_alone_leave_values_out():
    reading = read(engine.Probe(what=("grad",)))
    assert reading.values == {}
    assert set(reading.grads) == {f"%{i}" for i in range(7)}


def test_without_contributions_a_shared_node_has_none(full):
    reading = read(engine.Probe(what=("grad",)))
    with pytest.raises(engine.UnknownNodeError) as caught:
        reading.contributions("w")
    assert str(caught.value) == "This reading has no contributions of w; its probe left them out."
    np.testing.assert_array_equal(reading.contributions("x")["%2"], full.grad("x"))


def test_statistics_leave_the_step_as_one_array(summed):
    assert len(jax.tree.leaves(summed)) == 1
    assert (summed.values, summed.grads, summed.uses) == ({}, {}, {})


@pytest.mark.parametrize(("ask", "what"), [("value", "value"), ("grad", "grad"), ("contributions", "contributions")])
def test_arrays_of_statistics_are_refused_with_what_to_write(ask, what, summed):
    with pytest.raises(engine.UnknownNodeError) as caught:
        getattr(summed, ask)("dense/tanh")
    assert str(caught.value) == (
        "This reading holds statistics, not arrays: write reading.stats('dense/tanh'), "
        f"or watch with probe='full' to read the {what}."
    )


def test_a_selection_changes_neither_loss_nor_gradients():
    exact = jax.value_and_grad(loss)(X, X)
    for probe in ("full", "stats", engine.Probe(("dense",)), engine.Probe((), ())):
        value, grads, _ = jax.jit(engine.value_and_grad(loss, probe=probe))(X, X)
        np.testing.assert_allclose(value, exact[0], rtol=1e-6)
        np.testing.assert_allclose(grads, exact[1], rtol=1e-6)


# ---- plans -----------------------------------------------------------------------------------------------------------


def test_nothing_asked_is_nothing_recorded():
    nothing = plan(engine.Probe(()))
    assert (nothing.values, nothing.grads, nothing.uses) == (frozenset(), frozenset(), frozenset())


def test_a_sink_exists_only_for_what_is_asked():
    traced = program(loss, (X, X), {})
    chosen = resolve(traced.graph, engine.Probe(("dense/tanh",), ("grad",)), traced.graph.inputs[:1])
    assert set(Tape(traced.block, traced.graph, chosen).sinks()) == {"%3"}


def test_a_program_watched_nowhere_is_the_bare_program():
    bare = jax.make_jaxpr(jax.value_and_grad(loss))(X, X)
    watched = jax.make_jaxpr(lambda *a: engine.value_and_grad(loss, probe=engine.Probe((), ()))(*a)[:2])(X, X)
    flat = [equation.primitive.name for equation in watched.eqns if equation.primitive.name != "copy"]
    assert flat == [equation.primitive.name for equation in bare.eqns]


def test_only_a_shared_node_has_taps_on_its_uses():
    assert plan(FULL).uses == {use("%0", "%2"), use("%0", "%4")}


def test_the_seed_needs_no_tap():
    assert not any(key.endswith(engine.OUTPUT) for key in plan(FULL).uses)


def test_what_a_loop_passes_in_unchanged_is_recorded_once_outside():
    def loop(w, xs):
        return jnp.sum(jax.lax.scan(lambda c, x: (c * w + x, c), jnp.zeros(3), xs)[1])

    xs = np.ones((4, 3), np.float32)
    chosen = plan(engine.Probe(("%3/0", "%3/2"), ("value",)), loop, X, xs)
    assert chosen.values == {"%0", "%1"}


def test_integers_and_keys_have_no_gradient_to_record():
    def mixed(x, n, key):
        return jnp.sum(x * n) + jax.random.normal(key)

    chosen = plan(FULL, mixed, X, np.arange(3), jax.random.key(0))
    assert "%1" not in chosen.grads
    assert "%2" not in chosen.grads
    assert {"%1", "%2"} <= chosen.values
