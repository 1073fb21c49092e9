"""A folder that is whole at every moment: killed while saving, a full disk, damage, strangers."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine import store
from engine.store import StoreError, read, write

PARTS = {"state": {"a": np.arange(6.0).reshape(2, 3), "b": np.float32(1.5)}, "more": {"x": np.arange(3)}}

KILLED = """
import os, random, signal, sys, time
import numpy as np
from engine import store

folder, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(seed)
told_read, told_write = os.pipe()
for kill in range(25):
    child = os.fork()
    if child == 0:
        first = store.read(folder)[0]["step"] if os.path.exists(folder) else 0
        for step in range(first + 1, first + 10**6):
            old = {f"old {step // 3}": {"y": np.arange(9)}}
            store.write(folder, {"step": step}, {"state": {"x": np.full(20_000, step)}} | old)
            os.write(told_write, step.to_bytes(8, "big"))
    time.sleep(rng.uniform(0.001, 0.12))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.set_blocking(told_read, False)
    done = 0
    try:
        while told := os.read(told_read, 8):
            done = int.from_bytes(told, "big")
    except BlockingIOError:
        pass
    if not os.path.exists(os.path.join(folder, store.NAME)):
        assert not done, "nothing is there, though a save was over"
        continue
    values, parts, note = store.read(folder)
    assert note == "", note
    assert values["step"] >= done, (values, done)
    assert (parts["state"]["x"] == values["step"]).all()
    print(values["step"], len(os.listdir(os.path.join(folder, store.PARTS))))
"""


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for part, arrays in wanted.items():
        assert found[part].keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[part][name], array)
            assert found[part][name].dtype == array.dtype


@pytest.fixture
def saved(tmp_path):
    """A folder in which step 1, then step 2 was saved."""
    write(tmp_path, {"step": 1}, PARTS)
    write(tmp_path, {"step": 2}, {"state": {"a": np.ones(3)}, "more": PARTS["more"]})
    return tmp_path


def part_of(folder: Path, name: str, manifest: str = store.NAME) -> Path:
    entry = json.loads((folder / manifest).read_text())["parts"][name]
    return folder / store.PARTS / f"{entry['sha256']}.npz"


def test_what_was_saved_is_read(tmp_path):
    write(tmp_path / "new" / "folder", {"step": 7, "text": "∂", "list": [1, None]}, PARTS)
    values, parts, note = read(tmp_path / "new" / "folder")
    assert (values, note) == ({"step": 7, "text": "∂", "list": [1, None]}, "")
    same(parts, PARTS)


def test_the_last_one_is_read_and_what_nobody_needs_is_gone(saved):
    write(saved, {"step": 3}, {"state": {"a": np.zeros(3)}})
    assert read(saved)[0] == {"step": 3}
    assert len(list((saved / store.PARTS).iterdir())) == 3  # two states, and what the one before shared
    assert sorted(file.name for file in saved.iterdir()) == [store.PARTS, store.NAME, store.PREVIOUS]


def test_a_part_that_didnt_change_isnt_written_again(saved):
    before = part_of(saved, "more").stat()
    write(saved, {"step": 3}, PARTS)
    after = part_of(saved, "more").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_part_that_was_damaged_is_written_again(saved):
    part_of(saved, "more").write_bytes(b"junk")
    write(saved, {"step": 3}, PARTS)
    same(read(saved)[1], PARTS)
    assert read(saved)[2] == ""


@pytest.mark.slow
@pytest.mark.once
def test_killed_at_any_moment_the_last_complete_step_is_there(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path / "run"), "0"],
        capture_output=True, text=True, check=False, timeout=120, cwd=Path(store.__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = [int(line.split()[0]) for line in done.stdout.splitlines()]
    assert steps == sorted(steps)
    assert (len(steps) > 10, steps[-1] > 10) == (True, True)
    assert max(int(line.split()[1]) for line in done.stdout.splitlines()) <= 12


@contextlib.contextmanager
def _files_up_to(size):
    """No file may grow beyond a size: as on a full disk, a write fails in the middle."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_no_more_fits_the_old_is_whole(saved):
    with (
        _files_up_to(4096),
        pytest.raises(StoreError, match=r"could not be saved in .*: File too large\. What was saved"),
    ):
        write(saved, {"step": 3}, {"state": {"a": np.arange(10_000)}})
    assert read(saved)[0] == {"step": 2}
    assert not list(saved.rglob("*.part"))


