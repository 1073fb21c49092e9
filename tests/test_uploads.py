"""Tables that are chosen in the browser: they arrive whole or not at all, under their own name and nowhere else."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from engine.tasks.settings import SettingsError
from explorer import uploads
from explorer.errors import ExplorerError
from explorer.uploads import Uploads

pytestmark = pytest.mark.once
TEXT = b"a,b\n1,2\n3,4\n5,6\n"


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """Where tables of this machine go."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return uploads.folder()


@pytest.fixture
def chosen():
    return []


@pytest.fixture
def busy():
    return []


@pytest.fixture
def make(chosen, busy):
    def made(local=True, choose=chosen.append):
        pages.append(Uploads(local, choose, busy.append))
        return pages[-1]

    pages = []
    yield made
    for page in pages:
        page.close()


def piece(text=TEXT, at=0, until=None, name="my table.csv"):
    data = base64.b64encode(text[at:until]).decode()
    return {"type": "table", "name": name, "size": len(text), "at": at, "data": data}


def files(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def test_a_table_comes_in_pieces_and_is_chosen_once_it_is_whole(make, chosen, busy):
    page = make()
    assert [page.received(piece(at=at, until=at + 5)) for at in (0, 5, 10)] == [False] * 3
    assert (chosen, busy) == ([], ["Reading my table.csv…"])
    assert page.received(piece(at=15))
    (path,) = chosen
    assert Path(path).read_bytes() == TEXT
    assert (uploads.shown(path), uploads.passing(path), busy[-1]) == ("my table.csv", False, "")


def test_the_same_table_has_the_same_place_and_another_one_another(make, chosen, kept):
    page = make()
    for text in (TEXT, TEXT, TEXT + b"7,8\n"):
        page.received(piece(text))
    first, again, other = chosen
    assert first == again != other
    assert len(files(kept)) == 2


def test_on_a_server_of_others_it_goes_with_its_page(make, chosen, kept):
    page = make(local=False)
    page.received(piece())
    (path,) = chosen
    assert (uploads.shown(path), uploads.passing(path)) == ("my table.csv", True)
    page.close()
    assert not Path(path).exists()
    assert not kept.exists()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\tables\\iris.csv", "iris.csv"),
        ("a\0b/..", "table"),
        ("", "table"),
        ("größe <1>.csv", "größe _1_.csv"),
        (".bashrc", "bashrc"),
        ("x" * 300 + ".csv", "x" * 76 + ".csv"),
    ],
)
def test_a_name_leads_nowhere_else(name, safe, make, chosen, kept):
    make().received(piece(name=name))
    (path,) = map(Path, chosen)
    assert path.name == safe
    assert path.parent.parent == kept


def test_what_is_missing_or_too_long_is_told_and_nothing_is_kept(make, chosen, busy, kept):
    page = make()
    for wrong in (piece(at=4), piece() | {"at": 0, "size": 3}, piece() | {"data": "no base64!"}):
        page.received(piece(until=2))
        with pytest.raises(ExplorerError, match=r"my table\.csv didn't arrive whole; choose it again\."):
            page.received(wrong)
        assert not page.received(piece(at=8))  # the rest of it
    assert (chosen, files(kept), busy[-1]) == ([], [], "")


def test_a_page_that_is_closed_keeps_no_part(make, kept):
    page = make()
    page.received(piece(until=3))
    page.close()
    assert files(kept) == []


def test_what_is_too_large_is_told_with_the_first_piece(make, monkeypatch):
    monkeypatch.setattr(uploads, "LARGEST", 3_000_000)
    monkeypatch.setattr(uploads, "LARGEST_SHARED", 1_000_000)
    large = piece() | {"size": 4_000_000}
    for local, rest in (
        (True, "3 MB can be chosen; type its path instead."),
        (False, "1 MB can be chosen on this server."),
    ):
        page = make(local)
        with pytest.raises(ExplorerError) as caught:
            page.received(large)
        assert str(caught.value) == f"my table.csv has 4 MB, and at most {rest}"
        assert not page.received(large | {"at": 48})


def test_what_cannot_be_learned_from_is_called_by_its_name_and_is_not_kept(make, kept, busy):
    def refuse(path):
        raise SettingsError(f"{path} has a single column.")

    with pytest.raises(ExplorerError) as caught:
        make(choose=refuse).received(piece())
    assert str(caught.value) == "my table.csv has a single column."
    assert (files(kept), busy[-1]) == ([], "")


def test_an_empty_file_is_whole_at_once(make, chosen):
    assert make().received(piece(b""))
    assert Path(chosen[0]).read_bytes() == b""


@pytest.mark.parametrize("path", ["", "iris.csv", "/home/me/tables/2026/iris.csv", "tables/1/iris.csv"])
def test_a_path_that_was_typed_is_shown_as_it_is(path):
    assert (uploads.shown(path), uploads.passing(path)) == (path, False)


def test_who_goes_on_choosing_does_not_fill_the_disk_of_others(make, chosen):
    page = make(local=False)
    for number in (*range(9), 7):
        page.received(piece(TEXT + b"9,%d\n" % number))
    there = [path for path in dict.fromkeys(chosen) if Path(path).exists()]
    assert there == chosen[-4:-1]
    assert chosen[-1] in there


def test_a_full_disk_is_told(make, chosen, busy, kept, monkeypatch):
    def full(path, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uploads.os, "replace", full)
    with pytest.raises(ExplorerError, match=r"my table\.csv can't be kept: no space left on device\."):
        make().received(piece())
    assert (chosen, busy[-1]) == ([], "")
    monkeypatch.undo()
