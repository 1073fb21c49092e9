"""Optimisers as settings: each against its formula in NumPy, dials that turn, and parameters that stay."""

from __future__ import annotations

import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from engine import optimisers
from engine.optimisers import ALGORITHMS, CLIPS, SCHEDULES, Controls, ControlsError, Fixed, controls, make, update

RATE, DECAY = 0.1, 0.5
START = np.array([1.0, -2.0, 3.0])
GRADS = np.array([[0.5, -0.1, 2.0], [0.4, 0.3, -1.0], [-0.2, 0.6, 0.1]])


def _sgd(p, g, m, t):
    return p - RATE * (g + DECAY * p), m


def _momentum(p, g, m, t):
    m = 0.9 * m + g + DECAY * p
    return p - RATE * m, m


def _nesterov(p, g, m, t):
    g = g + DECAY * p
    m = 0.9 * m + g
    return p - RATE * (g + 0.9 * m), m


def _rmsprop(p, g, m, t):
    g = g + DECAY * p
    m = 0.9 * m + 0.1 * g * g
    return p - RATE * g / np.sqrt(m + 1e-8), m


def _adam_direction(g, m, t):
    m = np.stack([0.9 * m[0] + 0.1 * g, 0.999 * m[1] + 0.001 * g * g])
    return m[0] / (1 - 0.9**t) / (np.sqrt(m[1] / (1 - 0.999**t)) + 1e-8), m


def _adam(p, g, m, t):
    direction, m = _adam_direction(g + DECAY * p, m, t)
    return p - RATE * direction, m


def _adamw(p, g, m, t):
    direction, m = _adam_direction(g, m, t)
    return p - RATE * (direction + DECAY * p), m


def _lion(p, g, m, t):
    return p - RATE * (np.sign(0.9 * m + 0.1 * g) + DECAY * p), 0.99 * m + 0.01 * g


FORMULAS = {
    "sgd": (_sgd, 0.0),
    "momentum": (_momentum, 0.0),
    "nesterov": (_nesterov, 0.0),
    "rmsprop": (_rmsprop, 0.0),
    "adam": (_adam, np.zeros((2, 3))),
    "adamw": (_adamw, np.zeros((2, 3))),
    "lion": (_lion, 0.0),
}


def _moved(chosen: Controls, params, grads, step=0, memory=None):
    names = [f"params.{key}" for key in params]
    memory = chosen.method.empty().init(params) if memory is None else memory
    return update(chosen.method, chosen.dials(names), step, (params, memory), grads)


def _one(chosen: Controls, grad, step=0):
    """How far one gradient moves a parameter that is zero."""
    params = {"w": jnp.zeros(np.shape(grad))}
    return -np.asarray(_moved(chosen, params, {"w": jnp.asarray(grad)}, step)[0]["w"])


def test_there_is_a_formula_for_every_algorithm():
    assert list(FORMULAS) == list(ALGORITHMS)


@pytest.mark.parametrize("name", FORMULAS)
def test_three_steps_are_those_of_the_formula(name):
    formula, memory = FORMULAS[name]
    chosen = Controls(optimizer=name, rate=RATE, decay=DECAY)
    wanted, params, remembered = START, {"w": jnp.asarray(START, jnp.float32)}, None
    for step, grad in enumerate(GRADS):
        wanted, memory = formula(wanted, grad, memory, step + 1)
        params, remembered = _moved(chosen, params, {"w": jnp.asarray(grad, jnp.float32)}, step, remembered)
        np.testing.assert_allclose(params["w"], wanted, rtol=2e-5)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_optimiser_of_settings_is_the_same(name):
    settings = types.SimpleNamespace(optimizer=name, rate=RATE, decay=DECAY, depth=3)
    optimiser, params = make(settings), {"w": jnp.asarray(START, jnp.float32)}
    grads = {"w": jnp.asarray(GRADS[0], jnp.float32)}
    updates, _ = optimiser.update(grads, optimiser.init(params), params)
    wanted, _ = _moved(controls(settings), params, grads)
    np.testing.assert_allclose(optax.apply_updates(params, updates)["w"], wanted["w"], rtol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", {0: 1.0, 10**6: 1.0}),
        ("cosine", {0: 1.0, 250: 0.505 + 0.495 * np.cos(np.pi / 4), 500: 0.505, 1000: 0.01, 5000: 0.01}),
        ("warmup", {0: 0.01, 50: 0.505, 100: 1.0, 3000: 1.0}),
        ("step", {0: 1.0, 249: 1.0, 250: 0.5, 1000: 0.0625}),
    ],
)
def test_a_schedule_multiplies_the_rate(schedule, factors):
    for step, factor in factors.items():
        found = _one(Controls(rate=2.0, schedule=schedule), [1.0], np.int32(step))
        np.testing.assert_allclose(found, 2.0 * factor, rtol=1e-5)


