"""The training room: on the page as it is, and alone with a run made up for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from explorer.extras import EDGES
from explorer.frames import encoded
from scripts.driving import PHONE, answering
from tests.browser.conftest import PORT, Opener, watch
from tests.browser.room_page import LAYERS, PARAMETERS, STEPS

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.once]


def chart(page: Page, title: str) -> Locator:
    """A chart by what it says of itself, which begins with its title."""
    return page.get_by_role("img", name=re.compile(rf"^{title}(\.|$)"))


def step_slider(page: Page) -> Locator:
    return page.get_by_role("slider", name="Training step")


# ---- on the page as it is -----------------------------------------------------------------------------------------


@pytest.fixture
def training(open_page: Opener, url: str) -> Iterator[Page]:
    page = open_page(url)
    yield page
    page.context.close()


def test_a_step_is_told_in_words_and_in_the_chart(training: Page) -> None:
    expect(chart(training, "Loss")).to_have_accessible_name("Loss. step 0 · loss 2.27")
    for _ in range(2):
        training.get_by_role("button", name="Train one step").click()
    expect(training.locator(".told")).to_have_text(re.compile(r"^loss 2\.\d+ → \d\.\d+$"))
    expect(training.locator(".bar")).to_contain_text("2 updates")
    expect(chart(training, "Loss")).to_have_accessible_name(re.compile(r"^Loss\. step 1 · train \d"))
    expect(step_slider(training)).to_have_attribute("aria-valuemax", "1")


def test_the_loss_of_the_next_pass_is_not_taken_for_the_last_steps(training: Page) -> None:
    expect(training.locator(".told")).to_have_text("loss 2.27")
    training.get_by_role("button", name="Train 10 steps").click()
    expect(training.locator(".told")).to_have_text(re.compile(r"^loss \d\.\d+ in the next pass$"))
    step_slider(training).press("Home")
    step_slider(training).press("Enter")
    expect(training.locator(".told")).to_have_text("loss 2.27")


def test_reset_goes_back_to_the_first_step(training: Page) -> None:
    training.get_by_role("button", name="Train one step").click()
    expect(training.locator(".bar")).to_contain_text("1 update ")
    training.get_by_role("button", name="Reset").click()
    expect(training.locator(".bar")).to_contain_text("0 updates made")
    expect(chart(training, "Loss")).to_have_accessible_name("Loss. step 0 · loss 2.27")


@pytest.mark.parametrize("name", ["Train", "Train one step", "Train 10 steps", "Train 100 steps", "Reset"])
def test_every_button_has_a_name(digits: Page, name: str) -> None:
    expect(digits.get_by_role("button", name=name, exact=True)).to_be_enabled()


# ---- alone, with a run made up for it -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def room_url() -> Iterator[str]:
    with answering("-m", "tests.browser.room_page", str(PORT + 10)) as address:
        yield address


STILL = """(canvas) => new Promise((done) => {
  let [before, frames] = ["", 0];
  const look = () => {
    const now = JSON.stringify(canvas.getBoundingClientRect());
    [before, frames] = [now, now === before ? frames + 1 : 0];
    frames < 5 ? requestAnimationFrame(look) : done();
  };
  look();
})"""
"""Kept when a chart has found its place: what is pointed at before lies elsewhere a moment later."""


@pytest.fixture
def open_room(browser: Any, troubles: list[str], room_url: str) -> Iterator[Any]:
    opened = []

    def open_one(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1060, "height": 1400}, **options})
        watch(context, troubles)
        opened.append(context)
        page = context.new_page()
        page.goto(room_url)
        heat = chart(page, "Profile over the steps")
        expect(heat).to_have_accessible_name(re.compile("step"))
        heat.evaluate(STILL)
        return page

    yield open_one
    for context in opened:
        context.close()


@pytest.fixture
def room(open_room: Any) -> Page:
    return open_room()


def heard(page: Page, count: int) -> list[dict[str, Any]]:
    """What arrived at the server, once there is as much of it."""
    said = page.locator(".calm")
    expect(said).to_have_text(re.compile(r'"type".*' * count))
    return json.loads(said.inner_text())


def at(canvas: Locator, across: float, down: float) -> dict[str, float]:
    box = canvas.bounding_box()
    assert box is not None
    return {"x": across * box["width"], "y": down * box["height"]}


def test_a_cell_of_the_heat_map_says_its_number(room: Page) -> None:
    heat = chart(room, "Profile over the steps")
    heat.hover(position=at(heat, 0.97, 0.4))
    told = f"step {STEPS - 1} · second · gradient before its activation 0.001"
    expect(heat).to_have_accessible_name(f"Profile over the steps. {told}")


def test_what_was_not_recorded_is_no_number(room: Page) -> None:
    heat = chart(room, "Profile over the steps")
    heat.hover(position=at(heat, 0.2, 0.1))
    expect(heat).to_have_accessible_name(re.compile(r"step \d · first · gradient before its activation –$"))


def test_a_hovered_step_is_hovered_in_every_chart(room: Page) -> None:
    heat = chart(room, "Profile over the steps")
    heat.hover(position=at(heat, 0.5, 0.4))
    said = re.search(r"step (\d+)", heat.get_attribute("aria-label") or "")
    assert said is not None
    assert 10 < int(said[1]) < 30
    expect(chart(room, "Loss")).to_have_accessible_name(re.compile(rf"^Loss\. {said[0]} · "))
    expect(step_slider(room)).to_have_attribute("aria-valuenow", said[1])


def test_a_click_chooses_the_row_and_goes_back_to_the_step(room: Page) -> None:
    heat = chart(room, "Profile over the steps")
    heat.click(position=at(heat, 0.5, 0.1))
    row, rewound = heard(room, 2)
    assert row == {"type": "row", "id": "%0"}
    assert rewound["type"] == "rewind"
    assert 10 < rewound["step"] < 30


def test_the_heat_map_is_walked_with_the_keyboard(room: Page) -> None:
    heat = chart(room, "Profile over the steps")
    heat.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft", "Enter"):
        heat.press(key)
    assert heard(room, 2) == [{"type": "row", "id": "%2"}, {"type": "rewind", "step": STEPS - 2}]


def test_shares_have_a_scale_of_their_own(room: Page) -> None:
    room.get_by_role("combobox", name="Quantity").select_option("zeros")
    expect(chart(room, "Profile over the steps")).to_have_accessible_name(re.compile("zero share 25 %"))
    expect(room.locator(".scale")).to_have_text(re.compile("none.*all"))


def test_the_slider_goes_back_when_enter_is_pressed(room: Page) -> None:
    slider = step_slider(room)
    slider.focus()
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(f"^step {STEPS - 3} of 0–{STEPS - 1}, loss 0.5"))
    assert room.locator(".calm").inner_text() == ""
    slider.press("Enter")
    assert heard(room, 1) == [{"type": "rewind", "step": STEPS - 3}]


def test_escape_leaves_the_chosen_step_and_then_the_slider(room: Page) -> None:
    slider = step_slider(room)
    slider.focus()
    slider.press("ArrowLeft")
    slider.press("Escape")
    expect(slider).to_have_attribute("aria-valuenow", str(STEPS - 1))
    expect(slider).to_be_focused()
    slider.press("Escape")
    expect(slider).not_to_be_focused()


def test_a_loss_that_is_not_finite_is_said(room: Page) -> None:
    expect(chart(room, "Loss")).to_have_accessible_name(f"Loss. step {STEPS - 1} · loss NaN")


def test_a_changed_setting_is_told_at_its_step(room: Page) -> None:
    slider = step_slider(room)
    slider.focus()
    slider.press("Home")
    for _ in range(5):
        slider.press("PageUp")
    expect(chart(room, "Loss")).to_have_accessible_name(re.compile("step 20 .* rate 0.5 → 0.1"))


def test_a_finding_says_its_cause_in_factors(room: Page) -> None:
    (item,) = room.get_by_role("list", name="Findings").get_by_role("listitem").all()
    expect(item).to_contain_text("The gradient shrinks on its way back.")
    expect(item).to_contain_text("the first layer hardly moves")
    item.get_by_text("Why: the slope of the sigmoid").click()
    rows = item.get_by_role("table").get_by_role("row")
    expect(rows.nth(0)).to_have_text("LayerActivation slopeWeight gainProductMeasured")
    expect(rows.nth(1)).to_have_text("first×0.2×0.6×0.12×0.125")


def test_what_was_found_is_named_beside_the_buttons_and_leads_there(room: Page) -> None:
    room.set_viewport_size({"width": 1060, "height": 300})
    remedy = room.get_by_role("button", name="Use ReLU")
    expect(remedy).not_to_be_in_viewport()
    room.locator(".bar").get_by_role("button", name="Found: Vanishing gradient").click()
    expect(remedy).to_be_focused()
    expect(remedy).to_be_in_viewport()


def test_a_remedy_is_asked_for_and_drawn_beside_the_run(room: Page) -> None:
    room.get_by_role("button", name="Use ReLU").click()
    assert heard(room, 1) == [{"type": "remedy", "finding": 0, "remedy": 0}]
    comparison = room.get_by_role("group", name="Comparison")
    expect(comparison).to_contain_text("after: ReLU")
    expect(room.locator(".none:visible")).to_have_text("No trouble found.")
    comparison.get_by_role("button", name="Keep the new run").click()
    assert heard(room, 2)[-1] == {"type": "keep", "which": "new"}


def test_rows_of_two_runs_are_compared_by_their_names(room: Page) -> None:
    room.get_by_role("button", name="Use ReLU").click()
    heat = chart(room, "Profile over the steps")
    expect(heat).to_have_accessible_name(re.compile("before .*, after"))
    for across in (0.4, 0.9):  # a cell of either run
        heat.hover(position=at(heat, across, 0.4))
        told = "second · gradient before its activation before 0.001, after 0.001"
        expect(heat).to_have_accessible_name(re.compile(f"{told}$"))


def test_train_becomes_pause(room: Page) -> None:
    room.get_by_role("button", name="Train", exact=True).click()
    room.get_by_role("button", name="Pause", exact=True).click()
    expect(room.get_by_role("button", name="Train", exact=True)).to_be_visible()
    assert [message["type"] for message in heard(room, 2)] == ["play", "pause"]


def test_a_setting_is_changed_while_it_trains(room: Page) -> None:
    field = room.get_by_label("Learning rate")
    field.fill("0.25")
    field.press("Tab")
    assert heard(room, 1) == [{"type": "set", "name": "rate", "value": 0.25}]


def test_a_hidden_unit_is_shown_large(room: Page) -> None:
    units = chart(room, "Hidden units")
    units.focus()
    units.press("ArrowRight")
    units.press("ArrowRight")
    expect(chart(room, "Decision boundary")).to_have_accessible_name("Decision boundary. unit 1 of first: from −1 to 0")


# ---- all parameters -----------------------------------------------------------------------------------------------


def names(page: Page) -> list[str]:
    return page.get_by_role("table", name="Parameters").locator("tbody th").all_inner_texts()


def test_the_parameters_are_in_the_programs_order_at_first(room: Page) -> None:
    assert names(room) == list(PARAMETERS)


def test_a_click_on_a_column_sorts_by_it_and_another_turns_it_round(room: Page) -> None:
    header = room.get_by_role("columnheader", name=re.compile("^Gradient"))
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    order = ["last.b", "second.w", "first.w", "first.b", "second.b", "last.w"]  # NaN is the largest, 0 the smallest
    wanted = [f"params.{name}" for name in order]
    expect(room.locator(".strip tbody th").first).to_have_text(wanted[0])
    assert names(room) == wanted
    header.get_by_role("button").click()
    expect(room.locator(".strip tbody th").first).to_have_text(wanted[-1])
    assert names(room) == wanted[::-1]


def test_what_is_searched_is_left(room: Page) -> None:
    room.get_by_role("searchbox", name="Find a parameter").fill("second")
    expect(room.locator(".strip tbody th")).to_have_text(["params.second.w", "params.second.b"])


def test_a_parameter_is_chosen_and_frozen(room: Page) -> None:
    room.get_by_role("button", name="params.first.b").click()
    room.get_by_role("checkbox", name="Freeze params.first.b").click()
    assert heard(room, 2) == [{"type": "row", "id": "%4"}, {"type": "freeze", "ids": ["%4"], "value": True}]


def test_what_is_frozen_says_so(room: Page) -> None:
    expect(room.get_by_role("checkbox", name="Freeze params.last.w")).to_be_checked()
    expect(room.get_by_role("checkbox", name="Freeze params.last.b")).not_to_be_checked()


def test_a_layer_is_found_and_frozen_as_one(room: Page) -> None:
    room.get_by_role("searchbox", name="Find a parameter").fill("second")
    expect(room.locator(".strip tbody th")).to_have_count(2)
    room.get_by_role("checkbox", name="Freeze all that are shown").click()
    assert heard(room, 1) == [{"type": "freeze", "ids": ["%5", "%6"], "value": True}]


def test_a_phone_has_room_for_all_of_it(open_room: Any) -> None:
    page = open_room(viewport=PHONE, has_touch=True, is_mobile=True)
    assert page.evaluate("() => document.documentElement.scrollWidth") == PHONE["width"]
    for title in ("Loss", "Profile over the steps", "Decision boundary", "Profile at one step"):
        box = chart(page, title).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]


def test_a_spread_is_said_of_the_pass_that_was_looked_at_and_of_no_other(room: Page) -> None:
    counts = np.zeros((len(LAYERS), 2, len(EDGES) - 1))
    counts[:, :, 30] = 5
    parts = dict.fromkeys(("gradient", "value", "weight"), encoded(counts))
    told = {"rows": LAYERS, "edges": encoded(EDGES), "steps": [0, STEPS - 1], **parts}
    own = "(root, histograms) => root.room.set({ extras: { ...root.room.state.extras, histograms } })"
    room.locator(".root").evaluate(own, told)
    spread = chart(room, "How the entries spread")
    expect(spread).to_have_accessible_name(re.compile(rf"step {STEPS - 1} · gradient mostly"))
    spread.hover(position=at(spread, 0.15, 0.5))
    expect(spread).to_have_accessible_name(re.compile(r"step \d+ · not recorded$"))


def test_where_there_are_no_layers_there_is_no_spread(room: Page) -> None:
    none = {"rows": [], "edges": encoded(EDGES), "steps": [0], **dict.fromkeys(("gradient", "value", "weight"), "")}
    own = "(root, histograms) => root.room.set({ extras: { ...root.room.state.extras, histograms } })"
    room.locator(".root").evaluate(own, none)
    expect(chart(room, "How the entries spread")).to_be_hidden()
