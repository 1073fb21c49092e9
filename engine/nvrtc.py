"""CUDA's run-time compiler, which comes with JAX's builds for NVIDIA: from source to what a GPU runs."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.errors import EngineError

_SYSTEMS = ("lib64", "targets/*/lib")


class NvrtcError(EngineError, RuntimeError):
    """There is no such compiler, or it fails."""


def compiled(source: Path, architecture: str) -> bytes:
    """Machine code of a file, which may include others beside it.

    Args:
        source: in CUDA's C++.
        architecture: as CUDA calls it, ``sm_90``.

    Raises:
        NvrtcError: there is no compiler, or it fails; the message quotes it.
    """
    library = _opened()
    program = ctypes.c_void_p()
    _check(library.nvrtcCreateProgram(ctypes.byref(program), source.read_bytes(), source.name.encode(), 0, None, None))
    try:
        options = [f"--gpu-architecture={architecture}", f"--include-path={source.parent}", "--std=c++17"]
        given = (ctypes.c_char_p * len(options))(*map(str.encode, options))
        if library.nvrtcCompileProgram(program, len(options), given):
            log = _fetched(library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog, program)
            lines = log.rstrip(b"\0").decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise NvrtcError(f"CUDA's compiler failed: {lines[0]}.")
        return _fetched(library.nvrtcGetCUBINSize, library.nvrtcGetCUBIN, program)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _opened() -> Any:
    """The compiler: that of JAX's own packages first."""
    for compiler, *parts in _places():
        try:
            for part in parts:  # it looks for this one by name only
                ctypes.CDLL(str(part), mode=ctypes.RTLD_GLOBAL)
            return ctypes.CDLL(str(compiler))
        except OSError:
            continue
    raise NvrtcError("CUDA's compiler isn't here: pip install 'backprop-explorer[cuda]' brings it.")


def _places() -> Iterable[Sequence[Path]]:
    """For each compiler that there is it and what it needs; the newest of JAX's packages first, then the system's."""
    spec = importlib.util.find_spec("nvidia")
    shipped = list((spec and spec.submodule_search_locations) or ())
    system = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))
    for places in ([Path(folder).glob("*/lib") for folder in shipped], [system.glob(pattern) for pattern in _SYSTEMS]):
        found = [compiler for folders in places for lib in folders for compiler in lib.glob("libnvrtc.so.*")]
        for compiler in sorted(found, key=_version, reverse=True):
            yield [compiler, *sorted(compiler.parent.glob("libnvrtc-builtins.so.*"))]


def _version(library: Path) -> list[int]:
    return [int(part) for part in library.name.partition(".so.")[2].split(".") if part.isdecimal()]


def _fetched(size: Any, fetch: Any, program: ctypes.c_void_p) -> bytes:
    count = ctypes.c_size_t()
    _check(size(program, ctypes.byref(count)))
    found = ctypes.create_string_buffer(count.value)
    _check(fetch(program, found))
    return found.raw


def _check(failed: int) -> None:
    if failed:
        raise NvrtcError(f"CUDA's compiler failed: error {failed}.")
