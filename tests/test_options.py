"""Settings as options of the command line: one for each, nothing guessed, nothing ignored in silence."""

from __future__ import annotations

import argparse
import dataclasses

import pytest

from engine.tasks import Settings, SettingsError, usual
from engine.tasks.settings import CHOICES
from explorer import options


def read(*argv: str) -> dict:
    parser = argparse.ArgumentParser()
    options.add(parser)
    return options.given(parser.parse_args(argv))


def test_every_setting_has_an_option_and_none_is_given_by_itself():
    argv = [options.flag(field.name) for field in dataclasses.fields(Settings)]
    values = [flag if flag in ("--residual", "--remat") else f"{flag}=1" for flag in argv]
    assert list(read(*values)) == [field.name for field in dataclasses.fields(Settings)]
    assert read() == {}


def test_the_help_names_every_choice():
    parser = argparse.ArgumentParser()
    options.add(parser)
    said = " ".join(parser.format_help().split())
    assert [names for names in CHOICES.values() if ", ".join(names) not in said] == []


def test_values_have_the_types_of_the_settings():
    given = read("--depth", "3", "--rate", "1", "--model", "mlp", "--clip-at", "2e-1", "--no-residual", "--csv", "5")
    assert given == {"model": "mlp", "depth": 3, "residual": False, "rate": 1.0, "clip_at": 0.2, "csv": "5"}
    assert [type(value) for value in given.values()] == [str, int, bool, float, float, str]


def test_what_is_written_is_read_again():
    change = {"depth": 3, "residual": True, "rate": 1e-07, "clip_at": 0.5, "norm": "layer"}
    assert read(*options.written(change).split()) == change
    assert options.written({"residual": False}) == "--no-residual"


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({}, usual("digits")),
        ({"task": "text"}, usual("text")),
        ({"task": "digits", "model": "transformer"}, usual("digits", model="transformer")),
        ({"csv": "a.csv"}, usual("csv", csv="a.csv")),
        ({"task": "spiral", "noise": 0.2}, usual("spiral", noise=0.2)),
        ({"task": "product", "clip": "norm"}, usual("product", clip="norm")),
    ],
)
def test_the_rest_is_what_the_task_and_the_model_bring(chosen, found):
    assert options.settings(chosen) == found


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"model": "cnn"}, "model 'cnn' isn't one of mlp, conv, rnn, gru, lstm, transformer."),
        ({"task": "spirals"}, "task 'spirals' isn't one of digits, spiral, "),
        ({"task": "spiral", "model": "conv"}, "model 'conv' doesn't fit the task 'spiral'; choose mlp."),
        ({"depth": 65}, "depth is 65, and can be from 0 to 64."),
        ({"noise": 0.1}, "noise doesn't matter to the task 'digits': leave --noise out."),
        ({"task": "spiral", "csv": "a.csv"}, "csv doesn't matter to the task 'spiral': leave --csv out."),
        ({"task": "product", "seed": 1}, "seed doesn't matter to the task 'product': leave --seed out."),
    ],
)
def test_what_cannot_be_is_a_sentence(chosen, sentence):
    with pytest.raises(SettingsError) as caught:
        options.settings(chosen)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(("flag", "text"), [("--depth", "twenty"), ("--rate", "fast"), ("--seed", "1.5")])
def test_a_number_that_is_none_is_a_sentence(flag, text):
    with pytest.raises(SettingsError, match=f"^{flag[2:]} must be a number, and is '{text}'.$"):
        read(flag, text)


def test_dials_alone_are_let_through():
    dials = {
        "optimizer": "adam",
        "rate": 0.1,
        "schedule": "step",
        "clip": "norm",
        "clip_at": 2.0,
        "decay": 0.1,
        "scaling": "static",
    }
    assert options.only_dials(dials, "") == dials


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"depth": 3}, "--depth can't be given here: because. Only --optimizer, --rate, --schedule, --clip, "),
        ({"rate": -1.0}, "rate is -1.0, and can be from 0.0 to "),
        ({"optimizer": "sgdd"}, "optimizer 'sgdd' isn't one of sgd, momentum"),
    ],
)
def test_other_settings_and_values_are_not(chosen, sentence):
    with pytest.raises(SettingsError) as caught:
        options.only_dials(chosen, "because.")
    assert str(caught.value).startswith(sentence)
