"""The playhead by its keys: the whole pass, both ways, and nothing said to the server."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.reading import inspector, playhead, rows, said, without_repeats

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Moment = tuple[str, list[list[str]]]
LAYERS = ["mlp/layer", "mlp/layer_1", "mlp/dense", "cross_entropy"]


def walk(page: Page, key: str) -> list[Moment]:
    """What playhead and table say before the first press of a key and after each."""
    steps = int(playhead(page).get_attribute("aria-valuemax") or 0)
    moments = [(said(page), rows(page))]
    for _ in range(steps):
        page.keyboard.press(key)
        moments.append((said(page), rows(page)))
    return moments


def test_the_right_key_walks_forward_loss_backward_update(digits: Page) -> None:
    phases = [text.partition(" · ")[0] for text, _ in walk(digits, "ArrowRight")]
    assert without_repeats(phases) == ["Start", "Forward", "Loss", "Backward", "Update"]


def test_the_right_key_visits_each_layer_in_order(digits: Page) -> None:
    visited = [text for text, _ in walk(digits, "ArrowRight")]
    way = [f"Forward · {name}" for name in LAYERS[:-1]] + ["Loss · cross_entropy"]
    back = [f"Backward · {name}" for name in reversed(LAYERS)]
    assert visited == ["Start · the inputs", *way, *back, *[f"Update · {name}" for name in LAYERS[:-1]]]


def test_each_row_goes_from_not_reached_to_value_to_gradient(digits: Page) -> None:
    tables = [table for _, table in walk(digits, "ArrowRight")]
    states = {row[0]: without_repeats([table[i][-1] for table in tables]) for i, row in enumerate(tables[0])}
    reached = {name: ["not reached", "value", "gradient"] for name in LAYERS}
    assert states == {"x": ["value"], "y": ["value"], **reached}


def test_the_way_back_shows_the_same_at_every_place(digits: Page) -> None:
    there = walk(digits, "ArrowRight")
    assert walk(digits, "ArrowLeft") == there[::-1]


def test_a_number_is_shown_only_once_it_is_reached(digits: Page) -> None:
    for _, table in walk(digits, "ArrowRight"):
        for *_, value, gradient, state in table:
            assert (value == "–", gradient == "–") == (state == "not reached", state != "gradient")


def test_a_step_sends_nothing_to_the_server(digits: Page) -> None:
    page, sent = digits, list[object]()
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.reload()
    expect(page.get_by_role("button", name="Train one step")).to_be_enabled()
    before = -1
    while before != len(sent):
        before = len(sent)
        page.wait_for_timeout(1000)
    walk(page, "ArrowRight")
    walk(page, "ArrowLeft")
    page.wait_for_timeout(500)
    assert before > 0
    assert len(sent) == before


@pytest.mark.parametrize(
    ("key", "stop"),
    [
        ("f", "Forward · mlp/layer"),
        ("l", "Loss · cross_entropy"),
        ("b", "Backward · cross_entropy"),
        ("u", "Update · mlp/layer"),
        ("End", "Update · mlp/dense"),
    ],
)
def test_a_key_jumps_to_its_phase(digits: Page, key: str, stop: str) -> None:
    digits.keyboard.press(key)
    assert said(digits) == stop


def test_home_goes_to_the_start(digits: Page) -> None:
    digits.keyboard.press("End")
    digits.keyboard.press("Home")
    assert said(digits) == "Start · the inputs"


def test_space_plays_to_the_end(digits: Page) -> None:
    digits.get_by_role("combobox", name="Speed").select_option("8")
    digits.keyboard.press("Escape")
    digits.keyboard.press(" ")
    expect(digits.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    expect(playhead(digits)).to_have_attribute("aria-valuetext", "Update · mlp/dense")
    expect(digits.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_space_pauses(digits: Page) -> None:
    digits.get_by_role("combobox", name="Speed").select_option("0.5")
    digits.keyboard.press("Escape")
    digits.keyboard.press(" ")
    digits.keyboard.press(" ")
    expect(digits.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_finish_phase_goes_to_the_last_step_of_each_phase(digits: Page) -> None:
    phases = []
    for _ in range(4):
        digits.get_by_role("button", name="Finish phase").click()
        phases.append(said(digits))
    assert phases == ["Forward · mlp/dense", "Loss · cross_entropy", "Backward · mlp/layer", "Update · mlp/dense"]


def test_the_help_opens_with_its_key_and_closes_with_escape(digits: Page) -> None:
    digits.keyboard.press("?")
    dialog = digits.get_by_role("dialog", name="Help")
    expect(dialog).to_be_visible()
    digits.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_the_sentence_of_a_fold_speaks_of_the_fold(digits: Page) -> None:
    digits.keyboard.press("b")
    digits.keyboard.press("ArrowRight")
    expect(inspector(digits).locator(".card.backward h3")).to_contain_text("∂L/∂dense")
    expect(inspector(digits).locator(".sentence .left")).to_have_text(re.compile(r"^∂L/∂dense\["))


def test_the_inspector_shows_the_node_at_the_playhead(digits: Page) -> None:
    digits.keyboard.press("b")
    expect(inspector(digits).get_by_role("heading", level=2)).to_contain_text("cross_entropy")
