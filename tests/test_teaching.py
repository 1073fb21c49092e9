"""Lessons on a page: what its messages do, and what it sends."""

from __future__ import annotations

import pytest
from bokeh.document import Document

from explorer.app import Opening, Page
from explorer.dot_process import engine
from explorer.lessons.lesson import LessonError
from explorer.lessons.load import load
from explorer.placing import Placing
from explorer.session import Session

OWN = "docs/my_lesson.toml"


@pytest.fixture(scope="module")
def session():
    with engine() as running:
        yield Session(engine=running)


@pytest.fixture
def sent():
    return []


@pytest.fixture
def page(session, sent, monkeypatch):
    """A page whose work is done at once, and what it sends is kept."""
    own = Page(Opening(lesson=load(OWN)), Document(), lambda does: None)
    monkeypatch.setattr(own, "_session", session)
    monkeypatch.setattr(own._crew, "ask", lambda job: job())
    monkeypatch.setattr(own._crew, "beside", lambda job, then, otherwise=None: then(job()))
    monkeypatch.setattr(own.channel, "later", lambda does, **given: sent.append(given))
    monkeypatch.setattr(own.channel, "newest", lambda key, does, **given: sent.append(given))
    monkeypatch.setattr(own, "_placing", Placing(own._known, own.shows, own.received, lambda: None))
    return own


def last(sent, key):
    return next(given[key] for given in reversed(sent) if key in given)


def test_a_lesson_begins_where_its_first_beat_is(page, sent, session):
    page.received({"type": "lesson", "name": "gradient"})
    assert session.settings.task == "neuron"
    assert (last(sent, "told")["beat"], last(sent, "told")["name"]) == (0, "gradient")
    assert last(sent, "phase") == "Start"


def test_where_one_is_can_be_put_into_an_address(page):
    page.received({"type": "lesson", "name": "gradient", "beat": 3})
    assert page._teaching.place == {"lesson": "gradient", "beat": 3}


def test_a_right_answer_is_shown_on_the_picture(page, sent):
    page.received({"type": "lesson", "name": "gradient", "beat": 4})
    page.received({"type": "answer", "value": "-12"})
    told = last(sent, "told")
    assert (told["state"], told["ask"]["answer"]) == ("right", "−12")
    assert last(sent, "box") == page._known().graph.node("w").id


def test_a_wrong_one_gets_its_hint_and_nothing_moves(page, sent):
    page.received({"type": "lesson", "name": "gradient", "beat": 4})
    before = len([given for given in sent if "phase" in given])
    page.received({"type": "answer", "value": "12"})
    assert last(sent, "told")["state"] == "asking"
    assert "sign" in last(sent, "told")["hint"]
    assert len([given for given in sent if "phase" in given]) == before


def test_a_lesson_of_ones_own_is_known_by_its_name(page, sent):
    page.received({"type": "lesson", "name": "my_lesson"})
    assert last(sent, "told")["title"] == load(OWN).title


def test_only_what_a_lesson_lets_turn_is_in_the_form(page, sent):
    page.received({"type": "lesson", "name": "gradient"})
    during = [field["name"] for field in page.shows.form()["fields"]]
    page.received({"type": "lesson", "name": ""})
    after = [field["name"] for field in page.shows.form()["fields"]]
    assert (during, "task" in after, last(sent, "told")) == (["rate"], True, {})


def test_a_lesson_that_is_not_there_is_told_in_a_sentence(page):
    with pytest.raises(LessonError, match="no lesson 'gradent'; did you mean 'gradient'"):
        page._teaching.received({"type": "lesson", "name": "gradent"})


def test_a_path_in_a_message_opens_no_file(page):
    with pytest.raises(LessonError, match="no lesson"):
        page._teaching.received({"type": "lesson", "name": OWN})
