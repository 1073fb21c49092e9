"""What one step computed: values, gradients, contributions and statistics of any node."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import engine

X = np.array([0.5, -1.0, 2.0], np.float32)
W = np.array([1.5, 0.5, -0.25], np.float32)
XS = np.array([0.5, 2.0, -1.5, 3.0], np.float32)


def read(fun, *args, probe="full", **options):
    return jax.jit(engine.value_and_grad(fun, probe=probe, **options))(*args)[2]


def same(found, wanted) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-5, atol=1e-7)


def loss(w, x):
    h = jnp.tanh(w * x)
    return jnp.sum(h * h + jnp.sin(h))


@pytest.fixture(scope="module")
def reading():
    return read(loss, W, X)


def test_a_value_is_what_the_function_computes(reading):
    same(reading.value("tanh"), np.tanh(W * X))
    same(reading.value("%3"), np.tanh(W * X))


def test_an_argument_reads_as_it_was_given(reading):
    np.testing.assert_array_equal(reading.value("w"), W)


def test_a_gradient_has_the_values_shape_and_is_the_derivative(reading):
    h = np.tanh(W * X)
    same(reading.grad("tanh"), 2 * h + np.cos(h))
    same(reading.grad("w"), (2 * h + np.cos(h)) * (1 - h * h) * X)


def test_a_float_that_is_not_differentiated_has_a_gradient_too(reading):
    same(reading.grad("x"), jax.grad(loss, argnums=1)(W, X))


def test_contributions_are_by_consumer_over_all_its_operands(reading):
    h = np.tanh(W * X)
    found = reading.contributions("tanh")
    square, sine = (reading.graph.node(name).id for name in ("mul#2", "sin"))
    assert list(found) == [square, sine]
    same(found[square], 2 * h)
    same(found[sine], np.cos(h))


def test_contributions_sum_to_the_gradient(reading):
    for node in reading.graph.nodes:
        same(sum(reading.contributions(node.id).values()), reading.grad(node.id))


def test_the_seed_of_the_loss_is_one(reading):
    assert reading.contributions("reduce_sum") == {engine.OUTPUT: 1.0}
    assert reading.grad("reduce_sum") == 1.0


def test_a_loss_that_is_used_again_has_the_seed_as_one_part_of_two():
    def shared(x):
        y = x * x
        return y, y * 3.0

    found = read(shared, np.float32(2.0), has_aux=True).contributions("mul")
    assert {key: float(part) for key, part in found.items()} == {"%2": 0.0, engine.OUTPUT: 1.0}


def test_an_unknown_key_names_the_closest(reading):
    with pytest.raises(engine.UnknownNodeError) as caught:
        reading.grad("tahn")
    assert str(caught.value) == "loss has no node 'tahn'; it has 16 names and ids. Did you mean 'tanh'?"


# ---- where nothing flows ---------------------------------------------------------------------------------------------


def cut(x, n):
    kept = lax.stop_gradient(jnp.exp(x))
    jnp.cos(x)
    return jnp.sum(x * kept) + jnp.sum(jnp.round(x) * n)


@pytest.fixture(scope="module")
def zeros():
    return read(cut, X, np.array([1, 2, 3]))


@pytest.mark.parametrize("name", ["exp", "cos", "n"])
def test_where_nothing_flows_the_gradient_is_zero(zeros, name):
    found = zeros.grad(name)
    assert found.shape == zeros.value(name).shape
    assert not np.asarray(found).any()


def test_a_consumer_that_nothing_flows_through_sends_zeros(zeros):
    sent = {zeros.graph.node(key).op: np.asarray(part) for key, part in zeros.contributions("x").items()}
    same(sent["mul"], np.exp(X))
    assert not sent["round"].any()
    assert not sent["exp"].any()


def test_a_value_that_nobody_uses_has_no_contributions(zeros):
    assert zeros.contributions("cos") == {}


def test_an_integer_has_gradient_statistics_of_zero(zeros):
    found = zeros.stats("n")
    assert found["value"]["mean"] == 2.0
    assert (found["grad"]["rms"], found["grad"]["zero_fraction"], found["grad"]["nonfinite"]) == (0.0, 1.0, 0)


# ---- how it leaves the step ------------------------------------------------------------------------------------------


def mixed(w, n, flags, big):
    h = jnp.where(flags, jnp.tanh(w), w.astype(jnp.bfloat16).astype(jnp.float32)) + n
    return jnp.sum(h * jnp.exp(1j * w).real) + jnp.mean(jnp.sin(big * w[0]))


def test_small_arrays_of_a_type_leave_as_one_and_read_as_they_are():
    args = W, np.array([1, 2, 3]), np.array([True, False, True]), np.ones(5000, np.float32)
    reading = read(mixed, *args)
    assert set(reading.parts["packed"]) == {"float32", "int32", "bool", "bfloat16", "complex64"}
    assert {array.size for array in reading.parts["whole"].values()} == {5000}
    for name, array in zip(("w", "n", "flags", "big"), args, strict=True):
        np.testing.assert_array_equal(reading.value(name), array)
        assert isinstance(reading.value(name), jax.Array)
    for node in reading.graph.nodes:
        assert reading.value(node.id).dtype.name == node.dtype
        assert reading.value(node.id).shape == reading.grad(node.id).shape == node.shape


def test_with_several_processes_every_array_leaves_by_itself(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    reading = read(lambda w, x: loss(w, x), W, X)
    assert "packed" not in reading.parts
    np.testing.assert_array_equal(reading.value("w"), W)


def test_doubles_keep_their_digits_where_they_are_not_enabled():
    with jax.enable_x64(True):
        reading = read(loss, np.float64(W), np.float64(X))
    np.testing.assert_array_equal(reading.value("w"), np.float64(W))
    assert reading.grad("w").dtype == np.float64


# ---- statistics ------------------------------------------------------------------------------------------------------


def wanted(array) -> dict[str, float]:
    array = np.asarray(array, np.float64)
    return {
        "rms": np.sqrt(np.mean(array**2)),
        "l2": np.linalg.norm(array.ravel()),
        "mean": array.mean(),
        "std": array.std(),
        "min": array.min(),
        "max": array.max(),
        "zero_fraction": np.mean(array == 0),
        "nonfinite": np.sum(~np.isfinite(array)),
    }


def rnn(w, xs):
    def cell(h, x):
        h = jnp.tanh(h * w + x)
        return h, h * 2.0

    h, ys = lax.scan(cell, jnp.zeros(3), xs)
    return jnp.sum(h) + jnp.mean(ys)


def softmax(x, rows):
    kept = lax.stop_gradient(jnp.max(x, 1, keepdims=True))
    h = jnp.exp(x - kept)
    h = h / jnp.sum(h, 1, keepdims=True)
    return jnp.sum(jnp.log(jnp.sum(h * h, 1))) + jnp.sum(jnp.sum(rows * x, 0) ** 2)


STEPS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
PROGRAMS = {
    "loss": (loss, (W, X)),
    "rnn": (rnn, (W, STEPS)),
    "cut": (cut, (X, np.array([1, 2, 3]))),
    "softmax": (softmax, (STEPS, STEPS[::-1] + 1)),
}


@pytest.mark.parametrize(("fun", "args"), list(PROGRAMS.values()), ids=list(PROGRAMS))
def test_statistics_are_numpys_of_the_full_arrays(fun, args):
    full, summed = read(fun, *args), read(fun, *args, probe="stats")
    for node in full.graph.nodes:
        arrays = {"value": full.value(node.id), "grad": full.grad(node.id)}
        for source in (full, summed):
            for what, found in source.stats(node.id).items():
                assert found == pytest.approx(wanted(arrays[what]), rel=1e-4, abs=1e-6), (node.name, what)


def test_a_gradient_handed_on_by_a_sum_counts_every_entry_that_is_not_a_number():
    def loss(x, w):
        return jnp.sum(jnp.sum(x * 1.0, 0) * w)

    found = read(loss, STEPS, np.array([1, np.nan, 2], np.float32), probe="stats").stats("mul")["grad"]
    assert found["nonfinite"] == len(STEPS)


def test_where_nothing_flows_each_of_many_has_its_zero():
    def watched(x):
        return engine.value_and_grad(lambda x: cut(x, 2.0), probe="stats")(x)[2]

    found = jax.jit(jax.vmap(watched))(STEPS)
    assert found.stats("cut/exp")["grad"]["zero_fraction"].tolist() == [1.0] * 4
    assert found.rows("cut/exp", "grad").shape == (4, 7)


def test_gradients_alone_have_a_zero_for_each_of_many_too():
    probe = engine.Probe(nodes=("cut/exp",), what=("grad",), how="stats")
    found = jax.vmap(lambda x: engine.value_and_grad(lambda x: cut(x, 2.0), probe=probe)(x)[2])(STEPS)
    assert found.rows("cut/exp", "grad").shape == (4, 7)


def test_the_shapes_of_a_reading_are_known_without_running_it():
    reading = jax.eval_shape(engine.value_and_grad(loss), W, X)[2]
    assert {array.shape for array in reading.values.values()} == {(3,), ()}


def test_nan_and_infinity_travel_and_are_counted():
    reading = read(lambda x: jnp.sum(jnp.log(x)), np.array([0.0, -1.0, np.e, np.inf], np.float32))
    np.testing.assert_allclose(reading.value("log"), [-np.inf, np.nan, 1.0, np.inf], rtol=1e-6)
    found = reading.stats("log")["value"]
    assert found["nonfinite"] == 3
    assert np.isnan(found["mean"])
    assert reading.stats("x")["grad"]["max"] == np.inf


def test_an_empty_array_has_statistics_and_a_gradient():
    empty = np.zeros((0, 3), np.float32)
    reading = read(lambda x, e: jnp.sum(x) + jnp.sum(e * x), X, empty)
    assert reading.grad("e").shape == (0, 3)
    assert reading.stats("e")["value"]["rms"] == 0.0


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float16, np.float32])
def test_each_precision_reads_in_its_own(dtype):
    reading = read(lambda x: jnp.sum(jnp.sin(x)).astype(jnp.float32), X.astype(dtype))
    assert reading.value("sin").dtype == reading.grad("sin").dtype == dtype
    same(reading.grad("x").astype(np.float32), np.asarray(jnp.cos(X.astype(dtype)), np.float32))


def test_double_precision_reads_in_double():
    with jax.enable_x64(True):
        reading = read(lambda x: jnp.sum(jnp.sin(x)), X.astype(np.float64))
        assert reading.grad("x").dtype == np.float64
        np.testing.assert_allclose(reading.grad("x"), np.cos(X.astype(np.float64)), rtol=1e-14)


def test_complex_values_have_complex_gradients_and_magnitudes_as_statistics():
    z = np.array([3 + 4j, 1j], np.complex64)
    reading = read(lambda z: jnp.sum(jnp.abs(z) ** 2), z)
    same(reading.grad("z"), jax.grad(lambda z: jnp.sum(jnp.abs(z) ** 2))(z))
    assert reading.stats("z")["value"]["max"] == 5.0


def test_keys_have_neither_statistic():
    reading = read(lambda x, key: jnp.sum(x) * jax.random.normal(key), X, jax.random.key(0))
    assert reading.stats("key") == {}


# ---- a pytree --------------------------------------------------------------------------------------------------------


def test_a_reading_is_a_pytree(reading):
    again = jax.tree.unflatten(jax.tree.structure(reading), jax.tree.leaves(reading))
    assert again.graph == reading.graph
    np.testing.assert_array_equal(again.grad("w"), reading.grad("w"))


def test_a_reading_can_be_read_inside_jit():
    inside = jax.jit(lambda w, x: engine.value_and_grad(loss)(w, x)[2].grad("tanh"))
    same(inside(W, X), read(loss, W, X).grad("tanh"))


def test_a_reading_says_what_it_holds(reading):
    assert repr(reading) == "Reading(loss: 8 values, 8 gradients, full)"


def test_a_notebook_shows_how_large_values_and_gradients_are():
    html = read(lambda x: jnp.sum(3 * x), np.full(4, 2, np.float32))._repr_html_()
    assert "<td>mul</td><td>mul</td><td>float32 4</td><td>6</td><td>1</td>" in html


def test_a_notebook_shows_the_range_of_many_steps():
    many = jax.vmap(lambda x: engine.value_and_grad(lambda x: 3 * x)(x)[2])(jnp.array([1.0, 2.0]))
    assert "<td>3 to 6</td><td>1</td>" in many._repr_html_()


def test_a_notebook_shows_what_did_not_run():
    taken = read(lambda x: jax.lax.cond(x > 0, jnp.sin, jnp.cos, x), np.float32(1))
    assert "<td>not executed</td>" in taken._repr_html_()


def test_a_notebook_shows_a_traced_reading_too():
    shown = []
    jax.jit(lambda x: shown.append(engine.value_and_grad(lambda x: 3 * x)(x)[2]._repr_html_()))(2.0)
    assert "<td>traced</td>" in shown[0]
