"""A table of a lesson's file, read key by key, so that each mistake in it gets one clear sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from explorer.lessons.lesson import LessonError
from explorer.lessons.vocabulary import suggestion

_KINDS = {
    str: 'text in quotes, such as {key} = "…"',
    int: "a whole number, such as {key} = 3",
    float: "a number, such as {key} = 0.05",
    list: 'a list, such as {key} = ["…"]',
    dict: "a table, such as {key} = {{ … }}",
}


class Table:
    """One table; what is taken out of it is checked, and what is left over is a mistake."""

    def __init__(self, given: Mapping[str, Any], where: str) -> None:
        """Begin.

        Args:
            given: as TOML has it.
            where: file and beat, for messages.
        """
        self._left = dict(given)
        self._asked: list[str] = []
        self.where = where

    def __contains__(self, key: str) -> bool:
        """Whether something stands under a key that wasn't taken yet."""
        return key in self._left

    def names(self) -> tuple[str, ...]:
        """The keys that weren't taken yet."""
        return tuple(self._left)

    def wrong(self, text: str) -> LessonError:
        """A mistake in this table."""
        return LessonError(f"{self.where}: {text}")

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        """What stands under a key.

        Raises:
            LessonError: nothing does and there is no default, or it is something else.
        """
        self._asked.append(key)
        form = _KINDS[kind].format(key=key)
        if key not in self._left:
            if default is None:
                raise self.wrong(f"{key!r} is missing; write {form}.")
            return default
        value = self._left.pop(key)
        fits = isinstance(value, (int, float) if kind is float else kind) and not (
            isinstance(value, bool) and kind in (int, float)
        )
        if not fits:
            raise self.wrong(f"{key!r} is {value!r}, and must be {form}.")
        return value

    def choice(self, key: str, options: Sequence[str], default: str | None = None) -> str:
        """One of some words.

        Raises:
            LessonError: it is none of them.
        """
        value = str(self.take(key, str, default))
        if value not in options:
            raise self.wrong(f"{key!r} is {value!r}; {suggestion(value, options)}")
        return value

    def words(self, key: str, options: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of texts, each one of the options if there are any; empty where it isn't there.

        Raises:
            LessonError: one of them isn't.
        """
        values = self.take(key, list, [])
        for value in values:
            if not isinstance(value, str):
                raise self.wrong(f'{key!r} holds {value!r}, and must hold texts, such as {key} = ["…"].')
            if options and value not in options:
                raise self.wrong(f"{key!r} holds {value!r}; {suggestion(value, options)}")
        return tuple(values)

    def inner(self, key: str) -> Table | None:
        """A table in it, if there is one."""
        given = self.take(key, dict, {})
        return Table(given, self.where) if given else None

    def tables(self, key: str) -> list[dict[str, Any]]:
        """A list of tables; empty where it isn't there.

        Raises:
            LessonError: it is something else.
        """
        values = self.take(key, list, [])
        if not all(isinstance(value, dict) for value in values):
            raise self.wrong(f"{key!r} must be tables: write [[{key}]] on a line of its own, and its keys below.")
        return values

    def end(self) -> None:
        """Everything that belongs in it was asked for.

        Raises:
            LessonError: something is left over.
        """
        for key in self._left:
            raise self.wrong(f"{key!r} is no key here; {suggestion(key, self._asked)}")
