"""A folder that holds plain values and NumPy arrays, and is whole at every moment.

::

    folder/
      run.json            what was saved last: values, and for each part its file, size and SHA-256
      run.previous.json   what was saved before that
      parts/<sha256>.npz  arrays by name, never changed once written
      states/<number>/    arrays that several processes wrote together, by Orbax; never changed either

A part is written under another name, flushed to the disk and renamed; only when all of them are there does the new
``run.json`` take the place of the old one, again by a rename. Files that neither of the two manifests names are removed
last. (What lies below ``states/`` is named by the value ``states`` once all of it is there.) So a process killed at any
moment, or a full disk, leaves the last manifest with everything that it names. The manifest carries a checksum of
itself. No pickle: ``.npz`` files are read with ``allow_pickle=False``.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import EngineError

Array = Any
Arrays = dict[str, Array]

NAME, PREVIOUS, PARTS, STATES = "run.json", "run.previous.json", "parts", "states"
FORMAT = "backprop-explorer run"
VERSION = 1

_OURS = re.compile(r"[0-9a-f]{64}\.npz|.*\.part")
_STATE = re.compile(r"[0-9]+(\..*)?")
_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, EOFError, OSError, zipfile.BadZipFile)
"""What reading something raises that isn't what it says it is."""


class StoreError(EngineError, ValueError):
    """A folder can't be read or written; the message says what to do."""


def write(folder: str | os.PathLike[str], values: Mapping[str, Any], parts: Mapping[str, Arrays]) -> None:
    """Save values and arrays; what was saved before stays whole until the new is.

    Args:
        folder: is made if it isn't there.
        values: of JSON's types.
        parts: arrays by name, by the name of their part.

    Raises:
        StoreError: the folder can't be written, or holds something else.
    """
    path = Path(folder)
    try:
        _write(path, values, parts)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(
            f"The run could not be saved in {path}: {reason}. What was saved there before is whole."
        ) from error


def read(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Arrays], str]:
    """What was saved last; if that is damaged, what was saved before.

    Returns:
        Values, parts, and a sentence if something was damaged, else nothing.

    Raises:
        StoreError: there is no run in the folder, it is of a newer version, or damaged beyond use.
    """
    path = Path(folder)
    if not (path / NAME).is_file() and not (path / PREVIOUS).is_file():
        raise StoreError(f"There is no saved run in {path}: it has no {NAME}. Give the folder that a run was saved in.")
    try:
        return *_read(path, NAME), ""
    except _ForeignError as error:
        raise StoreError(str(error)) from error
    except _DAMAGE as error:
        return older(path, _reason(error))


def older(folder: str | os.PathLike[str], reason: str) -> tuple[dict[str, Any], dict[str, Arrays], str]:
    """What was saved before the last save, which is damaged; as :func:`read`.

    Args:
        folder: of the run.
        reason: what is wrong with the last save.

    Raises:
        StoreError: that is damaged, too.
    """
    path = Path(folder)
    try:
        values, parts = _read(path, PREVIOUS)
    except _ForeignError as error:
        raise StoreError(str(error)) from error
    except _DAMAGE as error:
        text = f"The run in {path} is damaged ({reason}) and can't be opened, nor can the one saved before it."
        raise StoreError(f"{text} Restore the folder from a copy.") from error
    return values, parts, f"What was saved last in {path} is damaged ({reason}); this is what was saved before it."


class _ForeignError(EngineError):
    """A file that was never written by this version."""


# ---- reading -------------------------------------------------------------------------------------------------------


def _read(path: Path, name: str) -> tuple[dict[str, Any], dict[str, Arrays]]:
    manifest = _manifest(path / name)
    parts = {part: _arrays(_bytes(path, entry)) for part, entry in manifest["parts"].items()}
    for number in _numbers(manifest):
        if not (path / STATES / number).is_dir():
            raise ValueError(f"{STATES}/{number} isn't there")
    return manifest["values"], parts


def _manifest(file: Path) -> dict[str, Any]:
    found = json.loads(file.read_bytes())
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise _ForeignError(f"{file} is not a saved run of Backprop Explorer. Give the folder that a run was saved in.")
    if isinstance(found.get("version"), int) and found["version"] > VERSION:
        text = f"{file} is of version {found['version']} of the format, and this program reads up to version {VERSION}."
        raise _ForeignError(f"{text} Open it with a newer Backprop Explorer.")
    if found.pop("checksum", None) != _sum(_text(found)):
        raise ValueError(f"{file.name} doesn't have the checksum that it names")
    return found


