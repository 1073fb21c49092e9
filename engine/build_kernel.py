"""Compiles the library of :mod:`engine.kernel` where there is a C++ compiler, and says so.

Run: ``python -m engine.build_kernel``. It lands in the environment that Python runs in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import jax

from engine import kernel
from engine.errors import EngineError

COMPILERS = ("c++", "g++", "clang++")
_OPTIONS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-w")


class KernelError(EngineError, RuntimeError):
    """The library can't be built here."""


def build() -> Path:
    """Compile the library, unless it is there.

    Raises:
        KernelError: there is no compiler, it fails, or the environment can't be written to; the message says which.
    """
    path = kernel.library()
    if path.exists():
        return path
    compiler = _compiler()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            _compile(compiler, made)
            os.replace(made, path)  # all of it at once: another process may be looking for it
    except OSError as error:
        raise KernelError(f"{path.parent} can't be written to: {error}.") from None
    return path


def _compiler() -> str:
    names = (os.environ.get("CXX", ""), *COMPILERS)
    found = next(filter(None, map(shutil.which, filter(None, names))), None)
    if found is None:
        raise KernelError(f"there is no C++ compiler here (looked for {', '.join(COMPILERS)}).")
    return found


def _compile(compiler: str, made: Path) -> None:
    command = [compiler, *_OPTIONS, "-I", jax.ffi.include_dir(), str(kernel.SOURCE), "-o", str(made)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["it said nothing"]
        raise KernelError(f"{compiler} failed: {lines[0]}.")


def main() -> int:
    """Build it and say so; a machine where that can't be done works all the same."""
    try:
        text = f"Statistics of watched steps are made in one pass: {build()}"
    except KernelError as error:
        text = f"Statistics of watched steps are left to XLA, which is slower: {error}"
    print(text)  # noqa: T201
    return 0


if __name__ == "__main__":
    main()
