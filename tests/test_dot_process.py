"""The door to Graphviz: it answers, it gives up in time, it comes back, and it leaves no process behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from explorer import dot_process
from explorer.dot_process import Bundled, System, engine, open_engine
from explorer.errors import LayoutError, LayoutTimeout

pytestmark = pytest.mark.once

SMALL = "digraph { a -> b }"
HEAVY = "digraph {" + "; ".join(f"n{i} -> n{i * i % 397}; n{i} -> n{i * 7 % 401}" for i in range(1500)) + "}"
"""Takes Graphviz most of a minute."""


@pytest.fixture(scope="module")
def running():
    with engine() as found:
        yield found


@pytest.fixture
def speaking(monkeypatch, tmp_path):
    """An engine whose worker is a program of the test's."""
    opened = []

    def make(program: str) -> Bundled:
        worker = tmp_path / "worker.py"
        worker.write_text(textwrap.dedent(program))
        monkeypatch.setattr(dot_process, "_WORKER", worker)
        opened.append(Bundled())
        return opened[-1]

    yield make
    for found in opened:
        found.close()


def names(answer: str) -> list[str]:
    return [item["name"] for item in json.loads(answer)["objects"]]


def test_one_worker_answers_every_question(running):
    running.lay_out(SMALL)
    first = running._worker.process.pid
    answers = [names(running.lay_out(f"digraph {{ a{i} -> b{i} }}")) for i in range(5)]
    assert answers == [[f"a{i}", f"b{i}"] for i in range(5)]
    assert running._worker.process.pid == first


def test_the_same_text_has_the_same_answer(running):
    assert running.lay_out(SMALL) == running.lay_out(SMALL)


@pytest.mark.parametrize(
    "text", ["", "digraph {", "not DOT at all", "digraph { a -> ] }", "digraph { a [label=<<b>] }"]
)
def test_malformed_dot_is_one_sentence(text, running):
    with pytest.raises(LayoutError, match=r"^Graphviz could not lay the graph out: Invalid Input"):
        running.lay_out(text)


def test_after_malformed_dot_the_worker_goes_on(running):
    running.lay_out(SMALL)
    before = running._worker.process.pid
    with pytest.raises(LayoutError):
        running.lay_out("digraph {")
    assert names(running.lay_out(SMALL)) == ["a", "b"]
    assert running._worker.process.pid == before


def test_a_layout_over_its_limit_is_stopped():
    with engine() as own:
        own.lay_out(SMALL)
        busy, begun = own._worker.process, time.monotonic()
        with pytest.raises(LayoutTimeout, match=r"^The layout took longer than 0\.3 s and was stopped\.$"):
            own.lay_out(HEAVY, limit=0.3)
        assert time.monotonic() - begun < 30
        assert busy.returncode == (-signal.SIGPROF if hasattr(signal, "SIGPROF") else 1)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="signals")
def test_only_what_is_computed_counts_not_how_long_the_machine_is_busy_with_others(running):
    running.lay_out(SMALL)
    running._worker.process.send_signal(signal.SIGSTOP)
    threading.Timer(1.0, running._worker.process.send_signal, [signal.SIGCONT]).start()
    assert names(running.lay_out(SMALL, limit=0.5)) == ["a", "b"]


def test_a_worker_that_neither_computes_nor_answers_is_stopped(speaking, monkeypatch):
    monkeypatch.setattr(dot_process, "PATIENCE", 1)
    own = speaking("import time; time.sleep(60)")
    with pytest.raises(LayoutTimeout):
        own.lay_out(SMALL, limit=0.1)


def test_after_a_layout_over_its_limit_the_next_is_answered():
    with engine() as own:
        with pytest.raises(LayoutTimeout):
            own.lay_out(HEAVY, limit=0.2)
        assert names(own.lay_out(SMALL)) == ["a", "b"]


def test_a_late_answer_is_nobodys(speaking, monkeypatch):
    monkeypatch.setattr(dot_process, "PATIENCE", 1)
    own = speaking(
        """
        import json, sys, time
        for line in sys.stdin:
            time.sleep(0.6 if "slow" in line else 0)
            print(json.dumps({"json": json.loads(line)[0]}), flush=True)
        """
    )
    with pytest.raises(LayoutTimeout):
        own.lay_out("slow", limit=0.3)
    assert own.lay_out("quick") == "quick"


def test_a_worker_that_died_is_started_again(running):
    running.lay_out(SMALL)
    running._worker.process.kill()
    running._worker.process.wait()
    assert names(running.lay_out(SMALL)) == ["a", "b"]


