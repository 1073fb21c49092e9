"""The course: its order, its guide, its documentation, and the lessons that findings lead to."""

from __future__ import annotations

import json

import pytest

from engine.health.finding import KINDS
from explorer.cli import run
from explorer.lessons import course
from explorer.lessons.lesson import LessonError
from explorer.lessons.vocabulary import PREFIXES, VERBS
from scripts.driving import ROOT
from scripts.teaching import PATH, guide

LESSONS = [entry.lesson for entry in course.entries()]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_lesson_is_short_and_asks(lesson):
    assert 5 <= len(lesson.beats) <= 9
    assert sum(beat.ask is not None for beat in lesson.beats) >= 2
    assert max(len(beat.prose) for beat in lesson.beats) < 420


def test_every_file_is_in_the_course():
    files = (ROOT / "explorer" / "lessons" / "course").glob("*.toml")
    assert sorted(file.stem for file in files) == sorted(course.names())


def test_a_finding_leads_to_a_lesson_that_is_there():
    assert {course.lesson_of(kind) for kind in KINDS} <= {"", *course.names()}
    assert set(course.LESSON_OF) <= set(KINDS)


def test_a_kind_without_a_lesson_leads_nowhere():
    assert course.lesson_of("no such kind") == ""


def test_a_lesson_that_is_not_there_is_told_with_the_nearest():
    with pytest.raises(LessonError, match="did you mean 'gradient'"):
        course.named("gradiant")


def test_the_teachers_guide_is_that_of_these_lessons():
    assert PATH.read_text(encoding="utf-8") == guide(), "python -m scripts.teaching writes it"


def test_every_verb_and_prefix_is_documented():
    text = (ROOT / "docs" / "LESSONS.md").read_text(encoding="utf-8")
    forms = [" ".join([name, *verb.operands.split()]) for name, verb in (VERBS | PREFIXES).items()]
    assert [form for form in forms if f"`{form}" not in text] == []


def test_the_command_line_lists_the_course(capsys):
    assert run(["lessons"]) == 0
    said = capsys.readouterr().out
    assert all(lesson.title in said for lesson in LESSONS)


def test_it_lists_it_as_json(capsys):
    assert run(["lessons", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == list(course.names())


def test_a_lesson_that_is_asked_for_and_is_not_there_is_a_sentence(capsys):
    assert run(["serve", "--lesson", "no-such", "--no-browser"]) == 2
    assert "There is no lesson 'no-such'" in capsys.readouterr().err
