"""A process that answers lines with lines: one at a time, in time, and gone when it is ended."""

from __future__ import annotations

import os
import threading
import time

import pytest

from explorer.answerer import Answerer

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks at processes as Linux tells of them"),
]

ECHO = "for line in __import__('sys').stdin: print(line.strip().upper(), flush=True)"
SLEEPS = "for line in __import__('sys').stdin: __import__('time').sleep(100)"
ENDS = "input()"


@pytest.fixture
def answering():
    made = []

    def make(program, **environment):
        made.append(Answerer("-c", program, **environment))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_one_line_is_answered_with_one(answering):
    echo = answering(ECHO)
    assert [echo.ask(text, 60) for text in ("one", "zwei")] == ["ONE\n", "ZWEI\n"]


def test_it_is_told_of_its_environment(answering):
    says = answering("input(); import os; print(os.environ['WORD'])", WORD="given")
    assert says.ask("", 60) == "given\n"


def test_one_that_ends_has_an_empty_answer_and_the_next_is_asked_anew(answering):
    ends = answering(ENDS)
    assert [ends.ask("", 60), ends.ask("", 60), ends.process] == ["", "", None]


def test_one_that_takes_too_long_has_none_and_is_ended(answering):
    sleeps = answering(SLEEPS)
    sleeps.warm()
    pid = sleeps.process.pid
    assert sleeps.ask("", 0.2) is None
    assert not os.path.exists(f"/proc/{pid}")


def test_an_interrupt_in_the_terminal_is_not_meant_for_it(answering):
    sleeps = answering(SLEEPS)
    sleeps.warm()
    assert os.getpgid(sleeps.process.pid) != os.getpgid(os.getpid())


def test_who_waits_when_it_is_ended_is_let_go_and_nothing_is_started_again(answering):
    sleeps, found = answering(SLEEPS), []
    sleeps.warm()
    waiting = [threading.Thread(target=lambda: found.append(sleeps.ask("", 60))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    time.sleep(0.3)
    sleeps.close()
    for thread in waiting:
        thread.join(30)
    assert (found, sleeps.process) == (["", "", ""], None)
