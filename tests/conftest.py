"""What holds for every test: JAX on four devices of the CPU, nothing kept between runs, the same random programs.

``TESTS_PLATFORM=cuda`` has them run on a GPU instead. What only four devices show is skipped there, and what holds of
a CPU alone.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Before JAX is imported, and for the processes that tests start as well.
os.environ["JAX_PLATFORMS"] = os.environ.get("TESTS_PLATFORM", "cpu")
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count=4 {os.environ.get('TESTS_XLA_FLAGS', '')}"

# A program is compiled once in a run, whichever process needs it: of a page, of a command, of another worker.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _folder = os.environ.get("TESTS_CACHE", "")
    if not _folder:
        _folder = tempfile.mkdtemp(prefix="backprop-explorer-tests-")
        atexit.register(shutil.rmtree, _folder, ignore_errors=True)
    os.environ["XDG_CACHE_HOME"] = os.environ["XDG_DATA_HOME"] = _folder
    os.environ["JAX_COMPILATION_CACHE_DIR"] = os.path.join(_folder, "jax")
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "true"
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"

import pytest
from hypothesis import settings

from engine import build_kernel, compat, kernel

settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.load_profile("ci")


@pytest.fixture(scope="module")
def library():
    """The one-pass library, built here if it isn't there."""
    try:
        build_kernel.build(compat.platform())
    except build_kernel.KernelError as error:
        pytest.skip(str(error))
    kernel.loaded.cache_clear()
    assert kernel.loaded()


def pytest_collection_modifyitems(items):
    """Elsewhere than on the CPU what holds of it alone is skipped."""
    if not os.environ["JAX_PLATFORMS"].startswith("cpu"):
        for item in filter(lambda item: item.get_closest_marker("cpu"), items):
            item.add_marker(pytest.mark.skip("holds of the CPU alone, or of its four devices"))
