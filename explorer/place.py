"""Where one stands as the text of a link: ``task=spiral&depth=4&step=120&at=backward:mlp/layer``.

What is usual is left out. Whoever wrote a link, what can't be understood in it costs nothing but itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from engine.graph import closest
from engine.tasks.settings import Settings, SettingsError, usual
from explorer.errors import ExplorerError
from explorer.form import SWITCH, count, typed
from explorer.room import OWN
from explorer.steps import PHASES

LONGEST = 8000
"""Characters of a link; a longer one is not read."""

MOST_FIELDS = 400

MOST_STEPS = 1_000_000

BY_BROWSER = ("lang", "present")
"""What else may stand in the address of a page; only the browser reads it."""


@dataclasses.dataclass(frozen=True)
class Place:
    """What decides everything that is on the page, but for colours and language."""

    settings: Settings = dataclasses.field(default_factory=Settings)
    function: str = ""
    """Name of one's own function, where that is shown."""
    step: int = 0
    """The step whose pass is shown."""
    of: int | None = None
    """How many steps were taken, where an earlier one is shown."""
    trained: bool = False
    """Whether the pass is shown with the update that was made of it."""
    phase: str = ""
    """Of the playhead; empty at the very start."""
    box: str = ""
    """Name of the box that the playhead stands at, or its id."""
    node: str = ""
    """Name or id of the box that is selected, where it is another one."""
    entry: tuple[int, ...] | None = None
    """The entry of it that is looked at, where somebody chose one."""
    granularity: str = "layer"
    plumbing: bool = False
    open: tuple[str, ...] = ()
    """Ids of scopes that are open and usually aren't."""
    fold: tuple[str, ...] = ()
    """Ids of scopes that are folded and usually aren't."""
    lesson: str = ""
    beat: int = 0
    devices: int = 1
    """Over how many the data-parallel room divides a step."""
    pieces: int = 1
    """Into how many micro-batches each of them divides its part."""
    sharded: bool = False
    """Whether they divide the optimiser's memory."""
    hide: tuple[str, ...] = ()
    """Controls that are not shown: ``setup``, ``training``, or settings by name."""
    said: tuple[str, ...] = ()
    """What could not be understood in the link that it was read from, in sentences."""


# ---- to text -------------------------------------------------------------------------------------------------------


def write(place: Place) -> str:
    """A place as the text of a query; :func:`read` makes the same place of it."""
    return "&".join(f"{name}={quote(text, safe='/:,~')}" for name, text in _written(place))


def _written(place: Place) -> Iterator[tuple[str, str]]:
    yield ("function", place.function) if place.function else ("task", place.settings.task)
    for name, value in _unusual(place):
        yield name, _text(value)
    if place.phase:
        yield "at", f"{place.phase.lower()}:{place.box}"
    for name in _READERS:
        found: Any = getattr(place, name)
        if name in _SEVERAL:
            yield from ((name, text) for text in found)
        elif found is not None and found != getattr(_USUAL, name):
            yield name, _text(found)


def _unusual(place: Place) -> list[tuple[str, Any]]:
    """The settings that one doesn't get by coming to the task, the model first: it brings others."""
    chosen = place.settings
    first = OWN if place.function else usual(chosen.task)
    base = first if first.model == chosen.model else _with_model(first, chosen.model)
    brings = [("model", chosen.model)] if base is not first else []
    names = [field.name for field in dataclasses.fields(Settings) if field.name not in ("task", "model")]
    return brings + [(name, getattr(chosen, name)) for name in names if getattr(chosen, name) != getattr(base, name)]


def _with_model(settings: Settings, model: str) -> Settings:
    return dataclasses.replace(settings, **typed("model", model))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


# ---- from text -----------------------------------------------------------------------------------------------------


def read(text: str, function: str = "") -> Place:
    """The place that a query tells of; whatever is wrong with it is told in :attr:`Place.said`, and the rest holds.

    Args:
        text: of the query, whoever wrote it.
        function: name of the function that is shown where the link names nothing.
    """
    said: list[str] = []
    given = _given(text, said)
    own = (given.pop("function", [""])[0] or function) if "task" not in given else ""
    settings = _settings(given, own, said)
    found: dict[str, Any] = {}
    for name, texts in given.items():
        try:
            found |= _one(name, texts)
        except ExplorerError as error:
            said.append(str(error))
    if found.get("of") is not None and found["of"] <= found.get("step", 0):
        said.append(f"of is {found.pop('of')}, and must be more than step: it is how many steps were taken in all.")
    return Place(**found, settings=settings, function=own, said=tuple(said))