@pytest.mark.parametrize("fails_at", range(6))
def test_a_full_disk_at_any_write_leaves_the_old_and_says_so(saved, monkeypatch, fails_at):
    """Each file that is flushed in turn; the sixth never comes."""
    flush, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == fails_at + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    monkeypatch.setattr(os, "fsync", full)
    new = {"state": {"a": np.full(5, 3.0)}, "more": {"x": np.full(5, 4.0)}}
    said = ""
    try:
        write(saved, {"step": 3}, new)
    except StoreError as error:
        said = str(error)
    assert ("No space left on device" in said) == (len(calls) > fails_at)
    monkeypatch.undo()
    values, _, note = read(saved)
    assert (values["step"] in (2, 3), note) == (True, "")
    write(saved, {"step": 4}, new)
    assert read(saved)[0] == {"step": 4}


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data[: len(data) // 2], "bytes instead of"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "checksum"),
        (lambda data: b"", "0 bytes instead of"),
    ],
)
def test_after_damage_to_the_last_the_one_before_is_read(saved, damage, says):
    file = part_of(saved, "state")
    file.write_bytes(damage(file.read_bytes()))
    values, parts, note = read(saved)
    assert values == {"step": 1}
    same(parts, PARTS)
    assert says in note
    assert "what was saved before it" in note


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:50],
        lambda text: text.replace('"step": 2', '"step": 9'),
        lambda text: "",
        lambda text: "\0" * 99,
    ],
)
def test_a_damaged_manifest_is_noticed(saved, damage):
    (saved / store.NAME).write_text(damage((saved / store.NAME).read_text()))
    values, _, note = read(saved)
    assert (values, "damaged" in note) == ({"step": 1}, True)


def test_a_damaged_manifest_doesnt_take_the_place_of_the_good_one_before(saved):
    (saved / store.NAME).write_text("{")
    write(saved, {"step": 3}, PARTS)
    assert json.loads((saved / store.PREVIOUS).read_text())["values"] == {"step": 1}


def test_a_missing_part_is_damage(saved):
    part_of(saved, "state").unlink()
    assert read(saved)[0] == {"step": 1}


def test_where_both_are_damaged_one_sentence_says_so(saved):
    part_of(saved, "more").unlink()
    with pytest.raises(
        StoreError, match=r"damaged \(.*No such file.*\) and can't be opened, nor can the one saved before"
    ):
        read(saved)


def _no_folder(folder):
    return folder / "nowhere", "no saved run in"


def _a_stranger(folder):
    (folder / store.NAME).write_text('{"name": "something else"}')
    return folder, "is not a saved run of Backprop Explorer"


def _newer(folder):
    write(folder, {"step": 1}, PARTS)
    manifest = json.loads((folder / store.NAME).read_text()) | {"version": 2, "new": True}
    (folder / store.NAME).write_text(json.dumps(manifest))
    return folder, "version 2 of the format, and this program reads up to version 1. Open it with a newer"


def _a_list(folder):
    (folder / store.NAME).write_text("[1, 2]")
    return folder, "is not a saved run"


def _pickled(folder):
    np.savez(folder / "x.npz", a=np.array([{"evil": 1}], object), allow_pickle=True)
    data = (folder / "x.npz").read_bytes()
    entry = {"sha256": store._sum(data), "bytes": len(data)}
    (folder / store.PARTS).mkdir()
    (folder / store.PARTS / f"{entry['sha256']}.npz").write_bytes(data)
    manifest = {"format": store.FORMAT, "version": 1, "values": {}, "parts": {"a": entry}}
    manifest["checksum"] = store._sum(store._text(manifest))
    (folder / store.NAME).write_bytes(store._text(manifest))
    return folder, "allow_pickle=False"


def _climbing(folder):
    manifest = {"format": store.FORMAT, "version": 1, "values": {}, "parts": {"a": {"sha256": "../../x", "bytes": 1}}}
    manifest["checksum"] = store._sum(store._text(manifest))
    (folder / store.NAME).write_bytes(store._text(manifest))
    return folder, "a part has no checksum"


@pytest.mark.parametrize("make", [_no_folder, _a_stranger, _newer, _a_list, _pickled, _climbing])
def test_what_cant_be_read_is_said_in_a_sentence(tmp_path, make):
    folder, says = make(tmp_path)
    with pytest.raises(StoreError) as caught:
        read(folder)
    assert says in str(caught.value)


@pytest.mark.parametrize("make", [_a_stranger, _newer])
def test_what_isnt_ours_is_never_written_over(tmp_path, make):
    folder, _ = make(tmp_path)
    before = (folder / store.NAME).read_bytes()
    with pytest.raises(StoreError, match="Save this run in another folder"):
        write(folder, {"step": 9}, PARTS)
    assert (folder / store.NAME).read_bytes() == before


def test_files_of_others_in_the_folder_stay(saved):
    for other in (saved / "notes.txt", saved / store.PARTS / "mine.npz"):
        other.write_text("mine")
    write(saved, {"step": 3}, PARTS)
    assert (saved / "notes.txt").exists()
    assert (saved / store.PARTS / "mine.npz").exists()


def test_a_file_in_place_of_the_folder_is_said(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(StoreError, match="could not be saved"):
        write(tmp_path / "run", {}, {})
