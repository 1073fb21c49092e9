"""A page's messages: what one that others can see refuses, and that nothing leaves it waiting."""

from __future__ import annotations

import re
import threading

import pytest
from bokeh.document import Document

from explorer import app, uploads
from explorer.app import Opening, Page
from explorer.dot_process import engine
from explorer.hosting import MESSAGES as OF_CLASS
from explorer.placing import Placing
from explorer.session import Session
from tests import sources

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def session():
    with engine() as running:
        yield Session(engine=running)


@pytest.fixture
def said():
    return []


@pytest.fixture
def make(session, said, monkeypatch):
    """A page with that session, served to this machine alone or to others; what it would send is kept."""

    def made(local):
        page = Page(Opening(local=local), Document(), lambda does: None)
        monkeypatch.setattr(page, "_session", session)
        monkeypatch.setattr(page.channel, "later", lambda does, **given: said.append(given))
        pages.append(page)
        return page

    pages = []
    yield made
    for page in pages:
        page.close()


def test_what_is_asked_before_the_page_has_begun_is_done_then():
    done = []
    page = Page(Opening(query="task=neuron"), Document(), lambda does: None)
    page._parts = {"plumbing": done.append}
    page._do({"type": "plumbing"})
    assert done == []
    page._begin()
    page.close()
    assert done == [{"type": "plumbing"}]


def names(form):
    return {field["name"] for field in form["fields"]}


def test_files_are_named_on_this_machine_only(make):
    here, elsewhere = (make(local).shows.form() for local in (True, False))
    assert {"csv", "run"} <= names(here)
    assert "run" not in names(elsewhere)
    (table,) = (field for field in elsewhere["fields"] if field["name"] == "csv")
    assert (table["text"], table["most"]) == (False, uploads.LARGEST_SHARED)


@pytest.mark.parametrize("name", ["csv", "run"])
def test_a_file_that_is_named_all_the_same_is_refused(make, said, session, name):
    before = session.room
    make(local=False)._parts["choose"]({"type": "choose", "name": name, "value": "/etc/passwd"})
    assert "served to this machine alone" in said[-1]["form"]["error"]
    assert session.room is before


def test_nothing_is_written_for_others(make, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(local=False)._running.received({"type": "save"})
    assert (said, list(tmp_path.iterdir())) == ([], [])


def test_where_a_run_was_saved_is_told_until_another_is_shown(make, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = make(local=True)
    monkeypatch.setattr(page.channel, "newest", lambda key, does, **given: said.append(given))
    page._running.received({"type": "save"})
    (folder,) = (tmp_path / "runs").iterdir()
    saved = said[-1]["status"]["saved"]
    assert saved == {"text": f"Saved in runs/{folder.name}; name that folder in Set-up to open it again.", "step": 0}
    page._running.anew()
    assert "saved" not in page.shows.status()


def test_whatever_a_script_sends_is_understood(make):
    sent = {
        kind for text in sources.assets().values() for kind in re.findall(r'\bsend(?:_msg)?\(\{ type: "(\w+)"', text)
    }
    assert len(sent) > 20
    assert sent <= make(local=True)._parts.keys() | OF_CLASS


class Failing:
    """A session's job that fails as often as it should, and then is what it was."""

    def __init__(self, monkeypatch, name):
        self.times, own = 1, getattr(Session, name)
        monkeypatch.setattr(Session, name, property(lambda session: self.fails if self.times else own.fget(session)))

    def fails(self):
        self.times -= 1
        raise RuntimeError("out of memory")


@pytest.fixture
def at_work(make, monkeypatch):
    """Has a page do something with its own threads, and returns once both have nothing left to do."""
    page = make(local=True)
    monkeypatch.setattr(page.channel, "newest", lambda key, does, **given: None)
    monkeypatch.setattr(page, "_placing", Placing(page._known, page.shows, page.received, lambda: None))

    def done(*messages):
        for message in messages:
            page.received(message)
        for _ in range(4):  # what is done aside may ask for something that is done aside
            page._crew.wait(lambda: None)
            event = threading.Event()
            page._crew.beside(lambda: None, lambda nothing, event=event: event.set())
            assert event.wait(60)
        return page

    yield done
    page._crew.close()


def failures(said):
    return [given["text"] for given in said if given.get("type") == "failed"]


@pytest.mark.parametrize("name", ["begin", "warm"])
def test_what_cannot_be_compiled_is_told_and_asked_for_again_tried_again(at_work, said, session, monkeypatch, name):
    session.choose(task="product")
    failing = Failing(monkeypatch, name)
    at_work({"type": "train"})
    assert (failing.times, len(failures(said)), session.room.step) == (0, 1, 0)
    at_work({"type": "train"})
    assert (len(failures(said)), session.room.step) == (1, 1)


def test_a_page_that_plays_stops_where_its_training_cannot_be_compiled(at_work, session, monkeypatch):
    session.choose(task="product")
    page = at_work({"type": "play"}, {"type": "pause"})
    session.choose(optimizer="adam")
    Failing(monkeypatch, "warm")
    page.shows.told["playing"] = True
    assert not at_work({"type": "piece"}).shows.told["playing"]


def test_a_page_whose_training_fails_does_not_play_on(at_work, said, session, monkeypatch):
    session.choose(task="product")
    monkeypatch.setattr(Session, "advance", lambda session, count: 1 / 0)
    assert not at_work({"type": "play"}).shows.told["playing"]
    assert len(failures(said)) == 1


def test_a_pass_that_cannot_be_drawn_holds_up_nothing(at_work, said, session, monkeypatch):
    session.choose(task="product")
    with monkeypatch.context() as patched:
        patched.setattr(Session, "scene", property(lambda session: 1 / 0))
        at_work({"type": "explain", "node": "mul", "box": "b", "index": []})
    assert [given for given in said if given.get("type") == "explained"]


@pytest.fixture
def left(make, said, monkeypatch):
    """A page that trains, and that nobody has used for as long as the test says."""

    def leave(seconds, playing=True):
        page = make(local=False)
        page._running._play_on(playing)
        monkeypatch.setattr(page, "_used", page._used - seconds)
        monkeypatch.setattr(page._running, "_come_to_rest", lambda: None)
        page.idle()
        page._crew.wait(lambda: None)
        return page._running.playing, [one.get("type") for one in said]

    return leave


def test_training_that_nobody_looks_at_is_paused(left, said):
    assert left(app.PAUSED_SECONDS + 1) == (False, ["told"])
    assert said[0]["text"] == "Training was paused: nobody has done anything here for 15 minutes."


def test_a_page_that_nobody_uses_is_put_to_rest(left):
    assert left(app.ENDED_SECONDS + 1, playing=False) == (False, ["rested"])


def test_a_page_that_is_used_goes_on(left):
    assert left(app.PAUSED_SECONDS - 60) == (True, [])
    assert left(app.PAUSED_SECONDS + 1, playing=False) == (False, [])


def test_what_a_browser_asks_by_itself_is_no_use_of_a_page(make, monkeypatch):
    page = make(local=False)
    page._running._play_on(True)
    monkeypatch.setattr(page, "_used", 0.0)
    page.received({"type": "at"})
    assert page._used == 0.0
    page.received({"type": "class_end"})
    assert page._used > 0.0
