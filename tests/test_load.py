"""Lessons from files: what is wrong with one is told in one sentence, with the place and what to write."""

from __future__ import annotations

import pytest

from explorer.lessons.lesson import LessonError, Place
from explorer.lessons.load import filled, load, read
from scripts.driving import ROOT

HEAD = 'title = "T"\ngoal = "G"\nmisconception = "M"\n[settings]\ntask = "product"\n[numbers]\nz = "grad z"\n'
BEAT = '[[beats]]\nprose = "It is {z}."\n'
ASK = '[beats.ask]\nkind = "number"\nquestion = "?"\nanswer = "z"\notherwise = "No."\n'


def lesson(text):
    return read(text, "own", "own.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title", "own.toml isn't TOML"),
        ('goal = "G"', "own.toml: 'title' is missing; write text in quotes, such as title ="),
        (HEAD, r"it has no beats; write \[\[beats\]\]"),
        (HEAD.replace('"T"', "1") + BEAT, "'title' is 1, and must be text in quotes"),
        (HEAD + "[[beats]]\nprosa = 'x'", "own.toml, beat 1: 'prose' is missing"),
        ("charts_from = 2\n" + HEAD + BEAT, "charts_from is 2; it must be one of the beats, 1 to 1"),
        (HEAD + BEAT + "colour = 'red'", "beat 1: 'colour' is no key here; there are"),
        (HEAD + BEAT.replace("{z}", "{y}"), r"beat 1: \{y\} is no number of \[numbers\]; there are z"),
        (HEAD + BEAT + "at = 'nod z'", "'at' is 'nod z'; did you mean 'node'"),
        (HEAD + BEAT + "at = 'node'", "a name follows after node and chart"),
        (HEAD + BEAT + "at = 'chart los'", "there is no such chart; did you mean 'loss'"),
        (HEAD + BEAT + "position = { phase = 'Backwards' }", "'phase' is 'Backwards'; did you mean 'Backward'"),
        (HEAD + BEAT + "position = { steps = '3' }", "'steps' is '3', and must be a whole number"),
        (HEAD + BEAT + ASK.replace('"z"', '"zz"'), "'answer' is 'zz'; did you mean 'z'"),
        (HEAD + BEAT + ASK.replace("number", "guess"), "'kind' is 'guess'; there are number, sign, node, choice"),
        (HEAD + BEAT + ASK.replace("number", "choice"), "a choice needs two options at least"),
        (HEAD + BEAT + ASK + "hints = [{ when = 'q', says = 's' }]", "a hint's 'when' is 'q'"),
        (HEAD.replace("grad z", "grd z") + BEAT, "'grd', which reads nothing; did you mean 'grad'"),
        (HEAD.replace("grad z", "ratio z") + BEAT, "has 1 operands: write `ratio NUMBER NUMBER`"),
        (HEAD.replace("grad z", "ratio a 2") + BEAT, "made of 'a', which must be a number that stands before it"),
        (HEAD.replace("grad z", "loss [1]") + BEAT, "names an entry, and loss is one number"),
        (HEAD.replace("grad z", "at x loss") + BEAT, "write the number of a step"),
    ],
)
def test_a_mistake_is_one_sentence(text, said):
    with pytest.raises(LessonError, match=said):
        lesson(text)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(LessonError, match=r"Can't read the lesson .*none.toml: No such file"):
        load(tmp_path / "none.toml")


def test_a_file_that_is_no_text_is_one_sentence(tmp_path):
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(LessonError, match="isn't text in UTF-8"):
        load(path)


def test_what_a_beat_does_not_say_is_as_in_the_one_before():
    first = BEAT + "position = { phase = 'Backward', node = 'z', steps = 3 }\n"
    found = lesson(HEAD + first + BEAT + "position = { granularity = 'operation' }\n" + BEAT)
    last = found.beats[2].position
    assert (last.phase, last.node, last.steps, last.granularity) == ("Backward", "z", 3, "operation")


def test_after_a_question_it_goes_on_from_what_was_shown_then():
    found = lesson(HEAD + BEAT + ASK + "position = { phase = 'Backward', node = 'z' }\n" + BEAT)
    assert (found.beats[0].position.phase, found.beats[1].position.node) == ("Start", "z")


def test_lines_are_joined_and_paragraphs_stay():
    found = lesson(HEAD + '[[beats]]\nprose = """\none\ntwo\n\nthree\n"""\nat = "node z"\n')
    assert (found.beats[0].prose, found.beats[0].at) == ("one two\nthree", Place("node", "z"))


def test_placeholders_are_filled_and_nothing_else():
    assert filled("{a} of {b}", {"a": "1", "b": "{a}"}) == "1 of {a}"


def test_the_documented_example_is_a_lesson():
    assert len(load(ROOT / "docs" / "my_lesson.toml").beats) == 1
