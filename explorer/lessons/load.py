"""A lesson from its file. TOML is read, never run, so a lesson may come from anybody."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from explorer.lessons import vocabulary
from explorer.lessons.lesson import (
    ASKED,
    CHARTS,
    EXTREMES,
    PHASES,
    PLACES,
    Ask,
    Beat,
    Hint,
    Lesson,
    LessonError,
    Place,
    Position,
)
from explorer.lessons.table import Table
from explorer.lessons.vocabulary import Reading, WordingError, suggestion

SIGNS = ("positive", "negative", "zero")

LARGEST_BYTES = 200_000

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def load(path: str | Path) -> Lesson:
    """The lesson in a file.

    Raises:
        LessonError: it can't be read; the message says where, and what to write.
    """
    file = Path(path)
    try:
        with file.open("rb") as source:
            given = source.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise LessonError(f"Can't read the lesson {path}: {error.strerror}.") from error
    if len(given) > LARGEST_BYTES:
        raise LessonError(f"{path} is larger than {LARGEST_BYTES:,} bytes, and no lesson is that long.")
    try:
        text = given.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LessonError(f"{path} isn't text in UTF-8: save it in that encoding.") from error
    return read(text, file.stem, str(path))


def read(text: str, name: str, file: str) -> Lesson:
    """A lesson from its text.

    Args:
        text: TOML.
        name: what the lesson is called in addresses.
        file: for messages.

    Raises:
        LessonError: something in it can't be so.
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LessonError(f"{file} isn't TOML: {error}.") from error
    top = Table(given, file)
    numbers = _numbers(top.inner("numbers") or Table({}, file))
    settings = top.take("settings", dict, {})
    lesson = Lesson(
        name=name,
        title=top.take("title", str),
        goal=top.take("goal", str),
        misconception=top.take("misconception", str),
        minutes=top.take("minutes", int, 5),
        beats=(),
        numbers=numbers,
        controls=top.words("controls"),
        charts=top.words("charts", CHARTS),
        charts_from=top.take("charts_from", int, 1),
        file=file,
    )
    beats = tuple(_beats(top.tables("beats"), settings, numbers, file))
    top.end()
    if not beats:
        raise top.wrong('it has no beats; write [[beats]], and below it at least prose = "…".')
    if not 1 <= lesson.charts_from <= len(beats):
        raise top.wrong(f"charts_from is {lesson.charts_from}; it must be one of the beats, 1 to {len(beats)}.")
    return dataclasses.replace(lesson, beats=beats)


# ---- numbers -------------------------------------------------------------------------------------------------------


def _numbers(table: Table) -> dict[str, Reading]:
    """The readings, each made of such as stand before it."""
    found: dict[str, Reading] = {}
    table.where += ", [numbers]"
    for name in table.names():
        try:
            reading = vocabulary.parse(table.take(name, str))
        except WordingError as error:
            raise table.wrong(f"{name}: {error}") from error
        for part in vocabulary.referred(reading):
            if part not in found:
                raise table.wrong(f"{name} is made of {part!r}, which must be a number that stands before it.")
        found[name] = reading
    return found


def placeholders(text: str) -> tuple[str, ...]:
    """The names in ``{braces}`` in a text."""
    return tuple(_PLACEHOLDER.findall(text))


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text with its placeholders filled."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def _checked(texts: Iterable[str], numbers: Mapping[str, Reading], table: Table) -> None:
    for text in texts:
        for name in placeholders(text):
            if name not in numbers:
                raise table.wrong(f"{{{name}}} is no number of [numbers]; {suggestion(name, tuple(numbers))}")


# ---- beats ---------------------------------------------------------------------------------------------------------


def _beats(
    given: list[dict[str, Any]], settings: Mapping[str, Any], numbers: Mapping[str, Reading], file: str
) -> Iterator[Beat]:
    """The beats; what one doesn't say of its position is as in the one before."""
    before = Position(settings)
    for place, one in enumerate(given, start=1):
        table = Table(one, f"{file}, beat {place}")
        prose = table.take("prose", str)
        at = _place(table, "page")
        position = _position(table, before)
        ask = _ask(table.inner("ask"), position, numbers)
        _checked([prose], numbers, table)
        table.end()
        yield Beat(_flat(prose), at, position, ask)
        before = ask.position if ask and ask.position else position


