"""A lesson, played to its end -> a record for a page without a server: each beat, and how its answers are marked."""

from __future__ import annotations

import dataclasses
from typing import Any

from explorer import assets, frames, recording
from explorer.lessons.lesson import Lesson
from explorer.lessons.play import Player
from explorer.recording import Pool
from explorer.session import Session

EXPLAINED = 3
"""Entries of each box whose sentences are recorded, at each beat."""


def record_lesson(session: Session, lesson: Lesson) -> dict[str, Any]:
    """Play a lesson, and keep what is seen at each beat, before and after its question.

    Raises:
        LessonError: it speaks of what isn't there.
    """
    player, pool = Player(session, lesson), Pool()
    beats = [_beat(session, player, number, pool) for number in range(len(lesson.beats))]
    return {"title": lesson.title, "beats": beats, "pool": pool.kept, "look": assets.look()}


def _beat(session: Session, player: Player, number: int, pool: Pool) -> dict[str, Any]:
    player.go(number)
    found = {"first": _moment(session, player, pool)}
    if ask := player.beat.ask:
        found["sheet"] = dataclasses.asdict(player.sheet(ask))
        player.show()
        found["then"] = _moment(session, player, pool)
    return found


def _moment(session: Session, player: Player, pool: Pool) -> dict[str, Any]:
    """All that is to be seen now."""
    player.prepare()
    player.arrive()
    session.catch_up()
    step = session.step.before.step
    said = recording.sentences(session, EXPLAINED)
    standing = player.standing()
    if standing["index"] and standing["node"] in said:
        index = tuple(standing["index"])
        said[standing["node"]][recording.place_of(index)] = session.explain(standing["node"], index)
    return {
        "told": player.told(),
        "standing": standing,
        "scene": pool.whole(session.scene.as_dict()),
        "figures": pool.put(session.figures.as_dict()),
        "sentences": pool.sentences(said),
        "proof": pool.whole(session.proof()()),
        "status": session.status() | recording.BESIDE | {"charts": list(player.lesson.charts)},
        "frame": pool.whole(frames.of_run(session.room, step)),
        "extras": pool.whole(session.extras()),
        "findings": pool.whole(session.findings() if session.room.step else None),
        "compare": pool.whole(session.comparison()),
    }