def test_there_are_schedules_and_clips_of_these_names():
    assert (list(SCHEDULES), list(CLIPS)) == (["constant", "cosine", "warmup", "step"], ["none", "value", "norm"])


def test_clipping_by_value_cuts_each_entry():
    found = _one(Controls(rate=1.0, clip="value", clip_at=0.25), [3.0, -0.1, -2.0])
    np.testing.assert_allclose(found, [0.25, -0.1, -0.25], rtol=1e-6)


def test_clipping_by_norm_is_over_all_parameters_together():
    params = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    after, _ = _moved(
        Controls(rate=1.0, clip="norm", clip_at=1.0), params, {"a": jnp.array([3.0]), "b": jnp.array([4.0])}
    )
    np.testing.assert_allclose([-after["a"][0], -after["b"][0]], [0.6, 0.8], rtol=1e-6)


def test_a_norm_within_the_limit_is_left_alone():
    np.testing.assert_allclose(_one(Controls(rate=1.0, clip="norm", clip_at=5.1), [3.0, 4.0]), [3.0, 4.0], rtol=1e-6)


def test_dials_turn_without_a_new_compilation():
    compiled = []

    @jax.jit
    def step(dials, params, grads):
        compiled.append(1)
        method = Controls(clip="value").method
        return update(method, dials, 0, (params, method.empty().init(params)), grads)[0]

    params, grads = {"w": jnp.ones(2)}, {"w": jnp.array([10.0, 0.5])}
    first = step(Controls(clip="value", rate=1.0).dials(["w"]), params, grads)
    turned = Controls(clip="value", rate=0.5, clip_at=2.0, decay=1.0, schedule="step", frozen=())
    second = step(turned.dials(["w"]), params, grads)
    held = step(Controls(clip="value", frozen=("w",)).dials(["w"]), params, grads)
    np.testing.assert_allclose(first["w"], [0.0, 0.5])
    np.testing.assert_allclose(second["w"], [1 - 0.5 * (2 + 1), 1 - 0.5 * (0.5 + 1)])
    np.testing.assert_array_equal(held["w"], params["w"])
    assert compiled == [1]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_frozen_parameter_and_its_memory_stay_bit_for_bit(name):
    params = {"a": jnp.array([1.0, 2.0]), "b": jnp.array([3.0])}
    grads = {"a": jnp.array([0.3, -0.7]), "b": jnp.array([0.9])}
    free = Controls(optimizer=name, rate=0.1, decay=0.1)
    params, memory = _moved(free, params, grads)
    held = Controls(optimizer=name, rate=0.1, decay=0.1, frozen=("params.a",))
    after, remembered = _moved(held, params, grads, 1, memory)
    wanted, moved = _moved(free, params, grads, 1, memory)
    np.testing.assert_array_equal(after["a"], params["a"])
    np.testing.assert_array_equal(after["b"], wanted["b"])
    for found, old, new in zip(*map(jax.tree.leaves, (remembered, memory, moved)), strict=True):
        np.testing.assert_array_equal(found, old if found.shape == (2,) else new)
    assert not np.array_equal(wanted["a"], params["a"])


def test_a_frozen_gradient_has_no_part_in_the_global_norm():
    params = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    grads = {"a": jnp.array([100.0]), "b": jnp.array([0.5])}
    after, _ = _moved(Controls(rate=1.0, clip="norm", clip_at=1.0, frozen=("params.a",)), params, grads)
    assert (float(after["a"][0]), float(after["b"][0])) == (0.0, -0.5)


def test_what_lies_inside_a_frozen_name_is_frozen():
    dials = Controls(frozen=("p.layers.1",)).dials(["p.layers.1.w", "p.layers.10.w", "p.layers.1.b", "p.layers.0.w"])
    assert dials["frozen"].tolist() == [True, False, True, False]


def test_freezing_what_isnt_there_is_refused_with_the_names_that_are():
    with pytest.raises(ControlsError, match=r"no parameter 'q' to freeze; there are a, b"):
        Controls(frozen=("q",)).dials(["a", "b"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"optimizer": "adagrad"}, "optimizer 'adagrad' isn't one of sgd, momentum"),
        ({"clip": "both"}, "clip 'both' isn't one of none, value, norm"),
        ({"schedule": "saw"}, "schedule 'saw' isn't one of constant"),
        ({"rate": -1.0}, "rate is -1.0, and must be a finite number from 0 up"),
        ({"decay": float("nan")}, "decay is nan"),
        ({"clip_at": float("inf")}, "clip_at is inf"),
        ({"beta": 0.9}, "no control 'beta'; there are clip, clip_at, decay"),
    ],
)
def test_a_control_that_cant_be_is_refused(change, says):
    with pytest.raises(ControlsError, match=says):
        Controls().changed(**change)