def _flat(text: str) -> str:
    """A text whose lines were broken for the file's sake; an empty line parts paragraphs."""
    return "\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))


def _place(table: Table, default: str) -> Place:
    text = table.take("at", str, default)
    kind, _, name = text.partition(" ")
    if kind not in PLACES:
        raise table.wrong(f"'at' is {text!r}; {suggestion(kind, PLACES)}")
    if kind == "chart" and name not in CHARTS:
        raise table.wrong(f"'at' is {text!r}, and there is no such chart; {suggestion(name, CHARTS)}")
    if (kind in ("node", "chart")) != bool(name):
        raise table.wrong(f"'at' is {text!r}: a name follows after node and chart, and after nothing else.")
    return Place(kind, name)


def _position(outer: Table, before: Position) -> Position:
    """The position that a table says, and for the rest the one before."""
    table = outer.inner("position")
    if table is None:
        return before
    phase = table.choice("phase", PHASES, before.phase)
    node = table.take("node", str, "" if phase != before.phase else before.node)
    moved = (phase, node) != (before.phase, before.node)
    entry = table.take("entry", list, [] if moved else list(before.entry))
    if not all(type(index) is int for index in entry):
        raise table.wrong(f"'entry' is {entry!r}, and must be whole numbers, such as entry = [0, 2].")
    found = Position(
        settings={**before.settings, **table.take("settings", dict, {})},
        steps=table.take("steps", int, before.steps),
        compare=table.take("compare", dict, dict(before.compare)),
        title=table.take("title", str, before.title),
        devices=table.take("devices", int, before.devices),
        granularity=table.choice("granularity", ("layer", "operation"), before.granularity),
        open=table.words("open") or before.open,
        phase=phase,
        node=node,
        select=table.take("select", str, "" if moved else before.select),
        entry=tuple(entry),
    )
    table.end()
    return found


def _ask(table: Table | None, position: Position, numbers: Mapping[str, Reading]) -> Ask | None:
    if table is None:
        return None
    table.where += ", [beats.ask]"
    kind = table.choice("kind", ASKED)
    then = table.take("then", str, "")
    hints = tuple(_hints(table.tables("hints"), table.where))
    elsewhere = "at" in table
    at = _place(table, "page")
    ask = Ask(
        kind=kind,
        question=_flat(table.take("question", str)),
        answer=table.take("answer", str),
        otherwise=_flat(table.take("otherwise", str)),
        hints=hints,
        options=table.words("options"),
        of=table.words("of", tuple(numbers)),
        tolerance=float(table.take("tolerance", float, 0.05)),
        then=_flat(then),
        position=_position(table, position),
        at=at if elsewhere else None,
    )
    table.end()
    _checked([ask.question, ask.otherwise, ask.then, *(hint.says for hint in hints)], numbers, table)
    _check_answer(ask, numbers, table)
    return ask


def _hints(given: list[dict[str, Any]], where: str) -> Iterator[Hint]:
    for place, one in enumerate(given, start=1):
        table = Table(one, f"{where}, hint {place}")
        yield Hint(table.take("when", str), _flat(table.take("says", str)))
        table.end()


def _check_answer(ask: Ask, numbers: Mapping[str, Reading], table: Table) -> None:
    """Whether answer and hints are such as can be given."""
    known = {
        "number": tuple(numbers),
        "sign": tuple(numbers),
        "choice": (*ask.options, *EXTREMES),
        "node": (*ask.options, *EXTREMES),
    }[ask.kind]
    if ask.kind in ("choice", "node") and len(ask.options) < 2:
        raise table.wrong('a choice needs two options at least: write options = ["…", "…"].')
    if ask.answer not in known:
        raise table.wrong(f"'answer' is {ask.answer!r}; {suggestion(ask.answer, known)}")
    if ask.answer in EXTREMES and len(ask.of) != len(ask.options):
        raise table.wrong(f"with answer = {ask.answer!r} 'of' must name one number for each option.")
    for hint in ask.hints:
        fits = {
            "number": hint.when in numbers or vocabulary.literal(hint.when) is not None,
            "sign": hint.when in SIGNS,
        }.get(ask.kind, hint.when in ask.options)
        if not fits:
            known = {"number": tuple(numbers), "sign": SIGNS}.get(ask.kind, ask.options)
            raise table.wrong(f"a hint's 'when' is {hint.when!r}; {suggestion(hint.when, known)}")
