"""The proof itself: it agrees with what is right, and catches what is wrong."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.custom_derivatives import linear_call

import engine
from engine import grad
from engine.check import DECLARED, KINKED, Checker, largest, relative_error
from engine.tape import Tape
from tests.altered import with_arrays

X = np.array([0.5, -1.0, 2.0], np.float32)
W = np.array([1.5, 0.5, -0.25], np.float32)


def loss(w, x):
    h = jnp.tanh(w * x - x)
    return jnp.sum(h * h + w)


@pytest.fixture(scope="module")
def healthy():
    return jax.jit(engine.value_and_grad(loss))(W, X)


@pytest.fixture(scope="module")
def checker(healthy):
    return Checker.of(loss, ((W, X), {}), healthy[2])


@pytest.fixture(scope="module")
def prove(checker):
    exact = jax.value_and_grad(loss)(W, X)
    return lambda mine: checker.report(((W, X), {}), mine, exact)


def changed(mine, **parts):
    return (*mine[:2], with_arrays(mine[2], **parts))


def failures(report) -> set[str]:
    return {node.name for node in report.nodes if not node.ok}


def test_what_is_right_passes(prove, healthy):
    report = prove(healthy)
    assert report.ok, f"\n{report}"
    assert failures(report) == set()


def test_check_is_one_call():
    report = engine.check(loss, W, X)
    assert report.ok
    assert report.name == "loss"
    assert [node.name for node in report.nodes] == ["w", "x", "mul", "sub", "tanh", "mul#2", "add", "reduce_sum"]


def test_a_checked_function_may_have_aux_and_keywords():
    assert engine.check(lambda x, scale: (jnp.sum(jnp.sin(x)) * scale, x), X, scale=2.0, has_aux=True).ok


def test_a_checked_model_may_hold_what_is_no_array():
    report = engine.check(lambda model, x: jnp.sum(model["act"](model["w"] * x)), {"w": W, "act": jnp.tanh}, X)
    assert report.ok
    assert report.node("model.w").ok


def test_central_differences_agree_too(prove, healthy):
    report = prove(healthy)
    assert all(node.numeric_error is not None and node.numeric_error < 0.01 for node in report.nodes)


# ---- tests of the tests: whatever is off by a thousandth is caught ---------------------------------------------------


def with_tap(monkeypatch, backward, fun=loss, args=(W, X)):
    """The reading of a tape whose taps are broken."""

    @jax.custom_vjp
    def tap(value, sink):
        return value

    tap.defvjp(lambda value, sink: (value, None), lambda _, cotangent: backward(cotangent))
    monkeypatch.setattr(grad, "Tape", partial(Tape, tap=tap))
    return engine.value_and_grad(fun)(*args)


def test_a_healthy_tap_of_this_kind_passes(prove, monkeypatch):
    assert prove(with_tap(monkeypatch, lambda g: (g, g))).ok


def test_a_tap_that_records_a_thousandth_too_much_is_caught(prove, monkeypatch):
    report = prove(with_tap(monkeypatch, lambda g: (g, 1.001 * g)))
    assert failures(report) == {node.name for node in report.nodes}
    assert report.worst.gradient_error == pytest.approx(0.001, rel=0.01)
    assert report.argument_error < report.tolerance


def test_a_tap_that_passes_on_a_thousandth_too_much_is_caught(prove, monkeypatch):
    report = prove(with_tap(monkeypatch, lambda g: (1.001 * g, g)))
    assert not report.ok
    assert report.argument_error > report.tolerance


def test_a_tap_that_drops_what_arrives_is_caught(prove, monkeypatch):
    assert not prove(with_tap(monkeypatch, lambda g: (g, 0 * g))).ok


@pytest.mark.parametrize("factor", [1.001, 0.0, -1.0])
def test_one_wrong_gradient_is_caught_and_named(prove, healthy, factor):
    grads = healthy[2].grads
    wrong = grads | {"%4": factor * grads["%4"]}
    assert healthy[2].graph.node("%4").name == "tanh"
    assert failures(prove(changed(healthy, grads=wrong))) == {"tanh"}


def test_a_dropped_use_is_caught_and_named(prove, healthy):
    uses = healthy[2].uses
    key = next(key for key in uses if key.startswith("%0>"))
    report = prove(changed(healthy, uses=uses | {key: 0 * uses[key]}))
    assert failures(report) == {"w"}
    assert report.node("w").gradient_error <= report.tolerance < report.node("w").sum_error


def test_a_contribution_off_by_a_thousandth_is_caught(prove, healthy):
    uses = healthy[2].uses
    assert failures(prove(changed(healthy, uses={key: 1.001 * part for key, part in uses.items()}))) == {"w", "x"}


def twice(x):
    return jnp.sum(jnp.sin(x) + jnp.cos(x))


def thrice(x):
    return jnp.sum(jnp.sin(x) + jnp.cos(x) + jnp.exp(x))


@pytest.mark.parametrize("fun", [twice, thrice])
def test_a_dropped_edge_is_caught(fun):
    mine = engine.value_and_grad(fun)(X)
    graph = mine[2].graph
    fewer = tuple(edge for edge in graph.edges if (edge.source, edge.target) != ("%0", "%2"))
    assert len(fewer) == len(graph.edges) - 1
    wrong = changed(mine, graph=dataclasses.replace(graph, edges=fewer))
    report = Checker.of(fun, ((X,), {}), wrong[2]).report(((X,), {}), wrong, jax.value_and_grad(fun)(X))
    assert failures(report) == {"x"}


def test_swapped_operands_are_caught(prove, checker):
    def swapped(w, x):
        h = jnp.tanh(x - w * x)
        return jnp.sum(h * h + w)

    mine = engine.value_and_grad(swapped)(W, X)
    assert [node.id for node in mine[2].graph.nodes] == [node.id for node in checker.program.graph.nodes]
    assert failures(prove(mine)) == {"sub", "tanh"}


def test_a_wrong_loss_is_caught(prove, healthy):
    report = prove((1.001 * healthy[0], *healthy[1:]))
    assert report.value_error == pytest.approx(0.001, rel=0.01)
    assert not report.ok


def test_a_wrong_gradient_of_an_argument_is_caught(prove, healthy):
    report = prove((healthy[0], 1.001 * healthy[1], healthy[2]))
    assert report.argument_error == pytest.approx(0.001, rel=0.01)
    assert not report.ok


def test_a_custom_rule_that_lies_shows_against_differences_and_is_called_declared():
    @jax.custom_vjp
    def lie(x):
        return jnp.sin(x)

    lie.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (2 * g * jnp.cos(x),))
    report = engine.check(lambda x: jnp.sum(lie(x) ** 2), X)
    assert report.ok
    assert report.node("x").numeric_error == pytest.approx(1.0 / 2, rel=0.05)
    assert report.node("x").verdict == "declared: a stop_gradient or a rule of its own lies ahead"
    assert report.node("lie").verdict == ""


def test_the_slope_behind_a_rule_of_its_own_has_no_excuse():
    report = engine.check(lambda x: jnp.sum(jnp.sin(lax.stop_gradient(jax.nn.relu(x)) * x)), X)
    declared = {node.name for node in report.nodes if node.declared}
    assert declared == {"x", "relu"}


# ---- kinks: differences accuse only where they can tell --------------------------------------------------------------


def rectified(p, x, y, act=lambda z: jnp.maximum(z, 0)):
    h = act(x @ p["W1"] + p["b1"])
    return jnp.mean(((h @ p["W2"])[:, 0] - y) ** 2)


def drawn(seed):
    k = jax.random.split(jax.random.key(seed), 3)
    p = {"W1": jax.random.normal(k[0], (2, 6)), "b1": jnp.zeros(6), "W2": jax.random.normal(k[1], (6, 1)) * 0.4}
    x = jax.random.normal(k[2], (32, 2))
    return p, x, jnp.sin(x[:, 0])


def reports(fun, seeds):
    mine, exact = (jax.jit(made(fun)) for made in (engine.value_and_grad, jax.value_and_grad))
    checker = Checker.of(fun, (drawn(0), {}), mine(*drawn(0))[2])
    for seed in seeds:
        args = drawn(seed)
        yield checker.report((args, {}), mine(*args), exact(*args))


@pytest.mark.slow
@pytest.mark.once
def test_a_kink_within_the_step_is_no_false_alarm():
    found = list(reports(rectified, range(30)))
    assert [str(report) for report in found if not report.ok] == []
    kinked = [node for report in found for node in report.nodes if node.kinked]
    assert kinked
    assert {node.verdict for node in kinked} == {KINKED}


@jax.custom_vjp
def overstated(value):
    return value


overstated.defvjp(lambda value: (value, None), lambda _, g: (1.1 * g,))


def test_a_smooth_loss_is_not_excused_by_a_kink():
    """A rule that is off by a tenth: everything before it is called declared, so differences did accuse."""
    found = list(reports(lambda *args: overstated(rectified(*args, act=jnp.tanh)), range(4)))
    off = [node for report in found for node in report.nodes if not node.numeric_ok]
    assert len(off) > 4 * 10
    assert {node.verdict for node in off} == {DECLARED}


def test_a_kink_is_not_excused_as_declared():
    """The rule of ``relu`` lies ahead as well, but is what differences see."""
    found = reports(partial(rectified, act=jax.nn.relu), range(12))
    off = [node for report in found for node in report.nodes if not node.numeric_ok]
    assert off
    assert {node.verdict for node in off} == {KINKED}


# ---- the table -------------------------------------------------------------------------------------------------------


def test_the_report_is_a_table_with_a_verdict(prove, healthy):
    lines = str(prove(healthy)).splitlines()
    assert lines[0] == "node        vs jax.grad  vs contributions  vs differences"
    assert lines[1].startswith("w     ")
    assert lines[-1].startswith("loss agrees: 8 nodes; loss off by ")


def test_the_report_marks_what_is_wrong(prove, healthy):
    grads = healthy[2].grads
    lines = str(prove(changed(healthy, grads=grads | {"%4": 2 * grads["%4"]}))).splitlines()
    assert [line.endswith("✗") for line in lines[1:-1]] == [False] * 4 + [True] + [False] * 3
    assert lines[-1].startswith("loss DOES NOT AGREE: 8 nodes; ")


def test_below_noise_explains_itself(prove, healthy):
    report = prove(healthy)
    unseen = tuple(dataclasses.replace(node, numeric_error=None) for node in report.nodes)
    assert "Below noise" not in str(report)
    assert "Below noise: a step there" in str(dataclasses.replace(report, nodes=unseen)).splitlines()[-1]


def test_nodes_that_read_forward_only_are_not_checked():
    def beside(x):
        return jnp.sum(x) * lax.while_loop(lambda v: v < 9, lambda v: v * 2, jnp.float32(1))

    assert {node.name for node in engine.check(beside, X).nodes} == {"x", "reduce_sum", "while", "mul"}


# ---- where there is nothing to check ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("x", "what"), [(X, "NaN"), (np.zeros_like(X), "infinite")])
def test_a_loss_that_is_no_finite_number_does_not_agree(x, what):
    def logged(x):
        return jnp.sum(jnp.log(x))

    report = engine.check(logged, x)
    line = logged.__code__.co_firstlineno + 1
    assert not report.ok
    assert str(report) == (
        f"logged can't be checked here: the loss is {what}, and has no slope to compare. The first numbers that aren't "
        f"finite were made by log ({__file__}:{line})."
    )


def test_a_first_argument_that_is_no_array_is_told():
    with pytest.raises(engine.NotDifferentiableError) as caught:
        engine.check(lambda x: 3.0, "a")
    assert str(caught.value) == (
        "the function can't be differentiated in its first argument, which holds 'a': only floating-point arrays have "
        "gradients. Put what is to be differentiated first."
    )


def test_a_function_that_keeps_what_it_computes_is_told():
    kept = []

    def leaking(x):
        kept.append(jnp.sum(x))
        return kept[0]

    with pytest.raises(engine.TraceError, match=r"leaking could .* UnexpectedTracerError: .* was kept, in a list"):
        engine.check(leaking, X)


def test_the_residuals_of_a_linear_call_are_declared():
    def called(x, y):
        return jnp.sum(linear_call(lambda y, x: x * y, lambda y, g: g * y, y, x) * y)

    report = engine.check(called, X, X + 3)
    assert report.ok
    assert report.node("y").verdict == DECLARED


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "wanted", "error"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.0], [1.0, 2.5], 0.2),
        ([0.0], [0.0], 0.0),
        ([0.0], [1e-30], 1.0),
        ([np.nan, 1.0], [np.nan, 1.0], 0.0),
        ([np.nan, 1.0], [1.0, 1.0], np.inf),
        ([1.0], [[1.0]], np.inf),
        ([1 + 1j], [1 - 1j], 2**0.5),
        ([], [], 0.0),
    ],
)
def test_relative_error(mine, wanted, error):
    found = relative_error(np.array(mine, np.result_type(float, *mine)), np.array(wanted, np.result_type(float, *mine)))
    assert found == pytest.approx(error)


def test_a_floor_keeps_rounding_from_counting():
    assert relative_error(np.array([1e-9]), np.array([2e-9]), floor=1.0) == pytest.approx(1e-9)


def test_integers_have_no_error():
    assert relative_error(np.array([1]), np.array([2])) == 0.0


def test_largest_leaves_out_what_is_not_finite():
    assert largest(np.array([1.0, -3.0, np.nan, np.inf])) == 3.0
    assert largest(np.array([])) == 0.0


def test_a_report_is_one_line_and_in_a_notebook_a_table(prove, healthy):
    report = prove(healthy)
    assert repr(report) == f"Report({str(report).splitlines()[-1]})"
    assert report._repr_html_().count("<tr>") == 1 + len(report.nodes)
