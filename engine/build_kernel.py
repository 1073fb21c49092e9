"""Compiles the libraries of :mod:`engine.kernel` where there is a C++ compiler, and says so.

Run: ``python -m engine.build_kernel``. It lands in the environment that Python runs in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax

from engine import compat, kernel, nvrtc
from engine.errors import EngineError

COMPILERS = ("c++", "g++", "clang++")
_OPTIONS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-w")


class KernelError(EngineError, RuntimeError):
    """The library can't be built here."""


def build(platform: str = "cpu") -> Path:
    """Compile the library for a platform, unless it is there; for CUDA also what the GPU that is here runs of it.

    Raises:
        KernelError: there is no compiler, it fails, or the environment can't be written to; the message says which.
    """
    path = kernel.library(platform)
    try:
        if not path.exists():
            compiler = _compiler()
            _place(path, lambda made: _compile(compiler, kernel.sources(platform)[0], made))
        if platform == "cuda":
            _build_image(compat.architecture())
    except OSError as error:
        raise KernelError(f"{path.parent} can't be written to: {error}.") from None
    return path


def _build_image(architecture: str) -> None:
    path, source = kernel.image(architecture), kernel.sources("cuda")[-1]
    if path.exists():
        return
    try:
        code = nvrtc.compiled(source, architecture)
    except nvrtc.NvrtcError as error:
        raise KernelError(str(error)) from None
    _place(path, lambda made: made.write_bytes(code))


def _place(path: Path, make: Callable[[Path], object]) -> None:
    """Make a file, all of it at once: another process may be looking for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        make(made)
        os.replace(made, path)


def _compiler() -> str:
    names = (os.environ.get("CXX", ""), *COMPILERS)
    found = next(filter(None, map(shutil.which, filter(None, names))), None)
    if found is None:
        raise KernelError(f"there is no C++ compiler here (looked for {', '.join(COMPILERS)}).")
    return found


def _compile(compiler: str, source: Path, made: Path) -> None:
    command = [compiler, *_OPTIONS, "-I", jax.ffi.include_dir(), str(source), "-o", str(made)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["it said nothing"]
        raise KernelError(f"{compiler} failed: {lines[0]}.")


def main() -> int:
    """Build them, and say so; a machine where that can't be done works all the same."""
    print(_built("cpu"))  # noqa: T201
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # a training may need the GPU's memory meanwhile
    try:
        platform = compat.platform()
    except (RuntimeError, AssertionError):  # JAX's, of a platform that it is told to use and can't
        asked = os.environ.get("JAX_PLATFORMS", "")
        print(f"Nothing is built for a GPU: JAX can't compute here on what JAX_PLATFORMS asks for, {asked!r}.")  # noqa: T201
        return 0
    if platform != "cpu" and platform in kernel.SOURCES:
        print(_built(platform))  # noqa: T201
    return 0


def _built(platform: str) -> str:
    where = "" if platform == "cpu" else " on the GPU"
    try:
        return f"Statistics of watched steps are made in one pass{where}: {build(platform)}"
    except KernelError as error:
        return f"Statistics of watched steps are left to XLA{where}, which is slower: {error}"


if __name__ == "__main__":
    main()
