"""The training room without a page: the run is that of a loop written by hand, and what is printed is strict JSON."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import signal
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from engine import saving
from engine.store import StoreError
from engine.tasks import SettingsError, problem, usual
from explorer import frames, headless, room
from explorer.errors import ExplorerError
from explorer.headless import Order, plain, train
from explorer.report import report
from explorer.target import Target

pytestmark = pytest.mark.once

SMALL = {"task": "xor", "depth": 1, "width": 4, "batch": 8}
MODEL = """
import jax.numpy as jnp
import numpy as np

def loss(params, x):
    return jnp.mean(jnp.tanh(x @ params["w"]) ** 2)

def loss_args():
    return {"w": np.arange(6, dtype=np.float32).reshape(3, 2) / 4}, np.ones((4, 3), np.float32)

def vector(x):
    return x * 2.0

vector_args = (np.ones(3, np.float32),)
"""


def by_hand(given, optimiser, steps):
    """The losses of a plain loop."""
    params, state = given.params, optimiser.init(given.params)

    @jax.jit
    def step(params, state, batch):
        loss, grads = jax.value_and_grad(lambda params: given.fun(*params, *batch))(params)
        updates, state = optimiser.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    losses = []
    for number in range(steps):
        params, state, loss = step(params, state, given.batch(number))
        losses.append(float(loss))
    return losses


def strict(text):
    """Read JSON as its standard has it."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def printed(order):
    return strict(headless.as_json(plain(train(order))))


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / "headless_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "headless_model"
    sys.modules.pop("headless_model", None)


@pytest.fixture(scope="module")
def healthy():
    """A small run of 120 steps."""
    return train(Order(120, {**SMALL, "noise": 0.0}))


@pytest.fixture(scope="module")
def broken():
    """A run whose loss overflows."""
    return train(Order(40, {"task": "regression", "depth": 1, "width": 4, "activation": "relu", "rate": 1e6}))


# ---- the training --------------------------------------------------------------------------------------------------


def test_the_losses_are_those_of_a_loop_written_by_hand():
    chosen = {**SMALL, "optimizer": "adam", "rate": 0.01, "clip": "norm", "clip_at": 0.1, "seed": 3}
    given = problem(usual(**chosen))
    optimiser = optax.chain(optax.clip_by_global_norm(0.1), optax.adam(0.01))
    losses = train(Order(40, chosen)).losses
    assert len(losses) == 40
    np.testing.assert_allclose(losses, by_hand(given, optimiser, 40), rtol=1e-5)


def test_a_function_of_ones_own_is_trained_with_the_dials_from_the_first_step(model):
    found = printed(Order(20, {"optimizer": "adam", "rate": 0.02}, target=f"{model}:loss"))
    given = room.own_problem(headless.load(f"{model}:loss"))
    np.testing.assert_allclose(found["loss"], by_hand(given, optax.adam(0.02), 20), rtol=1e-5)
    assert (found["title"], found["settings"]) == ("loss", {})


@pytest.mark.cpu
@pytest.mark.parametrize("own", [True, False])
def test_a_step_may_be_divided(own, model):
    chosen = {"optimizer": "adam", "rate": 0.02, **({} if own else SMALL)}
    whole, divided = (
        printed(Order(20, chosen, target=f"{model}:loss" if own else "", split=split))
        for split in ((), (("devices", 2), ("pieces", 2), ("sharded", True)))
    )
    np.testing.assert_allclose(divided["loss"], whole["loss"], rtol=1e-4)
    assert [divided[name] for name in ("devices", "micro_batches", "divided_memory")] == [2, 2, True]
    assert "\ndevices   2, at least 2 micro-batches on each, the optimiser's memory divided\n" in report(divided)
    assert "devices" not in report(whole)


def test_an_argument_may_be_a_key(monkeypatch):
    def noisy(w, x, key):
        return jnp.mean((x @ w + jax.random.normal(key, (8,))) ** 2)

    given = (np.ones(3, np.float32), np.ones((8, 3), np.float32), jax.random.key(0))
    monkeypatch.setattr(headless, "load", lambda text: Target("noisy", noisy, given))
    assert printed(Order(2, {}, target="any:noisy"))["step"] == 2
    one, other = (room.own_problem(Target("noisy", noisy, (*given[:2], jax.random.key(seed)))).start for seed in (0, 1))
    assert one != other


