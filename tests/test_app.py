"""A page's messages: what one that others can see refuses."""

from __future__ import annotations

import re

import pytest
from bokeh.document import Document

from explorer.app import Opening, Page
from explorer.dot_process import engine
from explorer.hosting import MESSAGES as OF_CLASS
from explorer.session import Session
from tests import sources


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
        return page

    return made


def names(form):
    return {field["name"] for field in form["fields"]}


def test_files_are_named_on_this_machine_only(make):
    assert {"csv", "run"} <= names(make(local=True).shows.form())
    assert names(make(local=False).shows.form()).isdisjoint({"csv", "run"})


@pytest.mark.parametrize("name", ["csv", "run"])
def test_a_file_that_is_named_all_the_same_is_refused(make, said, session, name):
    before = session.room
    make(local=False)._choose({"name": name, "value": "/etc/passwd"})
    assert "served to this machine alone" in said[-1]["form"]["error"]
    assert session.room is before


def test_nothing_is_written_for_others(make, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(local=False)._running.received({"type": "save"})
    assert (said, list(tmp_path.iterdir())) == ([], [])


def test_whatever_a_script_sends_is_understood(make):
    sent = {
        kind for text in sources.assets().values() for kind in re.findall(r'\bsend(?:_msg)?\(\{ type: "(\w+)"', text)
    }
    assert len(sent) > 20
    assert sent <= make(local=True)._parts.keys() | OF_CLASS
