"""A place and its link: the same place comes back, and whatever is wrong with a link costs nothing but itself."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.tasks.settings import CHOICES, LIMITS, TASKS, Settings, SettingsError, usual
from explorer.place import LONGEST, Place, read, write
from explorer.steps import PHASES

pytestmark = pytest.mark.once

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
WHOLE = st.integers(0, 1_000_000)


def _value(name, usual_one):
    if name in CHOICES:
        return st.sampled_from(CHOICES[name])
    if name in LIMITS:
        low, high = LIMITS[name]
        return st.integers(low, high) if isinstance(low, int) else st.floats(low, high)
    return st.booleans() if isinstance(usual_one, bool) else NAMES


@st.composite
def settings(draw):
    """Any settings that can be."""
    task = draw(st.sampled_from(list(TASKS)))
    models = {"model": draw(st.sampled_from(TASKS[task].models))} if TASKS[task].models else {}
    chosen = usual(task, **models)
    for field in draw(st.lists(st.sampled_from(dataclasses.fields(Settings)), unique=True)):
        if field.name not in ("task", "model"):
            try:
                chosen = dataclasses.replace(chosen, **{field.name: draw(_value(field.name, field.default))}).checked()
            except SettingsError:  # doesn't fit the others
                continue
    return chosen


@st.composite
def places(draw):
    """Any place."""
    step, (phase, box) = draw(WHOLE), draw(st.just(("", "")) | st.tuples(st.sampled_from(PHASES), NAMES))
    function = draw(st.just("") | NAMES)
    several = st.lists(NAMES, max_size=3).map(tuple)
    return Place(
        settings=Settings() if function else draw(settings()),
        function=function,
        step=step,
        of=draw(st.none() | st.integers(min(step + 1, 1_000_000), 1_000_000)) if step < 1_000_000 else None,
        trained=draw(st.booleans()),
        phase=phase,
        box=box,
        node=draw(st.just("") | NAMES),
        entry=draw(st.none() | st.lists(WHOLE, max_size=3).map(tuple)),
        plumbing=draw(st.booleans()),
        granularity=draw(st.sampled_from(["layer", "operation"])),
        open=draw(several),
        fold=draw(several),
        lesson=draw(st.just("") | NAMES),
        beat=draw(WHOLE),
        hide=draw(several),
    )


@given(places())
def test_the_same_place_comes_back(place):
    assert read(write(place)) == place


@given(
    st.text(max_size=200)
    | st.dictionaries(NAMES, NAMES).map(lambda given: "&".join(f"{a}={b}" for a, b in given.items()))
)
def test_any_text_is_a_place_that_can_be_written(text):
    place = dataclasses.replace(read(text), said=())
    assert place.settings.checked()
    assert len(write(place)) < 10 * LONGEST


def test_a_link_is_short_and_reads_well():
    place = Place(usual("spiral", depth=4, seed=3), step=120, phase="Backward", box="mlp/layer_1", open=("mlp/dense",))
    assert write(place) == "task=spiral&depth=4&seed=3&at=backward:mlp/layer_1&step=120&open=mlp/dense"


def test_a_model_is_written_before_what_it_brings():
    assert write(Place(usual("digits", model="transformer"))) == "task=digits&model=transformer"


def test_an_address_without_anything_shows_ones_own_function():
    assert (read("", "loss").function, read("task=xor", "loss").function) == ("loss", "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("depth=many", "depth must be a number"),
        ("depth=9999", "depth is 9999, and can be from 0 to 64."),
        ("task=nothing", "task 'nothing' isn't one of"),
        ("loss=cross_entropy&task=regression", "doesn't fit the task"),
        ("rate=nan", "rate is nan"),
        ("step=-1", "step is '-1', and must be a whole number"),
        ("step=9&of=9", "of is 9, and must be more than step"),
        ("at=sideways:x", "at is 'sideways:x', and must be one of forward"),
        ("granularity=atom", "must be layer or operation"),
        ("plumbing=1", "must be on or off"),
        ("entry=1,x", "entry is 'x'"),
        ("stepp=3", "'stepp', which nothing here is called"),
        ("seed=1&seed=2", "'seed' stands in the link more than once"),
        ("lesson=" + LONGEST * "x", "characters, and 8,000 are read at most"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_and_the_rest_holds(text, says):
    place = read(f"{text}&width=5")
    assert [says in sentence for sentence in place.said] == [True]
    assert place.settings.width == (16 if len(text) > LONGEST else 5)


def test_what_only_the_browser_reads_is_no_trouble():
    assert read("?lang=de&present&step=2") == Place(step=2)