@pytest.mark.parametrize("piece", [0.0, 1e9])
def test_how_the_steps_are_divided_changes_nothing(piece, healthy, monkeypatch):
    monkeypatch.setattr(headless, "_PIECE", piece)
    again = train(Order(120, {**SMALL, "noise": 0.0}))
    assert again.losses.tolist() == healthy.losses.tolist()


def test_no_steps_are_no_losses():
    found = printed(Order(0, SMALL))
    assert (found["step"], found["loss"], found["profile"]["gradient_rms"], found["tests"]["steps"]) == (0, [], [], [0])


@pytest.mark.parametrize("steps", [-1, headless.MOST + 1])
def test_steps_have_limits(steps):
    with pytest.raises(ExplorerError, match=rf"^--steps is {steps}, and can be from 0 to 10,000,000\.$"):
        train(Order(steps, SMALL))


# ---- what is shown -------------------------------------------------------------------------------------------------


def test_losses_are_written_bit_for_bit(healthy):
    read = np.array(plain(healthy)["loss"], np.float32)
    assert read.tobytes() == healthy.room.run.history.loss().last.astype(np.float32).tobytes()
    assert max(len(repr(value)) for value in plain(healthy)["loss"]) <= 14


def test_the_profile_is_that_of_the_page(healthy):
    shown = plain(healthy)["profile"]
    assert shown["layers"] == [layer.name for layer in healthy.room.layers]
    assert shown["steps"] == list(range(120))
    np.testing.assert_array_equal(np.float32(shown["gradient_rms"]), frames.profile(healthy.room))


def test_accuracies_are_those_of_the_last_parameters(healthy):
    shown, given = plain(healthy), healthy.room.problem
    params = healthy.room.run.state.params
    assert shown["tests"]["steps"] == [0, 100, 120]
    assert shown["accuracy"]["test"] == pytest.approx(float(given.accuracy(params, *given.held_out)))
    loss = float(given.fun(*params, *given.held_out))
    assert shown["tests"]["test_loss"][-1] == pytest.approx(loss, rel=1e-5)


def test_settings_are_all_that_decide_the_run(healthy):
    assert plain(healthy)["settings"] == dataclasses.asdict(usual(**SMALL, noise=0.0))


def test_what_was_not_measured_is_null(monkeypatch):
    monkeypatch.setattr(room, "WATCHED", 1)
    shown = printed(Order(2, SMALL))["profile"]["gradient_rms"]
    assert [[value is None for value in row] for row in shown] == [[False, True]] * 2


def test_a_task_without_classes_has_no_accuracy(broken):
    assert plain(broken)["accuracy"] == {"train": None, "test": None}


def test_numbers_that_are_not_finite_are_strings():
    values = np.array([0.1, math.nan, math.inf, -math.inf], np.float32)
    assert headless.numbers(values) == [0.1, "NaN", "Infinity", "-Infinity"]


def test_a_broken_run_is_strict_json_with_its_finding(broken):
    found = strict(headless.as_json(plain(broken)))
    assert [each["kind"] for each in found["findings"]] == ["nonfinite"]
    assert {type(value) for value in found["loss"]} == {float, str}


def test_a_broken_run_ends_with_the_first_loss_that_is_not_finite(broken):
    found = plain(broken)["loss"]
    assert [index for index, value in enumerate(found) if isinstance(value, str)] == [len(found) - 1]
    assert broken.room.step == len(found) == broken.room.broken + 1


@pytest.mark.slow
@pytest.mark.once
def test_a_healthy_residual_net_has_no_findings():
    chosen = {"depth": 4, "residual": True, "norm": "layer", "init": "xavier", "rate": 0.05, "noise": 0.0}
    assert printed(Order(150, {"task": "circles", **chosen}))["findings"] == []


@pytest.mark.slow
@pytest.mark.once
def test_twenty_layers_of_sigmoids_vanish_and_the_first_remedy_clears_it():
    chosen = {"task": "spiral", "model": "mlp", "depth": 20, "activation": "sigmoid"}
    (finding,) = printed(Order(200, chosen))["findings"]
    assert finding["kind"] == "vanishing"
    assert len(finding["factors"]) == 20
    for factor in finding["factors"]:
        assert factor["product"] == pytest.approx(factor["measured"], rel=0.1)
    assert printed(Order(200, {**chosen, **finding["remedies"][0]["change"]}))["findings"] == []


