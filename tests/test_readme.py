"""What README prints is what happens."""

from __future__ import annotations

import contextlib
import doctest
import io
import re

import pytest

from explorer.cli import run
from tests.sources import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
MODEL = ["docs/my_model.py:loss"]


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def _printed(command: str) -> str:
    """What README shows below a command."""
    (block,) = [block for block in _blocks("console") if block.startswith(f"$ .venv/bin/backprop-explorer {command} ")]
    return block.partition("\n")[2].rstrip()


def _output(monkeypatch: pytest.MonkeyPatch, command: str) -> str:
    monkeypatch.chdir(ROOT)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert run([command, *MODEL]) == 0
    return said.getvalue().rstrip()


def test_the_engine_answers_as_shown():
    (block,) = _blocks("pycon")
    example = doctest.DocTestParser().get_doctest(block, {}, "README.md", "README.md", 0)
    assert len(example.examples) > 5
    assert doctest.DocTestRunner().run(example).failed == 0


def test_the_model_shown_is_the_file():
    shown = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("my_model.py", "watching/optax_loop.py")]
    assert _blocks("python")[:2] == shown


def test_trace_prints_what_is_shown(monkeypatch):
    assert _output(monkeypatch, "trace") == _printed("trace")


@pytest.mark.slow
def test_check_prints_what_is_shown_but_for_roundings(monkeypatch):
    rounding = re.compile(r" *\d\.\de[-+]\d\d")
    shown, printed = (rounding.sub(" ~", text) for text in (_printed("check"), _output(monkeypatch, "check")))
    assert printed == shown


@pytest.mark.slow
@pytest.mark.once
def test_train_prints_what_is_shown_but_for_roundings_and_what_is_left_out():
    (command,) = re.findall(r"^\$ \.venv/bin/backprop-explorer (train .*)$", TEXT, re.MULTILINE)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert run(command.split()) == 0
    rounding = re.compile(r" *\d[\d.]*(e−\d+)?( +[█▏▎▍▌▋▊▉]+)?")
    shown, printed = (rounding.sub(" ~", text).splitlines() for text in (_printed("train"), said.getvalue()))
    assert len(shown) > 25
    assert [line for line in shown if line != "  …" and line not in printed] == []


def test_every_link_and_picture_is_there():
    links = re.findall(r'(?:\]\(|src=")([^)"]+)', TEXT)
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_every_picture_is_shown():
    pictures = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "screenshots").iterdir()}
    assert {picture for picture in pictures if picture not in TEXT} == set()
