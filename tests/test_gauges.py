"""What a process tells of itself, and the same as Prometheus reads it."""

from __future__ import annotations

import re
import sys

import pytest

from explorer.gauges import BUCKETS, TOLD, Gauges, allocated, as_text, give_back, resident

LINE = re.compile(r'backprop_explorer_\w+\{worker="\d+"(,le="[\d.]+|,le="\+Inf")?"?\} -?[\d.e+-]+')


def test_steps_are_counted():
    gauges = Gauges()
    gauges.stepped(3)
    gauges.stepped(4)
    assert gauges.told()["steps_total"] == 7


def test_an_answer_counts_in_every_bucket_that_it_is_within():
    gauges = Gauges()
    for seconds in (0.01, 0.2, 100.0):
        gauges.answered(seconds)
    told = gauges.told()
    counts = [told[f'answer_seconds_bucket{{le="{edge}"}}'] for edge in (*BUCKETS, "+Inf")]
    assert counts == [1, 1, 2, 2, 2, 3]
    assert told["answer_seconds_sum"] == 100.21


def test_the_text_names_kinds_and_processes():
    text = as_text([("0", Gauges().told() | {"sessions": 2.0, "training": 1.0}), ("1", {})])
    assert 'backprop_explorer_sessions{worker="0"} 2\n' in text
    assert [line.split()[2:] for line in text.splitlines() if line.startswith("# TYPE")] == [
        [f"backprop_explorer_{name}", kind] for name, (kind, _) in TOLD.items()
    ]
    numbers = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in numbers if not LINE.fullmatch(line)] == []


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
def test_what_is_in_use_is_what_was_asked_for_and_not_given_up():
    before = allocated()
    held = bytearray(50_000_000)
    assert allocated() - before > 49_000_000
    del held
    assert abs(allocated() - before) < 1_000_000


def test_memory_is_what_the_system_says():
    before = resident()
    held = bytearray(b"x" * 50_000_000)
    assert resident() - before > 30_000_000
    del held
    give_back()
    assert resident() - before < 30_000_000