def test_a_worker_that_cannot_start_says_what_to_install(speaking):
    own = speaking("import no_such_module_at_all")
    with pytest.raises(LayoutError, match=r"worker stopped\. Is pygraphviz .* installed\? pip install pygraphviz"):
        own.lay_out(SMALL)


DRAWN = (
    SMALL,
    'digraph { rankdir=LR; node [shape=box, fixedsize=true, label=""]; a [width=2]; a -> b -> c; a -> c; "é" -> c }',
    "digraph { subgraph cluster_0 { a; b } b -> a:p; "
    'a [label=<<TABLE><TR><TD PORT="p" WIDTH="9" HEIGHT="9"></TD></TR></TABLE>>] }',
)


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine where pygraphviz can't be imported, as it lacks a library of the system."""
    (tmp_path / "hiding.py").write_text(
        "import sys, runpy\n"
        "class Lacks:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.startswith('pygraphviz._graphviz'):\n"
        "            raise ImportError('libgobject-2.0.so.0: cannot open shared object file')\n"
        "sys.meta_path.insert(0, Lacks())\n"
        f"runpy.run_path({str(dot_process._WORKER)!r}, run_name='__main__')\n"
    )
    monkeypatch.setattr(dot_process, "_WORKER", tmp_path / "hiding.py")
    with engine() as found:
        yield found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there the wheel leaves libraries to the system")
def test_without_libraries_for_text_and_pictures_it_answers_the_same(running, bare):
    assert [bare.lay_out(text) for text in DRAWN] == [running.lay_out(text) for text in DRAWN]
    with pytest.raises(LayoutError, match=r"Invalid DOT text: .*syntax error"):
        bare.lay_out("digraph { a -> ")
    assert names(bare.lay_out(SMALL)) == ["a", "b"]
    maps = Path(f"/proc/{bare._worker.process.pid}/maps").read_text()
    assert "libgvc" in maps
    assert not any(name in maps for name in ("libgobject", "libglib", "libX11"))


def test_warming_starts_the_worker_and_asks_nothing(speaking):
    own = speaking("input()")
    own.warm()
    assert own._worker.process.poll() is None


def test_closing_stops_the_worker():
    own = Bundled()
    own.lay_out(SMALL)
    process = own._worker.process
    own.close()
    assert process.returncode is not None
    own.close()  # once more does no harm


def test_an_engine_can_be_used_again_after_closing():
    with engine() as own:
        own.close()
        assert names(own.lay_out(SMALL)) == ["a", "b"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_killed_parent_leaves_no_worker():
    program = (
        "from explorer.dot_process import Bundled; own = Bundled(); own.warm(); "
        "print(own._worker.process.pid, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        worker = int(parent.stdout.readline())
        assert alive(worker)
        parent.kill()
    deadline = time.monotonic() + 60
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(worker)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def dot_program(monkeypatch, tmp_path):
    """A ``dot`` on the path that does what the test says."""

    def make(body: str) -> System:
        program = tmp_path / "dot"
        program.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        return System()

    return make


def test_the_systems_dot_is_given_the_text_and_asked_for_json(dot_program):
    own = dot_program("print(sys.argv[1:], sys.stdin.read(), end='')")
    assert own.lay_out('digraph { "∂" }') == "['-Tjson0'] digraph { \"∂\" }"


def test_what_the_systems_dot_says_against_it_is_told(dot_program, tmp_path):
    own = dot_program("sys.stderr.write('syntax error in line 1\\n'); sys.exit(1)")
    with pytest.raises(LayoutError) as told:
        own.lay_out("digraph {")
    assert str(told.value) == f"{tmp_path / 'dot'} could not lay the graph out: syntax error in line 1"


def test_the_systems_dot_is_stopped_in_time(dot_program):
    own = dot_program("time.sleep(30)")
    with pytest.raises(LayoutTimeout, match=r"longer than 0\.3 s"):
        own.lay_out(SMALL, limit=0.3)


def test_a_missing_dot_is_one_sentence_with_a_way_out(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LayoutError) as told:
        open_engine("system")
    assert str(told.value) == (
        "No program 'dot' on this machine. Install Graphviz (apt install graphviz, brew install graphviz) or leave "
        "--graphviz at its default, which needs no system package."
    )


def test_an_unknown_engine_is_refused():
    with pytest.raises(LayoutError, match=r"^Graphviz engine 'neato' is neither 'bundled' nor 'system'\.$"):
        open_engine("neato")
