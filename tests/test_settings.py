"""The settings: what each can be, what fits together, what comes along."""

from __future__ import annotations

import dataclasses
import re

import pytest

from engine.tasks.settings import CHOICES, LIMITS, TASKS, Settings, SettingsError, brought, usual


def sentence(**wrong) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings(**wrong).checked()
    return str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"norm": "group"}, "norm 'group' isn't one of none, layer, batch, rms."),
        ({"model": "cnn"}, "model 'cnn' isn't one of mlp, conv, rnn, gru, lstm, transformer."),
        ({"depth": 65}, "depth is 65, and can be from 0 to 64."),
        ({"width": 0}, "width is 0, and can be from 1 to 512."),
        ({"batch": 513}, "batch is 513, and can be from 1 to 512."),
        ({"rate": -1.0}, "rate is -1.0, and can be from 0.0 to 1000000.0."),
        ({"rate": float("nan")}, "rate is nan, and can be from 0.0 to 1000000.0."),
        ({"dropout": 1.0}, "dropout is 1.0, and can be from 0.0 to 0.9."),
        ({"depth": 2.5}, "depth must be a whole number, and is 2.5."),
        ({"depth": True}, "depth must be a whole number, and is True."),
        ({"rate": "fast"}, "rate must be a number, and is 'fast'."),
        ({"residual": 1}, "residual must be true or false, and is 1."),
        ({"csv": None}, "csv must be text, and is None."),
        ({"task": "spiral", "model": "conv"}, "model 'conv' doesn't fit the task 'spiral'; choose mlp."),
        (
            {"task": "adding", "model": "mlp"},
            "model 'mlp' doesn't fit the task 'adding'; choose gru, lstm, rnn or transformer.",
        ),
        ({"task": "regression"}, "loss 'cross_entropy' doesn't fit the task 'regression'; choose mse, mae or huber."),
        (
            {"model": "conv", "depth": 0},
            "depth is 0, and model 'conv' needs at least one layer: 1 to 64.",
        ),
        ({"norm": "batch", "batch": 1}, "norm 'batch' needs a batch of at least 2 examples, and batch is 1."),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(wrong, told):
    assert sentence(**wrong) == told


@pytest.mark.parametrize("name", CHOICES)
def test_an_unknown_name_is_answered_with_all_that_there_are(name):
    names = ", ".join(CHOICES[name])
    assert sentence(**{name: "cats"}) == f"{name} 'cats' isn't one of {names}."


@pytest.mark.parametrize("name", LIMITS)
def test_the_limits_themselves_are_possible(name):
    kind = type(getattr(Settings(), name))
    for limit in LIMITS[name]:
        assert Settings(**{name: kind(limit)}).checked()


def test_each_field_is_chosen_or_limited_or_free():
    free = {field.name for field in dataclasses.fields(Settings)} - set(CHOICES) - set(LIMITS)
    assert free == {"residual", "remat", "csv"}


def test_the_first_page():
    first = Settings()
    assert (first.task, first.model, first.depth, first.width, first.activation) == ("digits", "mlp", 2, 16, "tanh")
    assert (first.init, first.optimizer, first.rate, first.batch, first.seed) == ("lecun", "sgd", 0.5, 32, 0)
    assert first == usual("digits") == first.checked()


@pytest.mark.parametrize("task", TASKS)
def test_what_a_task_brings_is_possible_whatever_was_chosen_before(task):
    before = usual("text", optimizer="lion", dropout=0.5)
    assert dataclasses.replace(before, **brought("task", task)).checked().task == task


def test_a_transformer_comes_with_what_makes_it_trainable_and_others_without():
    text = usual("text")
    assert (text.model, text.norm, text.residual, text.optimizer) == ("transformer", "layer", True, "adam")
    gru = dataclasses.replace(text, **brought("model", "gru"))
    assert (gru.model, gru.norm, gru.residual, gru.optimizer) == ("gru", "none", False, "adam")
    assert (usual("adding").loss, usual("digits").loss) == ("mse", "cross_entropy")


def test_what_is_asked_for_goes_before_what_comes_along():
    chosen = usual("text", model="transformer", norm="rms", residual=False, width=8)
    assert (chosen.norm, chosen.residual, chosen.width, chosen.depth) == ("rms", False, 8, 1)
    with pytest.raises(SettingsError, match=re.escape("task 'cats' isn't one of digits, spiral")):
        usual("cats")


def test_other_settings_bring_nothing():
    assert brought("activation", "relu") == {"activation": "relu"}
    assert brought("model", "cnn") == {"model": "cnn"}
    assert brought("csv", "") == {"csv": ""}


def test_a_file_brings_its_task():
    found = brought("csv", "my.csv")
    assert (found["task"], found["csv"], found["model"]) == ("csv", "my.csv", "mlp")


@pytest.mark.parametrize("task", TASKS)
def test_each_setting_that_matters_to_a_task_is_one(task):
    names = {field.name for field in dataclasses.fields(Settings)}
    assert set(TASKS[task].uses) <= names
    assert len(set(TASKS[task].uses)) == len(TASKS[task].uses)
    assert set(dict(TASKS[task].defaults)) <= names
