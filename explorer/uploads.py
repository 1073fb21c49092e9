"""Tables that people choose in their browser: a file arrives in pieces, and is kept under its own name."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from explorer import late
from explorer.errors import ExplorerError

Message = dict[str, Any]

LARGEST, LARGEST_SHARED = 200_000_000, 5_000_000
"""Bytes of a table that is chosen on a page of this machine, where a larger one can be named; and elsewhere."""
AT_ONCE = 3
"""Tables of one page that are kept, where they are not for longer than it is open."""

_PREFIX = "backprop-tables-"
_ODD = re.compile(r"[^\w .()+-]")


def folder() -> Path:
    """Where tables are kept that were chosen on a page of this machine: runs that are saved, and links, name them."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return Path(base, "backprop-explorer", "tables")


def most_bytes(local: bool) -> int:
    """The largest table that can be chosen on a page."""
    return LARGEST if local else LARGEST_SHARED


def shown(path: str) -> str:
    """What a table is called on the page: one that was chosen in the browser by its own name."""
    return Path(path).name if passing(path) or Path(path).parent.parent == folder() else path


def passing(path: str) -> bool:
    """Whether a table is there only as long as its page is open."""
    place = Path(path).parent.parent
    return place.name.startswith(_PREFIX) and place.parent == Path(tempfile.gettempdir())


class Uploads:
    """The tables of one page, and the one that is arriving."""

    def __init__(self, local: bool, choose: Callable[[str], None], busy: Callable[[str], None]) -> None:
        """Begin, without any.

        Args:
            local: whether only people at this machine see the page; then tables stay when it is closed.
            choose: has the page train on the table of a path.
            busy: says what is going on; an empty text once it is done.
        """
        self._local, self._choose, self._busy = local, choose, busy
        self._passing: Path | None = None
        self._arriving: _Arriving | None = None

    def received(self, message: Message) -> bool:
        """Take a piece, and choose the table once it is whole; whether it was.

        Raises:
            ExplorerError: it is too large, pieces of it are missing, it can't be kept, or not be learned from.
        """
        name = _named(str(message["name"]))
        try:
            kept = self._taken(name, int(message["size"]), int(message["at"]), str(message["data"]))
        except OSError as error:  # a disk that is full, say
            self._forget()
            raise ExplorerError(f"{name} can't be kept: {(error.strerror or str(error)).lower()}.") from None
        if kept is None:
            return False
        path, new = kept
        try:
            self._choose(str(path))
        except late.load("engine.errors").EngineError as error:
            if new:
                shutil.rmtree(path.parent)
            raise ExplorerError(str(error).replace(f"{path.parent}{os.sep}", "")) from None
        finally:
            self._busy("")
        if self._passing:  # whoever goes on choosing doesn't fill the disk of others
            for older in sorted(self._passing.iterdir(), key=lambda each: each.stat().st_mtime)[:-AT_ONCE]:
                shutil.rmtree(older)
        return True

    def _taken(self, name: str, size: int, at: int, data: str) -> tuple[Path, bool] | None:
        """Take a piece; of the last one, where the table is and whether it is new there."""
        if at == 0:
            self._begin(name, size)
        if self._arriving is None:  # it was refused, and the rest of it was on its way
            return None
        if not self._arriving.take(at, data):
            self._forget()
            raise ExplorerError(f"{name} didn't arrive whole; choose it again.")
        if not self._arriving.whole:
            return None
        kept = self._arriving.kept()
        self._arriving = None
        return kept

    def _begin(self, name: str, size: int) -> None:
        self._forget()
        if size > (most := most_bytes(self._local)):
            has, at_most = f"{size / 1e6:,.0f}", f"{most / 1e6:,.0f}"
            if self._local:
                raise ExplorerError(
                    f"{name} has {has} MB, and at most {at_most} MB can be chosen; type its path instead."
                )
            raise ExplorerError(f"{name} has {has} MB, and at most {at_most} MB can be chosen on this server.")
        self._arriving = _Arriving(self._place(), name, size)
        self._busy(f"Reading {name}…")

    def close(self) -> None:
        """Forget what is kept only as long as the page is open."""
        self._forget()
        if self._passing:
            shutil.rmtree(self._passing, ignore_errors=True)

    def _place(self) -> Path:
        if self._local:
            place = folder()
        else:
            self._passing = place = self._passing or Path(tempfile.mkdtemp(prefix=_PREFIX))
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _forget(self) -> None:
        if self._arriving:
            self._arriving.forget()
            self._arriving = None
            self._busy("")


class _Arriving:
    """A file of which a part is here."""

    def __init__(self, place: Path, name: str, size: int) -> None:
        self._place, self._name, self._size, self._here = place, name, size, 0
        self._digest = hashlib.sha256()
        self._file = tempfile.NamedTemporaryFile(dir=place, prefix=".", delete=False)  # noqa: SIM115

    @property
    def whole(self) -> bool:
        """Whether all of it is here."""
        return self._here == self._size

    def take(self, at: int, data: str) -> bool:
        """Take the piece that begins at a byte; whether it is the next one."""
        try:
            piece = base64.b64decode(data, validate=True)
        except binascii.Error:
            return False
        if at != self._here or self._here + len(piece) > self._size:
            return False
        self._file.write(piece)
        self._digest.update(piece)
        self._here += len(piece)
        return True

    def kept(self) -> tuple[Path, bool]:
        """Where the whole file is from now on, and whether it is new there: the same file always has the same place."""
        self._file.close()
        path = self._place / self._digest.hexdigest()[:16] / self._name
        new = not path.parent.exists()
        path.parent.mkdir(exist_ok=True)
        os.replace(self._file.name, path)
        os.utime(path.parent)
        return path, new

    def forget(self) -> None:
        """Keep nothing of it."""
        self._file.close()
        Path(self._file.name).unlink(missing_ok=True)


def _named(name: str) -> str:
    """A name as a file may have it, without folders."""
    return _ODD.sub("_", name.replace("\\", "/").rsplit("/", 1)[-1])[-80:].strip(" .") or "table"
