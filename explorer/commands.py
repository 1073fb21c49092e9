"""What each command does."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from explorer import late
from explorer.errors import ExplorerError

Arguments = argparse.Namespace


class Refused(ExplorerError):  # noqa: N818 - named after what happened
    """What was asked for can't be done; the message says why and what to write instead."""


_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(arguments: Arguments) -> int:
    """Serve the page."""
    if arguments.public:
        return _serve_public(arguments)
    if given := [name for name in _PUBLIC if getattr(arguments, name)]:
        raise Refused(f"--{given[0].replace('_', '-')} goes with --public: add that, or leave it out.")
    server = late.load("explorer.server")
    app = late.load("explorer.app")
    # a misspelt name is told here, not on a page that stays empty; and all pages share the arguments
    target = _load(arguments.target) if arguments.target else ""
    address = arguments.address or "127.0.0.1"
    opening = app.Opening(target, arguments.graphviz, address in _LOOPBACK)
    if arguments.lesson:
        lesson = _lesson(arguments.lesson)
        opening = dataclasses.replace(opening, lesson=lesson)
    return _told(
        lambda: server.serve(
            opening,
            arguments.port,
            address,
            not arguments.no_browser,
        )
    )


_PUBLIC = ("workers", "sessions", "allow_origin", "behind_proxy")
"""Options that go with ``--public``."""


def _serve_public(arguments: Arguments) -> int:
    """Serve the page to many, from several processes."""
    public, front = late.load("explorer.public"), late.load("explorer.front")
    if arguments.target:
        _load(arguments.target)
    if arguments.lesson:
        _lesson(arguments.lesson)
    origins = tuple(map(_origin, arguments.allow_origin or ()))
    rules = front.Rules(arguments.sessions or public.MOST_PAGES, origins, arguments.behind_proxy)
    order = public.Order(
        arguments.target,
        arguments.graphviz,
        arguments.lesson,
        arguments.address or "0.0.0.0",
        arguments.port,
        arguments.workers or public.processes(),
        rules,
    )
    return _told(lambda: public.serve(order))


def _origin(text: str) -> str:
    """``https://host`` as a browser writes it."""
    parts = urlsplit(text.lower())
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise Refused(f"--allow-origin is {text!r}, and must be like https://learn.example.org.")
    return f"{parts.scheme}://{parts.netloc}"


def lessons(arguments: Arguments) -> int:
    """List the course."""
    course = late.load("explorer.lessons.course")
    found = [entry.plain() for entry in course.entries()]
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return 0
    group = ""
    for one in found:
        if one["group"] != group:
            group = one["group"]
            print(f"\n{group}")
        print(f"  {one['name']:<20} {one['title']}  ({one['minutes']} min)")
    print("\nbackprop-explorer serve --lesson NAME begins one; docs/LESSONS.md says how to write your own.")
    return 0


def _lesson(text: str) -> Any:
    found: list[Any] = []
    _told(lambda: found.append(late.load("explorer.lessons.course").named(text)))
    return found[0]


def doctor(arguments: Arguments) -> int:
    """Say what there is here, and what is missing; status 1 where something is that the page can't do without."""
    own = late.load("explorer.doctor")
    found = own.examined()
    print(json.dumps(found, ensure_ascii=False, indent=1) if arguments.json else own.report(found))
    return 0 if found["ok"] else 1


def trace(arguments: Arguments) -> int:
    """Print the graph of a function."""
    if arguments.open:
        arguments.port, arguments.address, arguments.no_browser, arguments.lesson = 5006, "", False, ""
        arguments.public, arguments.workers, arguments.sessions = False, None, None
        arguments.allow_origin, arguments.behind_proxy = None, False
        return serve(arguments)
    target = _load(arguments.target)
    drawing = late.load("explorer.drawing")
    form = next((name for name in ("json", "dot", "svg") if getattr(arguments, name)), "text")
    _told(lambda: _write(drawing.draw(target, form, arguments.operations, arguments.graphviz), arguments.output))
    if doubt := drawing.doubt(target):
        print(f"backprop-explorer: this graph has no loss: {doubt}", file=sys.stderr)
    return 0


def check(arguments: Arguments) -> int:
    """Print the proof for a function; status 1 where something doesn't agree."""
    target = _load(arguments.target)
    late.load("engine.devices").settle()
    checker = late.load("engine.check")
    report: list[Any] = []
    _told(lambda: report.append(checker.check(target.fun, *target.args)))
    print(report[0])
    return 0 if report[0].ok else 1


