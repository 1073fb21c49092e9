"""A session -> a record: passes, their numbers and how the training went, as plain data for a page without a server."""

from __future__ import annotations

import copy
import dataclasses
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from explorer import assets
from explorer.looking import Looking
from explorer.sheet import LAYER, OPERATION

BUDGET = 800_000
"""Bytes of a record, compressed, at most: with it a page stays below a megabyte and a half."""

EXPLAINED = 12
"""Entries of each box, those with the largest gradients, whose sentences are recorded."""

BESIDE = {"run": 0, "playing": False, "busy": "", "local": False, "alone": True}
"""What the status of a page says of itself, on one that only shows what was recorded."""

MOST = 24
"""Passes that are recorded, or that a film of a training shows."""

_POOLED = frozenset({"codes", "data", "sentence"})


@dataclasses.dataclass(frozen=True)
class Where:
    """Where a saved page begins."""

    position: int = 0
    """Of the playhead."""
    selected: str = ""
    """Id of a box."""


def record(session: Looking, where: Where = Where(), budget: int = BUDGET) -> dict[str, Any]:
    """Everything that a page needs to be walked without a server.

    As many passes of the training come along as fit: the one that is shown, the first and the last, and then as many as
    there is room for, closer together at the start, where most happens.

    Args:
        session: what is recorded; it stays as it is.
        where: where the page begins.
        budget: bytes, compressed, at most; the pass that is shown comes along whatever it takes.
    """
    twin = copy.copy(session)  # folds and goes back by itself
    twin.listen(None)
    grains = (twin.granularity, *({LAYER, OPERATION} - {twin.granularity}))
    scenes = {grain: _folded(twin, grain).scene.as_dict() for grain in grains}
    pool = Pool()
    passes: dict[int, dict[str, Any]] = {}
    left = budget - _size(scenes)
    for step in _by_weight(session):
        own = _pass(twin, step, grains)
        own |= {"figures": pool.put(own["figures"]), "sentences": pool.sentences(own["sentences"])}
        left -= _size(own) + pool.grown()
        if left < 0 and passes:
            break
        passes[step] = own
    return {
        "title": session.status()["title"],
        "scenes": scenes,
        "grain": grains[0],
        "passes": [passes[step] for step in sorted(passes)],
        "pool": pool.kept,
        "at": dataclasses.asdict(where) | {"step": session.step.before.step},
        "frame": session.frame(),
        "findings": session.findings() if session.room.step else None,
        "proof": _proof(session, twin, grains),
        "look": assets.look(),
    }


def packed(record: Mapping[str, Any]) -> bytes:
    """A record as compressed JSON."""
    return _compressed(json.dumps(record, ensure_ascii=False, separators=(",", ":")))


def _by_weight(session: Looking) -> Iterator[int]:
    """Steps of the run, those that matter most first."""
    steps = session.room.passes_at(MOST)
    halves = [*steps[::4], *steps[2::4], *steps[1::2]]
    yield from dict.fromkeys((session.step.before.step, steps[0], steps[-1], *halves))


def _folded(twin: Looking, grain: str) -> Looking:
    twin.set_granularity(grain)
    return twin


def _pass(twin: Looking, step: int, grains: tuple[str, ...]) -> dict[str, Any]:
    """One pass: its numbers in each granularity, and what the training room shows of it."""
    if twin.step.before.step != step or twin.supposes:
        twin.rewind(step)
    shown = {grain: _folded(twin, grain).figures.as_dict() for grain in grains}
    status = twin.status() | BESIDE
    return {
        "step": step,
        "figures": shown,
        "status": status,
        "extras": twin.extras(),
        "sentences": sentences(_folded(twin, grains[-1])),
    }


def sentences(session: Looking, most: int = EXPLAINED) -> dict[str, dict[str, Any]]:
    """For each node that is seen the sentences of its largest entries, by their place."""
    found: dict[str, dict[str, Any]] = {}
    graded = session.step.reading.plan.graded
    for box in session.folded.boxes:
        if box.shows in graded and (gradient := session.numbers.grad(box.shows)).size:
            places = np.argsort(-np.abs(np.ma.filled(gradient, 0)).reshape(-1), kind="stable")[:most]
            indices = [tuple(map(int, np.unravel_index(place, gradient.shape))) for place in places]
            found[box.shows] = {place_of(index): session.explain(box.shows, index) for index in indices}
    return found


def place_of(index: tuple[int, ...]) -> str:
    """An entry's place as a record has it: ``3,1``; empty for a single number."""
    return ",".join(map(str, index))


def _proof(session: Looking, twin: Looking, grains: tuple[str, ...]) -> dict[str, Any]:
    """The badges of the pass that is shown, in each granularity."""
    if twin.step.before.step != session.step.before.step:
        twin.rewind(session.step.before.step)
    return {grain: _folded(twin, grain).proof()() for grain in grains}


class Pool:
    """What occurs more than once is kept once: the same arrays and sentences stand in both granularities."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self._places: dict[str, int] = {}
        self._told = 0

    def whole(self, value: Any) -> int:
        """The place of something that is kept as it is."""
        return self._place(value)

    def put(self, value: Any, key: str = "") -> Any:
        """The same data, with numbers of places in ``kept`` for what is pooled."""
        if key in _POOLED and value:
            return self._place(value)
        if isinstance(value, Mapping):
            return {name: self.put(part, name) for name, part in value.items()}
        return [self.put(part) for part in value] if isinstance(value, list | tuple) else value

    def sentences(self, value: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
        """For each node the places of its sentences."""
        return {node: {place: self._place(said) for place, said in own.items()} for node, own in value.items()}

    def _place(self, value: Any) -> int:
        text = json.dumps(value, sort_keys=True)
        if text not in self._places:
            self._places[text] = len(self.kept)
            self.kept.append(value)
        return self._places[text]

    def grown(self) -> int:
        """Bytes, compressed, of what was put since one asked last."""
        new, self._told = self.kept[self._told :], len(self.kept)
        return _size(new)


def _size(plain: Any) -> int:
    return len(_compressed(json.dumps(plain, ensure_ascii=False, separators=(",", ":"))))


def _compressed(text: str) -> bytes:
    """As gzip, which browsers read by themselves; the same bytes for the same text."""
    press = zlib.compressobj(9, zlib.DEFLATED, 31)
    return press.compress(text.encode("utf-8")) + press.flush()