def _numbers(manifest: Mapping[str, Any]) -> set[str]:
    """The folders below ``states/`` that a manifest names."""
    return {place_of(place)[0] for place in manifest["values"].get(STATES, {}).values()}


def place_of(text: str) -> tuple[str, str]:
    """``3/0`` is what lies in the folder ``3`` under ``0``.

    Raises:
        ValueError: it is no such place.
    """
    if not re.fullmatch(r"[0-9]+/[0-9]+", text):
        raise ValueError(f"{text!r} is no place of a state")
    number, _, index = text.partition("/")
    return number, index


def _bytes(path: Path, entry: Mapping[str, Any]) -> bytes:
    data = (path / PARTS / f"{_digest(entry['sha256'])}.npz").read_bytes()
    if len(data) != entry["bytes"]:
        raise ValueError(f"a file has {len(data):,} bytes instead of {entry['bytes']:,}")
    if _sum(data) != entry["sha256"]:
        raise ValueError("a file doesn't have the checksum that it was saved with")
    return data


def _arrays(data: bytes) -> Arrays:
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def _digest(text: str) -> str:
    """A checksum that is one, and no path."""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError("a part has no checksum")
    return text


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"{Path(str(error.filename)).name}: {error.strerror}" if error.filename else str(error.strerror)
    return f"{NAME} is not JSON" if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) else str(error)


# ---- writing -------------------------------------------------------------------------------------------------------


def _write(path: Path, values: Mapping[str, Any], parts: Mapping[str, Arrays]) -> None:
    _refuse_foreign(path)
    (path / PARTS).mkdir(parents=True, exist_ok=True)
    entries = {name: _put(path, arrays) for name, arrays in parts.items()}
    _flush(path / PARTS)
    manifest: dict[str, Any] = {"format": FORMAT, "version": VERSION, "values": dict(values), "parts": entries}
    manifest["checksum"] = _sum(_text(manifest))
    if _whole(path / NAME):  # a damaged one must not take the place of a good one
        _replace(path / PREVIOUS, (path / NAME).read_bytes())
    _replace(path / NAME, _text(manifest))
    _flush(path)
    _sweep(path)


def _put(path: Path, arrays: Arrays) -> dict[str, Any]:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    data = buffer.getvalue()
    entry = {"sha256": _sum(data), "bytes": len(data)}
    try:
        _bytes(path, entry)
    except (OSError, ValueError):  # not there, or no longer what it was
        _replace(path / PARTS / f"{entry['sha256']}.npz", data)
    return entry


def _replace(file: Path, data: bytes) -> None:
    """The file has either its old content or all of the new."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _flush(folder: Path) -> None:
    """Names of files are on the disk only once their folder is; where a folder can't be opened, the system does it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(path: Path) -> None:
    """Remove what no manifest names: older parts, and what was left by a process that was killed."""
    kept = [_manifest(path / name) for name in (NAME, PREVIOUS) if _whole(path / name)]
    named = {f"{entry['sha256']}.npz" for manifest in kept for entry in manifest["parts"].values()}
    left = [*(path / PARTS).iterdir(), *path.glob("run.*.part")]
    for file in left:
        if file.name not in named and _OURS.fullmatch(file.name):
            with contextlib.suppress(OSError):
                file.unlink()
    numbers = set().union(*map(_numbers, kept))
    for folder in states(path):
        if folder.name not in numbers:
            shutil.rmtree(folder, ignore_errors=True)


def states(folder: str | os.PathLike[str]) -> list[Path]:
    """The folders of states that several processes wrote, named or not; those too that were never completed."""
    return [found for found in (Path(folder) / STATES).glob("*") if _STATE.fullmatch(found.name)]


def _whole(file: Path) -> bool:
    """Whether this is a manifest as it was written."""
    try:
        _manifest(file)
    except (_ForeignError, *_DAMAGE):
        return False
    return True


def _refuse_foreign(path: Path) -> None:
    """Neither a stranger's file nor that of a newer version is written over; a damaged one of ours is."""
    try:
        _manifest(path / NAME)
    except _ForeignError as error:
        raise StoreError(f"{error} Save this run in another folder.") from error
    except _DAMAGE:
        return


def _text(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False).encode()


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
