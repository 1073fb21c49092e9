"""The threads of a page: in turn, guarded, and over when the tab is."""

from __future__ import annotations

import threading

import pytest

from explorer.crew import Crew


@pytest.fixture
def failures():
    return []


@pytest.fixture
def crew(failures):
    found = Crew(failures.append)
    yield found
    found.close()


def done(crew):
    """Wait until everything that was asked for before is done."""
    event = threading.Event()
    crew.ask(event.set)
    assert event.wait(60)


def test_jobs_are_done_in_turn(crew):
    seen = []
    for number in range(20):
        crew.ask(lambda number=number: seen.append(number))
    done(crew)
    assert seen == list(range(20))


def test_a_rest_ends_when_something_is_asked_for(crew):
    begun, rested = threading.Event(), threading.Event()
    crew.ask(lambda: (begun.set(), crew.rest(60), rested.set()))
    assert begun.wait(10)
    crew.ask(lambda: None)
    assert rested.wait(10)


def test_it_says_whether_something_waits(crew):
    begun, go = threading.Event(), threading.Event()
    crew.ask(lambda: begun.set() or go.wait(60))
    assert begun.wait(60)
    assert not crew.waiting
    crew.ask(lambda: None)
    assert crew.waiting
    go.set()
    done(crew)
    assert not crew.waiting


def test_a_failure_is_told_and_the_next_job_done(crew, failures):
    seen = []
    crew.ask(lambda: 1 / 0)
    crew.ask(lambda: seen.append("after"))
    done(crew)
    assert seen == ["after"]
    assert [type(error) for error in failures] == [ZeroDivisionError]


def test_a_long_job_holds_up_nothing_and_its_result_comes_in_turn(crew):
    go, come = threading.Event(), threading.Event()
    threads = []

    def long():
        threads.append(threading.current_thread().name)
        return go.wait(60)

    def then(result):
        threads.append(threading.current_thread().name)
        assert result
        come.set()

    crew.beside(long, then)
    done(crew)
    assert not come.is_set()
    go.set()
    assert come.wait(60)
    assert [name.split("_")[0] for name in threads] == ["aside", "page"]


def test_a_failure_aside_is_told(crew, failures):
    crew.beside(lambda: 1 / 0, lambda result: pytest.fail("there is none"))
    event = threading.Event()
    crew.beside(lambda: None, lambda result: event.set())
    assert event.wait(60)
    assert [type(error) for error in failures] == [ZeroDivisionError]


def test_after_a_failure_aside_whoever_waits_is_told_to_go_on(crew, failures):
    event = threading.Event()
    crew.beside(lambda: 1 / 0, lambda result: pytest.fail("there is none"), event.set)
    assert event.wait(60)
    assert [type(error) for error in failures] == [ZeroDivisionError]


def test_what_fails_with_a_result_is_not_done_otherwise(crew, failures):
    crew.beside(lambda: None, lambda result: 1 / 0, lambda: pytest.fail("it has been done"))
    event = threading.Event()
    crew.beside(lambda: None, lambda result: event.set())
    assert event.wait(60)
    assert [type(error) for error in failures] == [ZeroDivisionError]


def test_nothing_is_done_or_told_once_it_is_closed(crew, failures):
    crew.close()
    assert not crew.ask(lambda: 1 / 0)
    crew.beside(lambda: 1 / 0, print)
    assert failures == []
