"""Late imports: one at a time, beside whatever else happens."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time

import pytest

from explorer import late


def test_a_module_is_loaded_by_name():
    assert late.load("json") is sys.modules["json"]


def test_a_module_that_there_is_not_is_an_error():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        late.load("no_such_module")


@pytest.fixture
def slow(monkeypatch, tmp_path):
    """Two modules that wait to be let go, and note when they begin and end."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "noted", [], raising=False)
    monkeypatch.setattr(sys, "let_go", threading.Event(), raising=False)
    names = ["late_first", "late_second"]
    for name in names:
        text = f"import sys\nsys.noted.append('{name} begins')\nsys.let_go.wait(60)\nsys.noted.append('{name} ends')\n"
        (tmp_path / f"{name}.py").write_text(text)
    yield names
    for name in names:
        sys.modules.pop(name, None)


def test_two_threads_do_not_import_at_once(slow):
    threads = [late.begin(name) for name in slow]
    time.sleep(0.1)  # long enough for both to begin, if they could
    sys.let_go.set()
    for thread in threads:
        thread.join(60)
    assert [note.split()[1] for note in sys.noted] == ["begins", "ends", "begins", "ends"]


def test_beginning_does_not_wait(slow):
    thread = late.begin(slow[0])
    assert "late_first ends" not in sys.noted
    sys.let_go.set()
    thread.join(60)
    assert sys.noted == ["late_first begins", "late_first ends"]


def test_garbage_waits_while_in_a_hurry():
    late.hurry()
    try:
        assert not gc.isenabled()
    finally:
        late.calm()
    assert gc.isenabled()
    gc.unfreeze()


def imported_by(program: str, *names: str) -> str:
    """Which of these modules a program imports."""
    asked = f"import sys, {program}; print(*sorted({set(names)!r} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()


def test_the_command_line_answers_without_heavy_modules():
    assert imported_by("explorer.cli", "jax", "numpy", "panel", "bokeh", "engine") == ""


def test_the_layout_process_is_started_without_heavy_modules():
    assert imported_by("explorer.dot_process", "jax", "numpy", "panel", "pygraphviz", "engine") == ""


@pytest.mark.slow
def test_the_page_is_served_before_jax_is_imported():
    assert imported_by("explorer.cli, explorer.commands, explorer.server", "jax", "engine", "panel") == "panel"