def train(arguments: Arguments) -> int:
    """Train without a page, and print what it would show; status 130 where Ctrl+C ended it."""
    does = _train
    if arguments.worker:
        does = _work
    elif arguments.processes != 1 or arguments.coordinator or arguments.cluster:
        does = late.load("explorer.launching").train
    done: list[int] = []
    _told(lambda: done.append(does(arguments)))
    return done[0]


def _work(arguments: Arguments) -> int:
    """As one of several processes that train as one."""
    worker, cluster = late.load("explorer.worker"), late.load("engine.cluster")
    place = cluster.Place(arguments.coordinator, arguments.processes, arguments.process_id)
    late.load("engine.shares").prepare(arguments.devices)

    def does() -> int:
        worker.enter(arguments.worker, place)
        return _train(arguments)

    return int(worker.fellow(does))


def _page(arguments: Arguments) -> Callable[[Any], Any]:
    """What follows a run on a page."""
    teller = late.load("explorer.telling").Teller
    return lambda room: teller(room, arguments.port, not arguments.no_browser)


def _train(arguments: Arguments) -> int:
    headless, options = late.load("explorer.headless"), late.load("explorer.options")
    if arguments.devices:
        late.load("engine.shares").prepare(arguments.devices)
    late.load("explorer.opening").prepare()
    folders = {"open": arguments.open, "save": arguments.save}
    split = {"devices": arguments.devices, "pieces": arguments.micro_batches, "sharded": arguments.divide_memory}
    given = tuple((name, value) for name, value in split.items() if value is not None)
    others = {"split": given, "save_every": arguments.save_every}
    order = headless.Order(arguments.steps, options.given(arguments), arguments.target, **folders, **others)
    trained = headless.train(order, _page(arguments) if arguments.watch else None)
    for note in trained.notes:
        print(f"backprop-explorer: {note}", file=sys.stderr)
    if not late.load("engine.cluster").first():
        return 130 if trained.interrupted else 0
    shown = headless.plain(trained)
    print(headless.as_json(shown) if arguments.json else late.load("explorer.report").report(shown))
    if trained.interrupted:
        print(f"backprop-explorer: Stopped after {shown['step']:,} steps.", file=sys.stderr)
    return 130 if trained.interrupted else 0


def export(arguments: Arguments) -> int:
    """Write a page, a picture, a film or a table."""
    return _told(lambda: _export(arguments))


def _export(arguments: Arguments) -> None:
    exporting = late.load("explorer.exporting")
    form = exporting.form_of(arguments.output)
    if arguments.lesson:
        _export_lesson(arguments, form)
        return
    given = late.load("explorer.options").given(arguments)
    session = late.load("explorer.opening").session_of(arguments.target, given, arguments.graphviz)
    if arguments.operations:
        session.set_granularity("operation")
    steps = arguments.steps if arguments.steps is not None else 0 if arguments.target else _STEPS
    session.advance(steps)
    session.catch_up()
    place = exporting.Where(0 if form == "html" else len(session.scene.stops))
    order = exporting.Order(form, arguments.of, place, "dark" if arguments.dark else "light")
    _keep(exporting.export(session, order), arguments.output)


def _export_lesson(arguments: Arguments, form: str) -> None:
    if form != "html":
        raise Refused(f"A lesson is exported as a page: {arguments.output!r} should end in .html.")
    lesson = _lesson(arguments.lesson)
    session = late.load("explorer.opening").open_session(graphviz=arguments.graphviz)
    _keep(late.load("explorer.exporting").lesson_page(lesson, session), arguments.output)


_STEPS = 100
"""A task is trained for so many before it is exported, unless told otherwise; one's own function for none."""


def _load(text: str) -> Any:
    found: list[Any] = []
    _told(lambda: found.append(late.load("explorer.target").load(text)))
    return found[0]


def _told(does: Callable[[], Any]) -> int:
    """Do it; a user's mistake becomes one sentence."""
    try:
        does()
    except (ExplorerError, late.load("engine.errors").EngineError) as error:
        raise Refused(str(error)) from error
    return 0


def _write(text: str, path: str | None) -> None:
    if path is None:
        print(text)
        return
    _keep(f"{text}\n".encode(), path)


def _keep(content: bytes, path: str) -> None:
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise Refused(f"Can't write {path}: {error.strerror}.") from error
    print(f"Wrote {path}.")


COMMANDS: dict[str, Callable[[Arguments], int]] = {
    "serve": serve,
    "trace": trace,
    "check": check,
    "train": train,
    "lessons": lessons,
    "export": export,
    "doctor": doctor,
}
