"""A real pair of processes that train as one: what they compute, and what becomes of it when one is killed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from engine import saving, store
from engine.optimisers import Controls
from engine.runs import Run
from engine.shares import Split
from engine.tasks import problem, usual
from explorer.launching import free_port
from scripts.tabs import Tab

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from explorer.cli import main; main()", "train"]
CHOSEN = ["--task", "spiral", "--depth", "1", "--width", "4", "--batch", "10", "--optimizer", "adam", "--rate", "0.01"]
STEPS = 100


def started(folder):
    """A run of two processes that would go on for long, each with a device of its own."""
    own = ["--steps", "1000000", "--processes", "2", "--save", str(folder), "--save-every", str(STEPS)]
    surroundings = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    return subprocess.Popen(
        [*COMMAND, *CHOSEN, *own], cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


async def heard_at(url, word):
    """The first message with a word in it that a page gets."""
    tab = await Tab().open(url)
    heard = await asyncio.wait_for(tab.hear(word), 120)
    tab.close()
    await tab._reading
    return heard


def saved(folder):
    """The step of the last save."""
    file = folder / store.NAME
    return json.loads(file.read_text())["values"]["step"] if file.exists() else -1


def children(process):
    return [int(text) for text in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a run one of whose processes was killed at some moment, what was said, and how soon."""
    folder = tmp_path_factory.mktemp("runs") / "two"
    process = started(folder)
    until = time.monotonic() + 240
    while saved(folder) < STEPS and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(random.uniform(0, 0.5))
    os.kill(children(process)[1], signal.SIGKILL)
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    return folder, process.returncode, said, time.monotonic() - began


@pytest.fixture(scope="module")
def opened(killed):
    return saving.open_run(killed[0]).run


@pytest.fixture(scope="module")
def alone(opened):
    """The same run in one process, on one device, come as far."""
    chosen = usual("spiral", depth=1, width=4, batch=10, optimizer="adam", rate=0.01)
    run = Run(problem(chosen), Controls(optimizer="adam", rate=0.01), nodes=())
    run.advance(opened.state.step)
    return run


def close(one, other):
    assert one.step == other.step
    pairs = zip(
        jax.tree.leaves((one.params, one.optimiser)), jax.tree.leaves((other.params, other.optimiser)), strict=True
    )
    for mine, theirs in pairs:
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
class TestTwoProcesses:
    @pytest.mark.once
    def test_the_one_that_was_killed_is_named_within_seconds_and_without_a_traceback(self, killed):
        _, status, said, seconds = killed
        assert status == 1
        assert "backprop-explorer: Process 1 was killed (SIGKILL). The other was ended." in said
        assert "Traceback" not in said
        assert seconds < 10

    @pytest.mark.once
    def test_the_page_tells_both_apart(self):
        words = ["--steps", "1000000", "--processes", "2", "--watch", "--no-browser", "--port", str(free_port())]
        given = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([*COMMAND, *CHOSEN, *words], **given) as process:
            try:
                url = process.stderr.readline().split()[-1]
                heard = asyncio.run(heard_at(url, '"examples"'))
            finally:
                process.send_signal(signal.SIGINT)
        found = re.findall(r'\["process",(\d)\],\["host","([^"]+)"\]', heard)
        assert found == [(number, socket.gethostname()) for number in "01"]

    def test_it_says_how_to_go_on_from_the_last_snapshot(self, killed):
        folder, _, said, _ = killed
        step = saved(folder)
        left = f"--open {folder} --save {folder} --steps {1_000_000 - step}"
        assert (
            f"The last snapshot is of step {step:,}. On fewer processes it goes on by: backprop-explorer train" in said
        )
        assert said.rstrip().endswith(left)

    def test_every_step_was_divided_between_both(self, opened):
        assert opened.events[-1].split == Split(devices=2)
        assert opened.state.step % STEPS == 0

    def test_their_parameters_are_those_of_one_process(self, opened, alone):
        close(opened.state, alone.state)

    def test_so_are_the_readings_that_came_to_process_0(self, opened, alone):
        mine, theirs = (run.history.loss() for run in (opened, alone))
        np.testing.assert_array_equal(mine.final, theirs.final)
        np.testing.assert_allclose(mine.last, theirs.last, rtol=1e-4)
        assert np.isfinite(opened.history.measured("grad", "rms").last).all()

    def test_from_the_last_snapshot_one_process_goes_on_as_if_nothing_had_happened(self, killed, alone):
        run, step = saving.open_run(killed[0]).run, alone.state.step
        run.divide(Split(devices=1))
        for each in (run, alone):
            each.advance(STEPS)
        close(run.state, alone.state)
        alone.rewind(step)