def _given(text: str, said: list[str]) -> dict[str, list[str]]:
    """What is given for each name."""
    if len(text) > LONGEST:
        said.append(f"The link has {len(text):,} characters, and {LONGEST:,} are read at most: it is left aside.")
        return {}
    found: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(text.removeprefix("?"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        said.append(f"The link tells of more than {MOST_FIELDS} things: it is left aside.")
        pairs = []
    for name, value in pairs:
        if name not in BY_BROWSER:
            found.setdefault(name, []).append(value)
    twice = [name for name, values in found.items() if len(values) > 1 and name not in _SEVERAL]
    said += [f"{_quoted(name)} stands in the link more than once; the first one holds." for name in twice]
    return found


def _settings(given: dict[str, list[str]], own: str, said: list[str]) -> Settings:
    """The settings among what is given, which are taken out of it."""
    texts = {name: given.pop(name)[0] for name in _SETTINGS if name in given}
    if texts.get("csv"):
        texts.setdefault("task", "csv")
    found = _tried(Settings(), "task", texts.pop("task", ""), said) if not own else OWN
    for name in sorted(texts, key=lambda name: name != "model"):
        found = _tried(found, name, texts[name], said)
    return found


def _tried(settings: Settings, name: str, text: str, said: list[str]) -> Settings:
    """The settings with one more; without it, and a sentence, if it can't be."""
    if name == "task" and not text:
        return usual(settings.task)
    try:
        change = typed(name, text)
        alone = name if name not in ("task", "model") else ""
        return dataclasses.replace(settings, **({alone: change[alone]} if alone else change)).checked()
    except SettingsError as error:
        said.append(f"The link can't be followed in one thing: {_cut(str(error))}")
        return settings


def _one(name: str, texts: list[str]) -> dict[str, Any]:
    """What a name stands for.

    Raises:
        ExplorerError: there is no such thing in a link, or it can't be that.
    """
    if name == "at":
        phase, _, box = texts[0].partition(":")
        if phase.capitalize() not in PHASES or not box:
            phases = ", ".join(PHASES).lower()
            raise ExplorerError(f"at is {_quoted(texts[0])}, and must be one of {phases}, a colon, and a box.")
        return {"phase": phase.capitalize(), "box": box}
    if name not in _READERS:
        raise ExplorerError(f"The link has {_quoted(name)}, which nothing here is called.{closest(name[:40], _NAMES)}")
    return {name: tuple(texts) if name in _SEVERAL else _READERS[name](name, texts[0])}


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) <= MOST_STEPS):
        raise ExplorerError(f"{name} is {_quoted(text)}, and must be a whole number from 0 to {MOST_STEPS:,}.")
    return int(text)


def _count(name: str, text: str) -> int:
    try:
        return count(text)
    except SettingsError as error:
        raise ExplorerError(_cut(str(error))) from error


def _switch(name: str, text: str) -> bool:
    if text not in SWITCH:
        raise ExplorerError(f"{name} is {_quoted(text)}, and must be on or off.")
    return SWITCH[text]


def _entry(name: str, text: str) -> tuple[int, ...]:
    return tuple(_whole(name, part) for part in text.split(",")) if text else ()


def _grain(name: str, text: str) -> str:
    if text not in ("layer", "operation"):
        raise ExplorerError(f"{name} is {_quoted(text)}, and must be layer or operation.")
    return text


def _same(name: str, text: str) -> str:
    return text


_READERS: Mapping[str, Callable[[str, str], Any]] = {
    "step": _whole,
    "of": _whole,
    "trained": _switch,
    "node": _same,
    "entry": _entry,
    "granularity": _grain,
    "plumbing": _switch,
    "open": _same,
    "fold": _same,
    "lesson": _same,
    "beat": _whole,
    "devices": _count,
    "pieces": _whole,
    "sharded": _switch,
    "hide": _same,
}
"""What else a link can hold, in the order in which it is written."""

_SEVERAL = ("open", "fold", "hide")
_SETTINGS = tuple(field.name for field in dataclasses.fields(Settings))
_NAMES = ("function", *_SETTINGS, "at", *_READERS)
_USUAL = Place()


def _quoted(text: str) -> str:
    return repr(_cut(text, 40))


def _cut(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
