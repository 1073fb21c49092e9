"""The wheel, installed into an empty environment and used from another folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.version import __version__
from explorer import assets
from tests import sources

pytestmark = [pytest.mark.slow, pytest.mark.once]

MODEL = """
def loss(x, y):
    return (x + y) * y

loss_args = (2.0, 3.0)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(sources.ROOT)], check=True)
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are of an environment that has the wheel, and what it depends on from this environment."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    scripts = folder / Path(sysconfig.get_path("scripts")).name
    (python,) = scripts.glob("python.exe") if os.name == "nt" else scripts.glob("python")
    install = ["--python", str(python), "install", "--no-deps", "--no-index", "--quiet", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    # a path in a .pth file brings packages, but no .pth files of its own: an editable install of ours stays out
    (own,) = folder.rglob("site-packages")
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return scripts


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "my_model.py").write_text(MODEL)
    return folder


@pytest.fixture(scope="module")
def address(programs: Path, elsewhere: Path) -> Iterator[str]:
    """Of the page that the installed command serves."""
    command = [programs / "backprop-explorer", "serve", "my_model:loss", "--no-browser", "--port", "5306"]
    with subprocess.Popen(command, cwd=elsewhere, env=_clean(), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = next(line for line in server.stdout if "http://" in line)
        yield next(word for word in said.split() if word.startswith("http://"))
        server.terminate()


def test_it_holds_all_of_the_two_packages(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = (path for package in ("engine", "explorer") for path in (sources.ROOT / package).rglob("*"))
    there = {path.relative_to(sources.ROOT).as_posix() for path in files if path.is_file() and path.suffix != ".pyc"}
    assert {f"explorer/assets/{name}" for name in sources.assets()} < there
    assert names == there


def test_it_brings_its_licence(wheel: Path) -> None:
    (licence,) = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/licenses/LICENSE"))
    assert zipfile.ZipFile(wheel).read(licence) == (sources.ROOT / "LICENSE").read_bytes()


def test_the_packages_come_from_the_environment(programs: Path, elsewhere: Path) -> None:
    code = "import engine, explorer; print(engine.__file__, explorer.__file__)"
    for path in _said(elsewhere, programs / "python", "-c", code).split():
        assert Path(path).is_relative_to(programs.parent)


def test_the_command_tells_its_version(programs: Path, elsewhere: Path) -> None:
    assert _said(elsewhere, programs / "backprop-explorer", "--version") == f"backprop-explorer {__version__}\n"


def test_a_function_of_ones_own_is_traced(programs: Path, elsewhere: Path) -> None:
    graph = json.loads(_said(elsewhere, programs / "backprop-explorer", "trace", "my_model:loss", "--json"))
    assert [node["op"] for node in graph["nodes"]] == ["input", "input", "add", "mul"]


def test_the_page_is_the_wheels(address: str) -> None:
    page = urllib.request.urlopen(address, timeout=60).read().decode()
    assert assets.variables() + assets.text("page.css") in page


@pytest.mark.parametrize("entry", ["graphview/main.js", "graphview/setup.js", "room/main.js"])
def test_the_scripts_are_the_wheels(programs: Path, elsewhere: Path, entry: str) -> None:
    code = f"import sys; from explorer import assets; sys.stdout.buffer.write(assets.module({entry!r}).encode())"
    assert _said(elsewhere, programs / "python", "-c", code) == assets.module(entry)


def _said(folder: Path, *command: str | Path) -> str:
    return subprocess.run(command, cwd=folder, env=_clean(), check=True, capture_output=True, encoding="utf-8").stdout


def _clean() -> dict[str, str]:
    """This environment without what would lead Python to the sources."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
