"""The player: takes a session through a lesson, beat by beat, without a widget."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError
from engine.tasks.settings import Settings, usual
from explorer.lessons import marks
from explorer.lessons.lesson import Ask, Beat, Lesson, LessonError, Place, Position
from explorer.lessons.load import filled
from explorer.lessons.readings import Read, Seen, node_of, read, told
from explorer.lessons.vocabulary import suggestion
from explorer.room import DIALS

if TYPE_CHECKING:
    from explorer.session import Session

ASKING, RIGHT, SHOWN = "asking", "right", "shown"
"""How far a question has come; empty where none is asked."""

_NAMES = tuple(field.name for field in dataclasses.fields(Settings))


class Player:
    """One lesson on one session. It moves in two strides, so that what a stride needs can be compiled between them.

    ``player.go(2)`` is the third beat; ``prepare`` and ``arrive`` then bring the session where the beat is.
    """

    def __init__(self, session: Session, lesson: Lesson) -> None:
        """Begin, before the first beat's position is taken.

        Raises:
            LessonError: its settings can't be.
        """
        self._session = session
        self.lesson = lesson
        self.number = 0
        self.state = ""
        self.hint = ""
        self.tries = 0
        self._texts: dict[str, str] = {}
        for number, beat in enumerate(lesson.beats):
            for position in (beat.position, beat.ask.position if beat.ask else None):
                self._wanted(position or beat.position, number)
        self._enter(0)

    # ---- where one is ---------------------------------------------------------------------------------------------

    @property
    def beat(self) -> Beat:
        """The beat that one is at."""
        return self.lesson.beats[self.number]

    @property
    def position(self) -> Position:
        """What is to be seen now."""
        ask = self.beat.ask
        return ask.position if ask and ask.position and self.state in (RIGHT, SHOWN) else self.beat.position

    @property
    def last(self) -> bool:
        """Whether no beat follows."""
        return self.number == len(self.lesson.beats) - 1

    def go(self, number: int) -> None:
        """To a beat, by its number from 0; to the nearest one there is."""
        self._enter(min(max(number, 0), len(self.lesson.beats) - 1))

    def _enter(self, number: int) -> None:
        self.number, self.hint, self.tries = number, "", 0
        self.state = ASKING if self.lesson.beats[number].ask else ""
        self._forget()

    # ---- the session at a beat --------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """The settings of the beat, and the second run if there is one. What follows may have to be compiled."""
        session, wanted = self._session, self._wanted(self.position, self.number)
        changes = {
            name: value
            for name, value in dataclasses.asdict(wanted).items()
            if value != getattr(session.settings, name)
        }
        strayed = any(event.step for event in session.room.run.events) or session.room.run.controls.frozen
        if session.target is not None or not set(changes) <= set(DIALS):
            session.choose(**dataclasses.asdict(wanted))
        elif changes or strayed:
            session.reset()
            session.room.run.unfreeze()
            session.choose(**{name: getattr(wanted, name) for name in DIALS})
        self._pair(wanted)

    def _pair(self, settings: Settings) -> None:
        session, change = self._session, self.position.compare
        if not change:
            session.keep(False)
        elif session.other is None or session.compared[0] != dataclasses.replace(settings, **change):
            session.compare(change, self.position.title)

    def arrive(self) -> None:
        """The pass of the beat, folded as it says."""
        session, position = self._session, self.position
        session.divide(devices=position.devices)
        session.bring(position.steps)
        session.unfold(position.granularity, position.open)
        self._forget()
        if self.state in ("", ASKING):  # what is asked for afterwards may be read of another pass
            self._texts = self._said()

    @property
    def trains(self) -> bool:
        """Whether the beat needs the training loop."""
        return any(room.step < self.position.steps for room in self._session.rooms)

    def _wanted(self, position: Position, number: int) -> Settings:
        """All settings of a position."""
        given = dict(position.settings)
        task = str(given.pop("task", Settings().task))
        place = f"{self.lesson.file}, beat {number + 1}, settings"
        for name in (*given, *position.compare):
            if name not in _NAMES:
                raise LessonError(f"{place}: there is no setting {name!r}; {suggestion(name, _NAMES)}")
        try:
            found = usual(task, **given)
            dataclasses.replace(found, **position.compare).checked()
        except EngineError as error:
            raise LessonError(f"{place}: {error}") from error
        return found

    # ---- what is said -----------------------------------------------------------------------------------------------

    @cached_property
    def values(self) -> Mapping[str, Read]:
        """The lesson's numbers that this beat speaks of, as they are in the pass that is shown."""
        return _Values(self)

    def _forget(self) -> None:
        self.__dict__.pop("values", None)

    def filled(self, text: str) -> str:
        """A text with its numbers."""
        return filled(text, _Told(self.values))

    def told(self) -> dict[str, Any]:
        """The beat as plain data, for a page."""
        beat, ask = self.beat, self.beat.ask
        over = ask is not None and self.state in (RIGHT, SHOWN)
        at = ask.at if over and ask and ask.at else beat.at
        return {
            "name": self.lesson.name,
            "title": self.lesson.title,
            "beat": self.number,
            "beats": len(self.lesson.beats),
            "prose": self._texts["prose"].split("\n"),
            "at": self._placed(at),
            "ask": self._asked(ask) if ask else None,
            "state": self.state,
            "hint": self.hint,
            "tries": self.tries,
            "then": self.filled(ask.then).split("\n") if over and ask and ask.then else [],
            "controls": list(self.lesson.controls),
            "charts": list(self.lesson.charts) if self.number + 1 >= self.lesson.charts_from else [],
        }

    def standing(self) -> dict[str, Any]:
        """Where the playhead stands, and what is looked at: boxes as the graph is folded now."""
        position = self.position
        node, select = (name and self._node(name) for name in (position.node, position.select or position.node))
        box_of = self._session.folded.box_of
        return {
            "phase": position.phase,
            "box": box_of.get(node, ""),
            "selected": box_of.get(select, ""),
            "node": select,
            "index": list(position.entry) or None,
        }

    def _placed(self, at: Place) -> dict[str, str]:
        name = self._session.folded.box_of.get(self._node(at.name), "") if at.kind == "node" else at.name
        return {"kind": at.kind, "name": name}

    def _asked(self, ask: Ask) -> dict[str, Any]:
        options = list(ask.options) or (["positive", "zero", "negative"] if ask.kind == "sign" else [])
        boxes = self._session.folded.box_of if ask.kind == "node" else {}
        return {
            "kind": ask.kind,
            "question": self._texts["question"],
            "options": options,
            "boxes": [boxes.get(self._node(name), "") for name in options] if boxes else [],
            "answer": self._texts["answer"] if self.state in (RIGHT, SHOWN) else "",
        }

    def _said(self) -> dict[str, str]:
        """The texts that are about the pass with which the beat begins."""
        ask = self.beat.ask
        if ask is None:
            return {"prose": self.filled(self.beat.prose)}
        answer = told(self.values[ask.answer]) if ask.kind == "number" else marks.right(ask, self.values)
        return {"prose": self.filled(self.beat.prose), "question": self.filled(ask.question), "answer": answer}

    def _node(self, name: str) -> str:
        try:
            return node_of(self._session.room, name).id
        except EngineError as error:
            raise self._wrong(error) from error

    def _wrong(self, error: Exception) -> LessonError:
        return LessonError(f"{self.lesson.file}, beat {self.number + 1}: {error}")

    # ---- what one predicts ------------------------------------------------------------------------------------------

    def answer(self, given: str) -> bool:
        """Mark a prediction; whether it is right. :attr:`hint` then says what there is to say of a wrong one."""
        ask = self.beat.ask
        if ask is None or self.state != ASKING:
            return False
        found = marks.mark(self.sheet(ask), given)
        self.tries += 1
        self.state = RIGHT if found.right else ASKING
        self.hint = found.hint
        return found.right

    def sheet(self, ask: Ask) -> marks.Sheet:
        """By what answers are marked, with the numbers of this run in what is said of them."""
        made = marks.sheet(ask, self.values)
        hints = tuple((when, self.filled(says)) for when, says in made.hints)
        return dataclasses.replace(made, hints=hints, otherwise=self.filled(made.otherwise))

    def show(self) -> None:
        """Show the answer without one."""
        if self.state == ASKING:
            self.state, self.hint = SHOWN, ""


class _Values(dict[str, Read]):
    """The lesson's numbers, each read when it is first asked for."""

    def __init__(self, player: Player) -> None:
        super().__init__()
        self._player = player
        session = player._session
        self._seen = Seen(session.room, session.step, player.lesson.numbers, session.other)

    def __missing__(self, name: str) -> Read:
        try:
            self[name] = read(self._seen, self._player.lesson.numbers[name])
        except EngineError as error:
            raise LessonError(
                f"{self._player.lesson.file}, beat {self._player.number + 1}, {{{name}}}: {error}"
            ) from error
        return self[name]


class _Told(dict[str, str]):
    """The same as texts."""

    def __init__(self, values: Mapping[str, Read]) -> None:
        super().__init__()
        self._values = values

    def __missing__(self, name: str) -> str:
        return told(self._values[name])
