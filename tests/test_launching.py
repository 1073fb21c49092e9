"""Processes that are started and watched: whatever becomes of one of them is said in a sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from explorer import launching
from explorer.launching import INTERRUPTED, LOST, MET, REFUSED, End, LaunchError, watched

pytestmark = pytest.mark.once

MEETS = f"print({MET!r}, flush=True)\n"
WAITS = MEETS + "sys.stdin.read()"
DIES = MEETS + "import signal; os.kill(os.getpid(), signal.SIGKILL)"


def followed(status):
    """Ends because another one has; a moment later, as a process does that has to notice it first."""
    return MEETS + f"import time; time.sleep(0.2); sys.exit({status})"


def start(id, code, log):
    with log.open("wb") as out:
        command = [sys.executable, "-S", "-c", f"import os, sys\n{code}"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True)


def end(*codes, first=0):
    return watched([(first + id, code) for id, code in enumerate(codes)], start)


def interrupted(*codes, by):
    """How it ends when these signals come, one after the other, as soon as all processes are there."""
    logs = []

    def noted(id, code, log):
        process = start(id, code, log)
        logs.append(log)
        return process

    def interrupt():
        end = time.monotonic() + 60
        while (len(logs) < len(codes) or any(MET not in log.read_text() for log in logs)) and time.monotonic() < end:
            time.sleep(0.01)
        for number in by:
            os.kill(os.getpid(), number)
            time.sleep(0.5)

    threading.Thread(target=interrupt).start()
    return watched(list(enumerate(codes)), noted)


def test_where_all_end_well_nothing_is_said():
    assert end(MEETS, MEETS) == End(0)


def test_a_process_that_is_killed_is_named_and_the_others_are_ended():
    found = end(WAITS, DIES)
    assert found.status == 1
    assert found.said.startswith("Process 1 was killed (SIGKILL). The other was ended. The whole log is ")


@pytest.mark.parametrize("status", [LOST, -int(signal.SIGABRT)])
def test_who_only_follows_another_is_not_to_blame(status):
    code = followed(status) if status > 0 else MEETS + "os.abort()"
    assert end(code, "import time; time.sleep(0.1); " + DIES).said.startswith("Process 1 was killed (SIGKILL).")


def test_where_a_process_hangs_the_one_that_notices_it_tells():
    assert end(WAITS, followed(LOST)).said.startswith("Process 0 does not answer any more. The other was ended.")


def test_a_process_whose_fellow_is_elsewhere_has_lost_it():
    assert end(followed(LOST), first=1).said.startswith("Process 1 has lost the others: one of them has died")


def test_an_error_is_the_last_line_of_the_log():
    said = end(MEETS + "raise ValueError('two heads')", WAITS).said
    assert said.startswith("Process 0 failed: ValueError: two heads The other was ended.")


def test_the_log_is_kept_where_something_happened():
    log = Path(end(DIES).said.partition("The whole log is ")[2].rstrip("."))
    assert MET in log.read_text()


def test_who_never_met_the_others_says_so():
    found = end("os.abort()")
    assert found.said.startswith(
        "Process 0 did not meet the others: all are given the number of processes and the address"
    )
    assert not found.trained  # so there is nothing to go on from


def test_what_a_process_has_said_itself_is_not_said_again():
    assert end(MEETS + f"sys.exit({REFUSED})", followed(REFUSED)) == End(REFUSED)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_passed_on_and_waited_for(number):
    hears = "import signal; signal.signal(signal.SIGINT, lambda *_: sys.exit(130))\n" + MEETS + "signal.pause()"
    assert interrupted(hears, hears, by=[number]) == End(INTERRUPTED)


def test_one_that_is_killed_before_it_has_met_the_others_was_killed():
    assert end("import signal; os.kill(os.getpid(), signal.SIGKILL)").said.startswith("Process 0 was killed (SIGKILL).")


def test_who_interrupts_twice_does_not_wait():
    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + WAITS
    assert interrupted(deaf, by=[signal.SIGINT, signal.SIGINT]) == End(INTERRUPTED)


# ---- what is started -----------------------------------------------------------------------------------------------


def test_on_one_machine_all_are_started_and_meet_on_it():
    orders = launching.orders(given("--processes", "2"))
    assert [id for id, _ in orders] == [0, 1]
    (first, second) = (line for _, line in orders)
    assert first[-1:] + second[-1:] == ["0", "1"]
    assert first[:-1] == second[:-1]
    assert first[-4:-2] == ["--coordinator", next(part for part in second if part.startswith("127.0.0.1:"))]


@pytest.mark.parametrize(
    ("written", "id"),
    [
        (["--processes", "4", "--coordinator", "node1:1234", "--process-id", "2"], 2),
        (["--cluster"], -1),
    ],
)
def test_on_several_each_starts_its_own(written, id):
    assert launching.orders(given(*written)) == [(id, ["train", *written])]


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (["--processes", "2", "--process-id", "2"], "--process-id is 2 of --processes 2"),
        (["--processes", "0"], "of --processes 0"),
        (["--processes", "2", "--coordinator", "node1"], "should be HOST:PORT"),
    ],
)
def test_what_cannot_be_is_one_sentence(written, says):
    with pytest.raises(LaunchError, match=says):
        launching.orders(given(*written))


def given(*written):
    from explorer.cli import parser

    arguments = parser("train").parse_args(["train", *written])
    arguments.written = ["train", *written]
    return arguments