# ---- saved and opened ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.once
def test_a_run_that_is_opened_goes_on_as_if_it_had_not_stopped(tmp_path, healthy):
    folder = str(tmp_path / "run")
    train(Order(70, {**SMALL, "noise": 0.0}, save=folder))
    found = plain(train(Order(50, {}, open=folder, save=folder)))
    assert found == plain(healthy)


def test_a_dial_can_be_turned_when_a_run_is_opened(tmp_path):
    folder = str(tmp_path / "run")
    train(Order(5, SMALL, save=folder))
    trained = train(Order(5, {"rate": 0.001}, open=folder))
    assert [(event.step, event.controls.rate) for event in trained.room.run.events] == [(0, 0.3), (5, 0.001)]
    assert trained.room.settings == usual(**SMALL, rate=0.001)


def test_other_settings_are_kept(tmp_path):
    with pytest.raises(SettingsError, match=r"^--depth can't be given here: the run that is opened keeps its settings"):
        train(Order(5, {"depth": 3}, open=str(tmp_path)))


@pytest.mark.slow
@pytest.mark.once
def test_of_a_long_run_that_is_opened_the_losses_begin_there(tmp_path):
    folder = str(tmp_path / "run")
    train(Order(1001, SMALL, save=folder))
    again = train(Order(3, {}, open=folder))
    assert (again.start, again.room.step, len(again.losses)) == (1001, 1004, 3)


@pytest.mark.slow
@pytest.mark.once
def test_a_broken_run_is_still_broken_when_it_is_opened(tmp_path, broken):
    folder = str(tmp_path / "run")
    saving.save(broken.room.run, folder, broken.room.settings)
    again = train(Order(10, {}, open=folder))
    assert (again.room.broken, again.room.step) == (broken.room.broken, broken.room.step)
    assert plain(again)["findings"] == plain(broken)["findings"]


def test_where_losses_were_joined_the_first_that_is_not_finite_is_found(broken):
    first = broken.room.broken
    assert broken.room._first_lost(0, first + 5) == first


def test_another_run_is_not_written_over(tmp_path):
    folder = str(tmp_path / "run")
    train(Order(1, SMALL, save=folder))
    with pytest.raises(ExplorerError, match=r"^There is a run in .* already: go on with it by --open"):
        train(Order(1, SMALL, save=folder))


def test_a_folder_that_cannot_be_written_is_told_before_the_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(room.Room, "advancing", lambda *_: pytest.fail("it trained"))
    with pytest.raises(StoreError, match="could not be saved"):
        train(Order(1, SMALL, save=str(tmp_path / "file")))


def test_a_run_of_ones_own_function_is_opened_with_it(tmp_path, model):
    folder, target = str(tmp_path / "run"), f"{model}:loss"
    train(Order(3, {}, target=target, save=folder))
    again = train(Order(3, {}, target=target, open=folder))
    assert again.losses.tolist() == train(Order(6, {}, target=target)).losses.tolist()


# ---- stopped, and watched ------------------------------------------------------------------------------------------


@pytest.fixture
def _interruptible():
    """A shell that runs us in the background has interruptions ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interruption_ends_after_the_step_in_work(monkeypatch):
    advancing = room.Room.advancing

    def interrupted(self, count):
        signal.raise_signal(signal.SIGINT)
        yield from advancing(self, count)

    monkeypatch.setattr(room.Room, "advancing", interrupted)
    trained = train(Order(50, SMALL))
    assert (trained.interrupted, trained.room.step, len(trained.losses)) == (True, 1, 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("_interruptible")
def test_a_second_interruption_is_one(monkeypatch):
    def impatient(self, count):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        yield

    monkeypatch.setattr(room.Room, "advancing", impatient)
    with pytest.raises(KeyboardInterrupt):
        train(Order(50, SMALL))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_has_a_progress_bar(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    train(Order(30, SMALL))
    last = screen.getvalue().rstrip().rpartition("\r")[2]
    assert last.startswith("Training: 100%")
    assert "30/30" in last
    assert "loss 0." in last


def test_elsewhere_there_is_none(capfd):
    train(Order(3, SMALL))
    assert capfd.readouterr() == ("", "")
