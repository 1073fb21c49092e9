"""Findings on functions of one's own: what is said, where, and what isn't a finding."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import json
import math
import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import engine
from engine import health
from engine.health import units
from engine.health.evidence import Course
from engine.profile import Factor

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 3)).astype(np.float32)


def net(*sizes):
    return [
        {"w": (RNG.normal(size=(n, m)) / n**0.5).astype(np.float32), "b": np.zeros(m, np.float32)}
        for n, m in itertools.pairwise(sizes)
    ]


def loss_with(activation):
    def loss(params, x):
        for own in params[:-1]:
            x = activation(x @ own["w"] + own["b"])
        return jnp.mean((x @ params[-1]["w"] + params[-1]["b"] - 1.0) ** 2)

    return loss


def evidence(loss, params, *batch, rate=0.0, losses=(), settings=None):
    """What one step of gradient descent tells."""
    _, grads, reading = jax.jit(engine.value_and_grad(loss))(params, *batch)
    after = jax.tree.map(lambda p, g: p - rate * g, params, grads) if rate else None
    return health.gather((reading,), (params,), (after,) if rate else None, losses, settings)


def diagnosis(*args, **kwargs):
    (finding,) = health.diagnose(evidence(*args, **kwargs))
    return finding


def line_of(function, text):
    """``file:line`` of the line of a function that holds a text."""
    lines, start = inspect.getsourcelines(function)
    (number,) = (start + index for index, line in enumerate(lines) if text in line)
    return f"{__file__}:{number}"


# ---- not finite ----------------------------------------------------------------------------------------------------


def log_of_zero(params, x):
    p = jax.nn.relu(x @ params["w"])
    surprise = -jnp.log(p)
    return jnp.mean(surprise)


def test_a_loss_that_never_was_finite_is_not_put_down_to_the_rate():
    params, losses = {"w": net(3, 2)[0]["w"]}, (np.nan, np.nan)
    told = [remedy.label for remedy in diagnosis(log_of_zero, params, X, rate=0.1, losses=losses).remedies]
    assert told == ["Keep the operand of log away from where it has no value"]
    dials = {"optimizer": "sgd", "rate": 0.1, "clip": "none", "clip_at": 1.0}
    later = diagnosis(log_of_zero, params, X, rate=0.1, losses=(1.0, np.nan), settings=dials).remedies
    assert [set(remedy.change) for remedy in later] == [set(), {"rate"}, {"clip", "clip_at"}]


def test_the_first_operation_and_its_line_are_named_forward():
    found = diagnosis(log_of_zero, {"w": net(3, 2)[0]["w"]}, X)
    assert found.kind == "nonfinite"
    assert f"log ({line_of(log_of_zero, 'jnp.log')}) made an infinite number out of 0" in found.sentence
    assert (found.where[0].name, found.cause) == ("log", "an infinite number from log, forward")


def root_of_zero(params, x):
    squares = jnp.sum((0.0 * (x @ params["w"])) ** 2, axis=-1)
    return jnp.mean(jnp.sqrt(squares))


def test_the_first_operation_and_its_line_are_named_backward():
    found = diagnosis(root_of_zero, {"w": net(3, 2)[0]["w"]}, X)
    assert found.kind == "nonfinite"
    assert f"backward, sqrt ({line_of(root_of_zero, 'jnp.sqrt')}) sent back" in found.sentence


def test_one_who_writes_the_function_is_given_advice_without_a_setting():
    found = diagnosis(log_of_zero, {"w": net(3, 2)[0]["w"]}, X)
    assert [remedy.change for remedy in found.remedies] == [{}] * len(found.remedies)
    assert found.remedies


def test_masked_infinities_that_never_reach_the_loss_are_none():
    def attention(params, x):
        scores = jnp.where(jnp.tril(jnp.ones((16, 16), bool)), x @ params["w"] @ x.T, -jnp.inf)
        return jnp.mean((jax.nn.softmax(scores) @ x) ** 2)

    assert health.diagnose(evidence(attention, {"w": net(3, 3)[0]["w"]}, X)) == ()


def test_data_that_are_not_finite_are_named():
    found = diagnosis(loss_with(jnp.tanh), net(3, 4, 1), np.where(X > 1.5, np.nan, X))
    assert (found.kind, found.where[0].name) == ("nonfinite", "x")


def test_an_update_that_overflows_is_told_from_the_pass():
    params = net(3, 4, 1)
    made = evidence(loss_with(jnp.tanh), params, X, rate=1.0)
    ruined = {id: np.full_like(value, np.inf) for id, value in made.after.items()}
    (found,) = health.diagnose(dataclasses.replace(made, after=ruined))
    assert (found.kind, "update of" in found.sentence) == ("nonfinite", True)


def test_a_broken_step_that_was_not_read_is_dated():
    (found,) = health.diagnose(evidence(loss_with(jnp.tanh), net(3, 4, 1), X, losses=[1.0, 0.5, math.nan, math.nan]))
    assert "from step 2 on" in found.sentence


def test_the_step_to_read_is_the_first_that_is_not_finite():
    assert health.breaking_step([1.0, 2.0, math.inf, 1.0]) == 2
    assert health.breaking_step([1.0, 2.0]) is None


# ---- cut -----------------------------------------------------------------------------------------------------------


def rounded(params, x):
    h = jnp.round(x @ params[0]["w"])
    return jnp.mean((h @ params[1]["w"]) ** 2)


def argmaxed(params, x):
    chosen = jnp.argmax(x @ params[0]["w"], axis=-1)
    return jnp.mean((jax.nn.one_hot(chosen, 4) @ params[1]["w"]) ** 2)


def stopped(params, x):
    h = lax.stop_gradient(jnp.tanh(x @ params[0]["w"]))
    return jnp.mean((h @ params[1]["w"]) ** 2)


def stepped(params, x):
    h = jnp.where(x @ params[0]["w"] > 0, 1.0, 0.0)
    return jax.nn.logsumexp(h @ params[1]["w"])


@pytest.mark.parametrize(
    ("loss", "op"), [(rounded, "round"), (argmaxed, "argmax"), (stopped, "stop_gradient"), (stepped, "gt")]
)
def test_what_cuts_the_gradient_is_named(loss, op):
    found = diagnosis(loss, net(3, 4, 1), X)
    assert found.kind == "cut"
    assert found.cause == f"{op} has no derivative"
    assert [place.name for place in found.where[1:]] == ["layer 0"]


def test_the_line_that_cuts_is_named():
    assert line_of(rounded, "jnp.round") in diagnosis(rounded, net(3, 4, 1), X).sentence


def test_a_penalty_on_the_weights_does_not_hide_a_cut():
    def penalised(params, x):
        return rounded(params, x) + 0.01 * sum(jnp.sum(own["w"] ** 2) for own in params)

    assert diagnosis(penalised, net(3, 4, 1), X).kind == "cut"


@pytest.mark.parametrize(
    "healthy",
    [
        lambda z: z + lax.stop_gradient(jnp.round(z) - z),
        lambda z: jnp.where(z > 0, z, 0.1 * z),
        lambda z: z * lax.stop_gradient(1 / (1e-3 + jnp.abs(z).max())),
    ],
    ids=["straight through", "a choice", "a scale held fixed"],
)
def test_a_cut_with_a_way_round_is_none(healthy):
    assert health.diagnose(evidence(loss_with(healthy), net(3, 8, 1), X)) == ()


# ---- units ---------------------------------------------------------------------------------------------------------


def test_equal_units_with_equal_gradients_are_one():
    params = net(3, 4, 1)
    params[0]["w"] = np.tile(params[0]["w"][:, :1], 4)
    params[1]["w"] = np.full((4, 1), 0.3, np.float32)
    found = diagnosis(loss_with(jnp.tanh), params, X)
    assert (found.kind, [place.name for place in found.where]) == ("symmetry", ["layer 0"])


def test_a_last_layer_of_zeros_is_healthy():
    params = net(3, 4, 2)
    params[1]["w"] = np.zeros((4, 2), np.float32)

    def loss(params, x):
        scores = jnp.tanh(x @ params[0]["w"]) @ params[1]["w"]
        return -jnp.mean(jax.nn.log_softmax(scores)[:, 0] * (x[:, 0] > 0) + jax.nn.log_softmax(scores)[:, 1])

    assert health.diagnose(evidence(loss, params, X)) == ()


def test_equal_weights_that_differ_in_their_bias_are_not_alike():
    params = net(3, 4, 1)
    params[0] = {"w": np.zeros((3, 4), np.float32), "b": np.arange(4, dtype=np.float32)}
    assert "symmetry" not in [f.kind for f in health.diagnose(evidence(loss_with(jnp.tanh), params, X))]


def test_a_layer_that_is_off_for_the_whole_batch_is_dead():
    params = net(3, 8, 8, 1)
    params[1]["b"][:] = -50
    found = diagnosis(loss_with(jax.nn.relu), params, X)
    assert (found.kind, [place.name for place in found.where]) == ("dead", ["layer 1"])
    assert "100 % of the units" in found.sentence


def test_half_of_a_relu_layer_off_is_chance():
    params = net(3, 8, 1)
    params[0]["b"][:4] = -50
    assert health.diagnose(evidence(loss_with(jax.nn.relu), params, X)) == ()


def test_a_third_of_a_layer_that_died_is_told_once_the_loss_no_longer_falls():
    loss, params, step = loss_with(jax.nn.relu), net(3, 9, 1), range(200)
    reading = jax.jit(lambda params: engine.value_and_grad(loss)(params, X)[2])
    first = jax.block_until_ready(reading(params))  # it may still read the array that changes below
    params[0]["b"][:3] = -50
    lost = lambda losses: units.dead(health.gather((first, reading(params)), (params,), None, losses))
    assert lost([2.0 * 0.999**each for each in step]) is None
    assert "are zero for the whole batch" in lost([1.0 + 0.01 * math.sin(7 * each) for each in step]).sentence


def test_activations_in_their_flat_part_are_saturated():
    params = net(3, 8, 1)
    params[0]["w"] *= 100
    found = diagnosis(loss_with(jnp.tanh), params, X)
    assert (found.kind, found.cause) == ("saturated", "initialisation too large")


# ---- steps and losses ----------------------------------------------------------------------------------------------

FLAT = [1.0 + 0.01 * math.sin(7 * step) for step in range(200)]
FALLING = [2.0 * 0.97**step for step in range(200)]


def test_a_step_that_moves_nothing_is_too_small():
    found = diagnosis(loss_with(jnp.tanh), net(3, 8, 1), X, rate=1e-7, losses=FLAT)
    assert (found.kind, found.cause) == ("update_too_small", "learning rate too small")
    assert found.effects[0].startswith("plateau")


def test_a_step_that_replaces_the_weights_is_too_large():
    found = diagnosis(loss_with(jnp.tanh), net(3, 8, 1), X, rate=2.0, losses=FLAT)
    assert found.kind == "update_too_large"


def test_a_large_step_that_helps_is_none():
    assert health.diagnose(evidence(loss_with(jnp.tanh), net(3, 8, 1), X, rate=2.0, losses=FALLING)) == ()


def test_a_loss_that_stays_is_a_plateau():
    found = diagnosis(loss_with(jnp.tanh), net(3, 8, 1), X, rate=0.01, losses=FLAT)
    assert (found.kind, found.effects) == ("plateau", ())
    start, now = statistics.fmean(FLAT[:5]), statistics.median(FLAT[-20:])
    assert found.brief == f"loss {now:.3g} in the last 20 of 200 steps (median), {start:.3g} in the first 5 (mean)"
    told = f"The loss was {start:.3g} in the first 5 of 200 steps (mean) and {now:.3g} in the last 20 (median), though"
    assert found.sentence.startswith(told)


def test_the_last_losses_of_a_long_run_stand_for_more_steps():
    course = Course(tuple(FLAT), 1000)
    assert (course.began, course.lately) == (5, 100)


@pytest.mark.parametrize(
    "losses",
    [[1.0] * 10, FALLING, [1 / (1 + step) + 0.5 for step in range(300)], [1 - 1e-4 * step for step in range(300)]],
    ids=["too few to say", "falling", "fell and stays", "falls slowly"],
)
def test_other_losses_are_no_plateau(losses):
    assert health.diagnose(evidence(loss_with(jnp.tanh), net(3, 8, 1), X, rate=0.01, losses=losses)) == ()


def test_a_linear_model_that_rests_at_what_guessing_gets_is_a_plateau():
    fell = [0.9 * 0.9**step + 0.69 for step in range(200)]

    def loss(params, x, y):
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(x @ params["w"]), axis=1))

    def found(losses, share, **settings):
        params, y = {"w": jnp.zeros((3, 2))}, np.eye(2, dtype=np.float32)[(np.arange(16) < share).astype(int)]
        settings = {"model": "mlp", "activation": "linear", "loss": "cross_entropy", "depth": 1, **settings}
        return health.diagnose(evidence(loss, params, X, y, losses=losses, settings=settings))

    (plateau,) = found(fell, 8)
    assert (plateau.kind, plateau.cause) == ("plateau", "a linear model")
    assert "about 0.693" in plateau.sentence
    assert plateau.remedies[0].change == {"depth": 2, "activation": "tanh"}
    assert not found(fell, 8, activation="tanh")
    assert not found(fell, 8, loss="mse")
    assert not found([loss / 2 for loss in fell], 8)
    assert found([loss / 2 for loss in fell], 1)  # where one of sixteen is in a class, guessing gets 0.23


def test_a_run_is_judged_by_what_was_read_of_it():
    params = net(3, 8, 1)
    probe = engine.Probe(("params.0.w", "params.1.w"), ("value", "grad"))
    _, _, reading = jax.jit(engine.value_and_grad(loss_with(jnp.tanh), probe=probe))(params, X)
    assert health.motion.plateau(health.gather((reading,), (params,), None, FALLING)) is None


def test_a_run_that_blows_up_after_its_first_step_has_not_learned():
    assert Course((2.0, 900.0, 800.0, *[4.0] * 100)).progress < 0
    assert Course((2.0, 1.9, 1.8, *[0.1] * 100)).learned


def test_a_loss_rests_that_fell_at_first_and_does_no_more():
    fell = [2.0 - 0.01 * step for step in range(100)]
    assert not Course(tuple(fell)).rests
    assert Course((*fell, *[1.0] * 150)).rests
    assert not Course((*fell, *[1.0] * 150)).stuck
    assert not Course((2.0, *[1.0] * 50)).rests  # too short to tell


def test_a_loss_is_settled_however_much_its_batches_differ():
    noisy = [0.68 + 0.1 * math.sin(13 * step) + 0.3 * 0.9**step for step in range(400)]
    noisy[200:205] = [0.8] * 5  # the first of the second half, by chance
    assert Course(tuple(noisy)).settled
    assert not Course(tuple(noisy)).rests
    assert not Course(tuple(2.0 - 0.01 * step for step in range(150))).settled
    assert not Course((1.0,) * 98).settled  # too short to tell


# ---- what is said --------------------------------------------------------------------------------------------------


def test_a_finding_is_plain_data():
    found = diagnosis(loss_with(jax.nn.sigmoid), net(3, *[8] * 12, 1), X, losses=FLAT)
    data = json.loads(json.dumps(found.plain()))
    assert set(data) >= {"kind", "where", "cause", "factors", "remedies", "sentence"}
    assert set(data["factors"][0]) >= {"layer", "activation_slope", "weight_gain", "product", "measured"}
    assert (data["kind"], data["lesson"]) == ("vanishing", "vanishing")
    assert data["effects"]


def test_every_kind_is_one_of_the_contract():
    contract = "vanishing exploding dead saturated symmetry nonfinite plateau update_too_small update_too_large cut"
    assert sorted(health.KINDS) == sorted(contract.split())


def test_settings_may_be_a_mapping_or_have_attributes():
    made = evidence(loss_with(jnp.tanh), net(3, 8, 1), X, settings={"rate": 0.5})
    assert made.setting("rate") == 0.5
    assert made.setting("norm", "none") == "none"
    assert dataclasses.replace(made, settings=made).setting("losses") == ()


def test_parameters_that_are_single_numbers_are_fine():
    def product(x, y, z):
        return (x + y) * z

    values = tuple(map(np.float32, (-2, 5, -4)))
    _, _, reading = engine.value_and_grad(product, argnums=(0, 1, 2))(*values)
    assert health.diagnose(health.gather((reading,), values)) == ()


def test_a_finding_is_one_line_and_in_a_notebook_all_that_it_says():
    factor = Factor("layer · 0", "layer · 1", "tanh", 0.5, 0.25, time=2.0, measured=0.25)
    remedies = (health.Remedy("Write <tanh>", {}),)
    found = health.Finding(
        "vanishing", "flat tanh", (), "Gradients shrink.", "shrink", remedies, (factor,), ("plateau",)
    )
    html = found._repr_html_()
    assert repr(found) == "Finding(vanishing: flat tanh; shrink)"
    assert "<td>layer · 0</td><td>tanh</td><td>0.5</td><td>0.25</td><td>2</td><td>0.25</td><td>0.25</td>" in html
    assert "<li>plateau</li>" in html
    assert "<li>Write &lt;tanh&gt;</li>" in html
