"""A run saved and opened goes on as if it had never stopped."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine import store
from engine.optimisers import Controls
from engine.runs import Run
from engine.saving import Saver, open_run, save
from engine.store import StoreError
from engine.tasks import Settings, problem
from engine.tasks.catalogue import Problem
from engine.track import FIELDS

pytestmark = [
    pytest.mark.once,
    # At the first array that can't be read, Orbax closes the loop in which others still arrive.
    pytest.mark.filterwarnings("ignore:Exception ignored in. None:pytest.PytestUnraisableExceptionWarning"),
]

ROOT = Path(__file__).parents[1]
SETTINGS = Settings(task="spiral", depth=1, width=4, batch=10, rate=0.3)
ADAM = Controls(optimizer="adam", rate=0.01)

TRAINING = """
import sys
import threading
from engine.optimisers import Controls
from engine.runs import Run
from engine.saving import save
from engine.tasks import Settings, problem

settings = Settings(task="spiral", depth=1, width=4, batch=10, rate=0.3)
run = Run(problem(settings), Controls(optimizer="adam", rate=0.01))
while True:
    run.advance(37)
    save(run, sys.argv[1], settings)
    print(run.state.step, flush=True)
"""


def same(found, wanted) -> None:
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert mine.dtype == theirs.dtype
        assert np.asarray(mine).tobytes() == np.asarray(theirs).tobytes()


def same_run(found: Run, wanted: Run) -> None:
    assert (found.state.step, found.events) == (wanted.state.step, wanted.events)
    same((found.state.params, found.state.optimiser), (wanted.state.params, wanted.state.optimiser))
    for mine, theirs in zip(found.history.tracks.values(), wanted.history.tracks.values(), strict=True):
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(mine.columns, name), getattr(theirs.columns, name))


def halves(w, x):
    return jnp.sum((w.astype(jnp.float32) * x) ** 2)


def own(size=3, by=1.0, fun=halves):
    return Problem("own", fun, (jnp.ones(size, jnp.bfloat16),), (np.full(size, by, np.float32),), lambda step: None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of 330 steps with changes, the folder it was saved in at step 260, and the run in full."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    run = Run(problem(SETTINGS), ADAM, nodes=("params.layers.0.w",), every=7)
    run.advance(150)
    run.change(rate=0.02)
    run.advance(50)
    run.change(optimizer="momentum", clip="norm", frozen=("params.layers.1",))
    run.advance(60)
    save(run, folder, SETTINGS)
    run.advance(70)
    return run, folder


def test_an_opened_run_goes_on_bit_for_bit_and_so_does_its_history(trained):
    whole, folder = trained
    opened = open_run(folder)
    assert (opened.run.state.step, opened.notes) == (260, ())
    assert Settings(**opened.settings) == SETTINGS
    opened.run.advance(70)
    same_run(opened.run, whole)


@pytest.mark.slow
def test_an_opened_run_can_be_rewound(trained):
    whole, folder = trained
    opened = open_run(folder).run
    for step in (0, 77, 150, 200, 230):
        found, wanted = opened.at(step), whole.at(step)
        same((found.params, found.optimiser), (wanted.params, wanted.optimiser))


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("seed", range(2))
def test_killed_while_saving_a_run_opens_at_its_last_complete_step(tmp_path, seed):
    folder = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", TRAINING, str(folder)], stdout=subprocess.PIPE, cwd=ROOT) as child:
        told = int(child.stdout.readline())
        time.sleep(np.random.default_rng(seed).uniform(0, 0.3))
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read().split()
    opened = open_run(folder)
    assert opened.notes == ()
    assert opened.run.state.step >= int(([told, *rest])[-1])
    wanted = Run(problem(SETTINGS), ADAM)
    wanted.advance(opened.run.state.step)
    same_run(opened.run, wanted)


def test_what_numpys_files_dont_know_is_kept_bit_for_bit(tmp_path):
    run = Run(own(), Controls(optimizer="momentum", rate=0.1))
    run.advance(3)
    save(run, tmp_path)
    opened = open_run(tmp_path, own()).run
    assert opened.state.params[0].dtype == jnp.bfloat16
    same_run(opened, run)


def test_numbers_that_arent_finite_are_kept(tmp_path):
    run = Run(own(by=1e20), Controls(rate=1e6))
    run.advance(4)
    save(run, tmp_path)
    opened = open_run(tmp_path, own(by=1e20)).run
    assert np.isnan(opened.history.loss().last[-1])
    same_run(opened, run)


def test_a_run_can_be_saved_over_and_over(tmp_path):
    run = Run(own())
    for _ in range(4):
        run.advance(50)
        save(run, tmp_path)
    assert open_run(tmp_path, own()).run.state.step == 200
    run.rewind(120)
    save(run, tmp_path)
    same_run(open_run(tmp_path, own()).run, run)


def _saved(folder, **changes):
    run = Run(own())
    run.advance(2)
    save(run, folder)
    if changes:
        values, parts, _ = store.read(folder)
        store.write(folder, values | changes, parts)
        (folder / store.PREVIOUS).unlink()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (own(size=4), r"w bfloat16\[3\]; the problem here has w bfloat16\[4\]"),
        (own(by=2.0), "data of own are not those that the run was trained on"),
        (None, "saved without settings: give the problem"),
    ],
)
def test_another_problem_is_refused(tmp_path, given, says):
    _saved(tmp_path)
    with pytest.raises(StoreError, match=says):
        open_run(tmp_path, given)


@pytest.mark.parametrize(
    "changes",
    [
        {"events": []},
        {"events": [{"step": 0}]},
        {"tracks": {}},
        {"snapshots": [5]},
        {"step": "two"},
        {"parameters": None},
        {"nodes": 3},
    ],
)
def test_values_that_make_no_run_are_one_sentence(tmp_path, changes):
    _saved(tmp_path, **changes)
    with pytest.raises(StoreError, match=r"^The run .*\.$"):
        open_run(tmp_path, own())


def test_a_setting_of_another_version_is_named(tmp_path):
    run = Run(own())
    save(run, tmp_path, {"task": "own", "colour": "blue"})
    with pytest.raises(StoreError, match="saved with the setting 'colour', which this version doesn't know"):
        open_run(tmp_path)


def test_a_run_of_other_versions_opens_and_says_so(tmp_path):
    _saved(tmp_path, versions={"jax": "0.0.1"})
    opened = open_run(tmp_path, own())
    assert opened.run.state.step == 2
    assert "trained with jax 0.0.1" in opened.notes[0]


def test_a_damaged_save_opens_the_one_before_and_says_so(tmp_path):
    run = Run(own())
    for _ in range(2):
        run.advance(5)
        save(run, tmp_path)
    entry = json.loads((tmp_path / store.NAME).read_text())["parts"]["state"]
    (tmp_path / store.PARTS / f"{entry['sha256']}.npz").write_bytes(b"")
    opened = open_run(tmp_path, own())
    assert (opened.run.state.step, len(opened.notes)) == (5, 1)
    opened.run.advance(5)
    same_run(opened.run, run)


def test_settings_of_a_record_are_plain_values(tmp_path):
    save(Run(own()), tmp_path, SETTINGS)
    assert store.read(tmp_path)[0]["settings"] == dataclasses.asdict(SETTINGS)


# ---- by several processes: each its part (a real pair of them is in test_worker) ---------------------------------


def together(run, folder, *advances):
    saver = Saver(folder, SETTINGS)
    saver.save(run)
    for steps in advances:
        run.advance(steps)
        saver.save(run)
    saver.wait()


@pytest.fixture(scope="module")
def divided(tmp_path_factory):
    """A run that was saved beside its steps, with its snapshots, and the folder."""
    folder = tmp_path_factory.mktemp("runs") / "divided"
    run = Run(problem(SETTINGS), ADAM, nodes=("params.layers.0.w",), every=7)
    together(run, folder, 70, 70)
    return run, folder


def test_a_run_saved_in_parts_is_the_same_run(divided):
    run, folder = divided
    found = open_run(folder).run
    same_run(found, run)
    for mine, theirs in zip(found.snapshots.states, run.snapshots.states, strict=True):
        assert mine.step == theirs.step
        same((mine.params, mine.optimiser), (theirs.params, theirs.optimiser))


def test_a_state_is_written_once(divided):
    places = store.read(divided[1])[0]["states"]
    assert places == {"snapshot 0": "0/0", "snapshot 70": "1/0", "snapshot 140": "2/0", "state": "2/0"}


def test_a_run_saved_in_parts_goes_on_in_one_process(divided, tmp_path):
    shutil.copytree(divided[1], tmp_path / "run")
    run = open_run(tmp_path / "run").run
    for _ in range(2):  # what only the last save but one named goes with it
        save(run, tmp_path / "run", SETTINGS)
    assert store.states(tmp_path / "run") == []
    same_run(open_run(tmp_path / "run").run, run)


def test_until_all_parts_are_written_the_last_save_is_the_one_before(divided, tmp_path, monkeypatch):
    shutil.copytree(divided[1], tmp_path / "run")
    run = open_run(tmp_path / "run").run
    saver = Saver(tmp_path / "run", SETTINGS)
    written = threading.Event()
    monkeypatch.setattr(saver, "_commit", lambda *found: written.wait() and Saver._commit(saver, *found))
    run.advance(5)
    saver.save(run)
    assert store.read(tmp_path / "run")[0]["step"] == 140
    written.set()
    saver.wait()
    assert store.read(tmp_path / "run")[0]["step"] == 145


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # Orbax gives up in the middle of its own work
def test_a_damaged_part_opens_the_save_before_and_says_so(divided, tmp_path):
    shutil.copytree(divided[1], tmp_path / "run")
    for file in (tmp_path / "run" / store.STATES / "2" / "d").iterdir():
        file.write_bytes(b"")
    opened = open_run(tmp_path / "run")
    assert opened.run.state.step == 70
    assert "is damaged (states/2 can't be read); this is what was saved before it" in opened.notes[0]


def test_a_part_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"^The run could not be saved in .*\. What was saved before is whole\.$"):
        together(Run(problem(SETTINGS), ADAM), tmp_path / "file")


@pytest.mark.slow
def test_a_process_killed_while_it_saves_leaves_the_last_whole_save(tmp_path):
    code = TRAINING.replace("import save", "import Saver").replace(
        "save(run, sys.argv[1], settings)", "saver.save(run)"
    )
    code = code.replace("while True:", "saver = Saver(sys.argv[1], settings)\nwhile True:")
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        while int(process.stdout.readline()) < 37 * 5:
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    opened = open_run(folder)
    assert opened.run.state.step >= 37 * 4
    whole = Run(problem(SETTINGS), ADAM)
    whole.advance(opened.run.state.step)
    same((opened.run.state.params, opened.run.state.optimiser), (whole.state.params, whole.state.optimiser))
