"""What one page may ask of a server that many share."""

from __future__ import annotations

import dataclasses

import pytest

from engine.tasks.settings import TASKS, SettingsError, usual
from explorer.lessons.course import entries
from explorer.limits import NONE, SHARED
from explorer.session import Session

LARGEST = usual("text", width=512, depth=64, batch=512, length=200)


def test_there_are_none_unless_asked_for():
    assert NONE.checked(LARGEST) is LARGEST


@pytest.mark.parametrize("task", TASKS)
def test_what_one_comes_to_may_be_on_a_server_that_many_share(task):
    if task != "csv":
        SHARED.checked(usual(task))


@pytest.mark.parametrize("model", ["mlp", "conv", "rnn", "gru", "lstm", "transformer"])
def test_so_may_every_model_on_pictures(model):
    SHARED.checked(usual("digits", model=model))


def test_the_lessons_stay_within():
    for beat in (beat for entry in entries() for beat in entry.lesson.beats):
        for given in (beat.position.settings, {**beat.position.settings, **beat.position.compare}):
            SHARED.checked(usual(**{"task": "digits", **given}))


def test_what_is_too_large_is_said():
    with pytest.raises(SettingsError, match=r"^width is 512, and on this server, which many share, 256 at most\.$"):
        SHARED.checked(usual("xor", width=512))


def test_so_are_sizes_that_are_too_large_together():
    with pytest.raises(SettingsError, match=r"^One step of this network takes [\d.]+ times as long as it may"):
        SHARED.checked(usual("text", width=256, depth=8, batch=128))


def test_a_session_starts_and_changes_within_them():
    session = Session(usual("xor", depth=1, width=2, batch=4), limits=SHARED)
    with pytest.raises(SettingsError):
        session.choose(width=300)
    assert session.settings.width == 2
    fields = {field["name"]: field for field in session.form()["fields"]}
    assert fields["width"]["high"] == dict(SHARED.sizes)["width"]
    with pytest.raises(SettingsError):
        Session(dataclasses.replace(usual("xor"), width=300), limits=SHARED)