def test_a_change_is_said_in_words():
    before, after = Controls(rate=0.1), Controls(rate=0.03, frozen=("w",))
    assert before.difference(after) == "rate 0.1 → 0.03, frozen nothing → w"
    assert "memory starts empty" in before.difference(Controls(optimizer="lion"))
    assert "memory" not in before.difference(after)


def test_an_optimiser_of_ones_own_is_left_as_it_is():
    given = optax.sgd(0.25)
    assert Fixed(given).make({}, 0) is Fixed(given).empty() is given


# ---- a scaled loss -------------------------------------------------------------------------------------------------

PARAMS = {"w": jnp.ones(2)}
FINE, TOO_LARGE = {"w": jnp.ones(2)}, {"w": jnp.array([1.0, jnp.inf])}


def taken(scaling, *grads, optimizer="momentum"):
    """Parameters and memory after steps of these gradients."""
    chosen = Controls(optimizer=optimizer, scaling=scaling)
    dials = chosen.dials(["w"])
    state = PARAMS, chosen.method.empty().init(PARAMS)
    for step, own in enumerate(grads):
        state = optimisers.update(chosen.method, dials, np.int32(step), state, own)
    return state


def test_without_scaling_nothing_more_is_remembered():
    plain, scaled = taken("none"), taken("static")
    assert optimisers.factor(plain[1]) is None
    assert jax.tree.structure(scaled[1].inner) == jax.tree.structure(plain[1])


@pytest.mark.parametrize("scaling", ["static", "dynamic"])
def test_a_step_that_overflows_is_left_out(scaling):
    one, two = taken(scaling, FINE), taken(scaling, FINE, TOO_LARGE)
    assert np.array_equal(one[0]["w"], two[0]["w"])
    assert jax.tree.all(jax.tree.map(np.array_equal, one[1].inner, two[1].inner))
    assert [optimisers.skipped(memory) for _, memory in (one, two)] == [0, 1]


@pytest.mark.parametrize(("scaling", "factor"), [("static", optimisers.STATIC), ("dynamic", optimisers.FIRST / 2)])
def test_a_dynamic_scaling_is_halved_where_a_step_overflows(scaling, factor):
    assert optimisers.factor(taken(scaling, TOO_LARGE)[1]) == factor


@pytest.mark.parametrize(("scaling", "times"), [("static", 1), ("dynamic", 2)])
def test_a_dynamic_scaling_is_doubled_after_many_steps(scaling, times, monkeypatch):
    monkeypatch.setattr(optimisers, "PATIENCE", 2)
    before, after = (optimisers.factor(taken(scaling, *[FINE] * count)[1]) for count in (1, 2))
    assert after == times * before


def test_the_steps_are_those_of_an_unscaled_loss():
    pair = [taken(scaling, FINE, FINE, optimizer="adam")[0]["w"] for scaling in ("none", "dynamic")]
    assert np.array_equal(*pair)


@pytest.mark.parametrize("optimizer", ALGORITHMS)
def test_complex_parameters_go_down_as_their_real_and_imaginary_parts_do(optimizer):
    own = Controls(optimizer=optimizer)
    start = np.array([1j, 3 - 2j], np.complex64)

    def after(params, loss):
        memory = own.method.empty().init(params)
        grads = jax.grad(loss)(params)
        return update(own.method, own.dials(["z"]), np.int32(0), (params, memory), grads)[0]

    found = after(start, lambda z: jnp.sum(jnp.abs(z) ** 2))
    assert np.sum(np.abs(found) ** 2) < np.sum(np.abs(start) ** 2)
    if optimizer in (
        "sgd",
        "momentum",
        "nesterov",
    ):  # the others divide by the size of an entry, whose parts go together
        parts = after(np.stack([start.real, start.imag]), lambda parts: jnp.sum(parts**2))
        np.testing.assert_allclose(found, parts[0] + 1j * parts[1], rtol=1e-6)


def test_for_real_gradients_no_operation_is_added():
    program = jax.make_jaxpr(optimisers.steepest)({"w": jnp.ones(3), "b": jnp.ones(2, jnp.bfloat16)})
    assert not program.eqns
