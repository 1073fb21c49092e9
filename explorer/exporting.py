"""A session as a file to keep or to send: a page, a picture, a film, or its numbers. The file's ending says which."""

from __future__ import annotations

import base64
import copy
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.numbers import short
from engine.trace import in_floats
from explorer import assets, rasters, recording, saved, svg, tables
from explorer.errors import ExplorerError
from explorer.lessons.lesson import Lesson
from explorer.lessons.recorded import record_lesson
from explorer.looking import Looking
from explorer.recording import Where
from explorer.session import Session
from explorer.target import Target

PASS, TRAINING = "pass", "training"

FRAME_SECONDS = 0.7
"""How long a film stays at one stop of a pass; at a step of a training half as long."""

MOST_FRAMES = 120


@dataclasses.dataclass(frozen=True)
class Order:
    """What is to be exported."""

    form: str
    """An ending: ``html svg png gif csv parquet``."""
    of: str = PASS
    """A film or a table tells the ``pass`` that is shown, or the ``training``."""
    where: Where = Where()  # noqa: RUF009
    look: str = "light"
    language: str = "en"


def export(session: Looking, order: Order) -> bytes:
    """The file's bytes; the session stays as it is.

    Raises:
        ExplorerError: there is no such form, or a library for it is missing.
    """
    if order.form not in FORMS:
        raise ExplorerError(f"There is no export as .{order.form}; write one of {_endings()}.")
    return FORMS[order.form].makes(session, order)


def lesson_page(lesson: Lesson, session: Session, language: str = "en") -> bytes:
    """A lesson as one HTML file.

    Args:
        lesson: what is played.
        session: on which; it is left at the lesson's end.
        language: of the page's own texts.

    Raises:
        LessonError: the lesson speaks of what isn't there.
    """
    about = f"A lesson of {lesson.minutes} minutes. Every number in it was computed by the jitted training step."
    return saved.page(record_lesson(session, lesson), about, language).encode("utf-8")


def answer(session: Looking, message: Mapping[str, Any], lesson: Lesson | None = None) -> dict[str, Any]:
    """What a page is sent that asks for a file.

    Args:
        session: of the page.
        message: what it asks for.
        lesson: the one that is on: its page is a lesson, too.

    Raises:
        ExplorerError: it can't be made.
    """
    order = Order(
        form=str(message.get("form", "svg")),
        of=TRAINING if message.get("of") == TRAINING else PASS,
        where=Where(int(message.get("position", 0)), str(message.get("selected", ""))),
        look="dark" if message.get("theme") == "dark" else "light",
        language=str(message.get("language")) if message.get("language") in assets.LANGUAGES else "en",
    )
    if lesson is not None and order.form == "html":
        name, content = lesson.name, lesson_page(lesson, Session(engine=session.engine), order.language)
    else:
        name, content = session.graph.name, export(session, order)
    what = "-training" if order.of == TRAINING else ""
    text = base64.b64encode(content).decode("ascii")
    return {"name": f"{name}{what}.{order.form}", "mime": FORMS[order.form].mime, "content": text}


def save(fun: Callable[..., Any], *args: Any) -> Path:
    """Write what a function computes and what flows back: ``explorer.save(loss, params, x, y, "page.html")``.

    Args:
        fun: the loss; its first argument is differentiated.
        *args: what it is called on, and last of all the file. Its ending says what is written.

    Returns:
        The file.

    Raises:
        ExplorerError: no file is named, or its ending is unknown.
        EngineError: the function is no loss, or can't be traced.
    """
    *given, path = args or ("",)
    if not isinstance(path, str | Path):
        raise ExplorerError('The last argument names the file, as in explorer.save(loss, params, x, y, "page.html").')
    form = form_of(str(path))
    session = Session(target=Target(getattr(fun, "__name__", "function"), *in_floats(fun, tuple(given))))
    place = Where(0 if form == "html" else len(session.scene.stops))
    found = Path(path)
    found.write_bytes(export(session, Order(form, where=place)))
    return found


def form_of(path: str) -> str:
    """The form that a file's name asks for.

    Raises:
        ExplorerError: it asks for none that there is.
    """
    form = Path(path).suffix.removeprefix(".").lower()
    if form not in FORMS:
        raise ExplorerError(f"The file {path!r} doesn't say as what to export: its name must end in {_endings()}.")
    return form


def _endings() -> str:
    *others, last = (f".{form}" for form in FORMS)
    return f"{', '.join(others)} or {last}"


# ---- the forms -----------------------------------------------------------------------------------------------------


def _page(session: Looking, order: Order) -> bytes:
    record = recording.record(session, order.where)
    steps = session.room.step
    about = f"{steps} steps of training, as the jitted step computed them." if steps else _ONE
    return saved.page(record, about, order.language).encode("utf-8")


_ONE = "One step, as the jitted step computed it."


def _svg(session: Looking, order: Order) -> bytes:
    return session.picture(order.where.position, order.look).encode("utf-8")


def _png(session: Looking, order: Order) -> bytes:
    return rasters.png(session.picture(order.where.position, order.look))


def _gif(session: Looking, order: Order) -> bytes:
    if order.of == TRAINING:
        return rasters.gif(_training(session, order.look), FRAME_SECONDS / 2)
    return rasters.gif(_pass(session, order.look), FRAME_SECONDS)


def _table(session: Looking, order: Order) -> tables.Table:
    return tables.of_training(session.room) if order.of == TRAINING else tables.of_pass(session)


def _pass(session: Looking, look: str) -> list[str]:
    """A picture of each stop of the playhead; of many, as many as a film can have."""
    scene, figures = session.scene, session.figures
    names = {box.id: box.name for box in scene.boxes}
    texts = ["Start", *(f"{stop.phase} · {names[stop.box]}" for stop in scene.stops)]
    every = -(-len(texts) // MOST_FRAMES)
    shown = sorted({*range(0, len(texts), every), len(texts) - 1})
    return [svg.render(scene, figures, position, look, texts[position]) for position in shown]


def _training(session: Looking, look: str) -> list[str]:
    """A picture of the whole pass at steps of the training, closer together at the start."""
    twin = copy.copy(session)
    frames = []
    for step in session.room.passes_at(recording.MOST):
        twin.rewind(step)
        caption = f"Step {step} · loss {short(float(twin.step.loss))}"
        frames.append(svg.render(twin.scene, twin.figures, None, look, caption))
    return frames


@dataclasses.dataclass(frozen=True)
class Form:
    """One kind of file."""

    mime: str
    makes: Callable[[Looking, Order], bytes]


FORMS: Mapping[str, Form] = {
    "html": Form("text/html", _page),
    "svg": Form("image/svg+xml", _svg),
    "png": Form("image/png", _png),
    "gif": Form("image/gif", _gif),
    "csv": Form("text/csv", lambda session, order: tables.as_csv(_table(session, order))),
    "parquet": Form("application/vnd.apache.parquet", lambda session, order: tables.as_parquet(_table(session, order))),
}
"""By the ending of a file's name."""
