"""What a person changes on the page: folds, granularity, the task, a setting; and what they take away."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener
from tests.browser.reading import (
    expect_row,
    expect_rows,
    granularity,
    inspector,
    names,
    place_of,
    rows,
    said,
    setup,
    table,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.once]

LAYERS = ["x", "y", "mlp/layer", "mlp/layer_1", "mlp/dense", "cross_entropy"]


@pytest.fixture
def folded(digits: Page) -> Page:
    """The first page, folded to layers."""
    if names(digits) != LAYERS:
        granularity(digits, "Layer")
        expect_rows(digits, LAYERS)
        digits.keyboard.press("Escape")
        digits.keyboard.press("Home")
    return digits


def test_enter_opens_the_selected_fold_and_shift_enter_folds_it(folded: Page) -> None:
    folded.keyboard.press("ArrowRight")
    folded.keyboard.press("Enter")
    expect_row(folded, "mlp/layer/tanh")
    assert set(LAYERS) - set(names(folded)) == {"mlp/layer"}
    folded.keyboard.press("Shift+Enter")
    expect_rows(folded, LAYERS)


def test_what_leaves_an_opened_fold_is_selected_in_its_place_and_folded_the_fold(folded: Page) -> None:
    heading = inspector(folded).get_by_role("heading", level=2)
    folded.mouse.click(*place_of(folded, "mlp/layer_1 ·"))
    expect(heading).to_have_attribute("title", "mlp/layer_1")
    folded.keyboard.press("Enter")
    expect(heading).to_have_attribute("title", "mlp/layer_1/tanh")
    folded.keyboard.press("Shift+Enter")
    expect(heading).to_have_attribute("title", "mlp/layer_1")
    expect_rows(folded, LAYERS)


def test_a_search_opens_the_fold_whose_result_is_named(folded: Page) -> None:
    folded.get_by_label("Find a node").fill("mlp/layer/tanh")
    folded.get_by_label("Find a node").press("Enter")
    expect_row(folded, "mlp/layer/tanh")
    expect(inspector(folded).get_by_role("heading", level=2)).to_have_text("tanh")


def test_a_double_click_opens_a_fold(folded: Page) -> None:
    folded.mouse.dblclick(*place_of(folded, "mlp/dense ·"))
    expect_row(folded, "mlp/dense/dot_general")


def test_a_click_on_the_sign_of_a_fold_opens_it(folded: Page) -> None:
    folded.mouse.click(*place_of(folded, "Open"))
    expect(table(folded).locator("tbody th").nth(len(LAYERS))).to_be_attached()
    assert len(set(LAYERS) - set(names(folded))) == 1


def test_a_click_on_the_sign_of_an_open_scope_folds_it(folded: Page) -> None:
    folded.mouse.click(*place_of(folded, "Fold"))
    expect_rows(folded, ["x", "y", "mlp", "cross_entropy"])


def test_a_click_selects_a_node(folded: Page) -> None:
    folded.mouse.click(*place_of(folded, "mlp/layer_1 ·"))
    expect(inspector(folded).get_by_role("heading", level=2)).to_have_attribute("title", "mlp/layer_1")


def test_the_granularity_unfolds_to_operations(folded: Page) -> None:
    granularity(folded, "Operation")
    expect_row(folded, "mlp/layer/tanh")
    operations = names(folded)
    assert {"params.layers.0.w", "mlp/layer_1/tanh", "mlp/dense/dot_general"} <= set(operations)
    assert not {"mlp/layer", "mlp/layer_1", "mlp/dense"} & set(operations)


def test_the_export_is_a_drawing_of_the_whole_graph(folded: Page) -> None:
    folded.get_by_role("button", name="Export").click()
    with folded.expect_download() as download:
        folded.get_by_role("button", name="A picture: SVG").click()
    assert download.value.suggested_filename == "loss.svg"
    drawing = ElementTree.fromstring(Path(download.value.path()).read_text(encoding="utf-8"))
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    written = " ".join(drawing.itertext())
    assert [name for name in ("layer", "layer_1", "dense", "cross_entropy") if name not in written] == []


@pytest.mark.parametrize(
    ("label", "typed", "told"),
    [
        ("Units in each", "5000", "width is 5000, and can be from 1 to 512."),
        ("Learning rate", "", "rate must be a number, and is ''."),
    ],
)
def test_a_bad_setting_is_one_sentence_and_loses_nothing(folded: Page, label: str, typed: str, told: str) -> None:
    folded.keyboard.press("b")
    before = said(folded), rows(folded)
    field = setup(folded).get_by_label(label)
    good = field.input_value()
    field.fill(typed)
    field.press("Tab")
    expect(setup(folded).locator(".row").filter(has_text=label).get_by_role("alert")).to_have_text(told)
    expect(field).to_have_value(good)
    assert (said(folded), rows(folded)) == before


def test_a_file_that_cannot_be_opened_stays_as_it_was_typed(folded: Page, tmp_path: Path) -> None:
    table = tmp_path / "wrong.csv"
    table.write_text("a,b,label\n1,2,x\n3,four,y\n" + "5,6,x\n7,8,y\n" * 20)
    field = setup(folded).get_by_label("a CSV file")
    field.fill(str(table))
    field.press("Tab")
    expect(setup(folded).get_by_role("alert")).to_contain_text("has the text 'four' in column 'b'")
    expect(field).to_have_value(str(table))
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(setup(folded).get_by_label("Task")).to_have_value("digits")


def test_a_table_is_chosen_in_the_browser(open_page: Opener, url: str, tmp_path: Path) -> None:
    page = open_page(url)
    table = tmp_path / "my flowers.csv"
    lines = [f"{i % 7}.{i},{i % 5},{i},{'a' if i % 3 else 'b'}" for i in range(9000)]  # more than one piece
    table.write_text("\n".join(["width,length,height,label", *lines, "1,,2,a"]))
    choosing = page.locator("input[type=file]")
    choosing.set_input_files(table)
    alert = setup(page).locator(".row").filter(has_text="a CSV file").get_by_role("alert")
    expect(alert).to_have_text("Row 9002 has a gap in column 'length'; fill it in, or leave the row out.")
    expect(setup(page).get_by_label("a CSV file")).to_have_value("my flowers.csv")
    table.write_text("\n".join(["width,length,height,label", *lines]))
    choosing.set_input_files(table)
    expect(setup(page).get_by_label("a CSV file")).to_have_value("my flowers.csv")
    expect(setup(page).get_by_label("Task")).to_have_value("csv")
    expect(setup(page).get_by_role("alert")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    assert {name: shape for name, _, shape, *_ in rows(page)}["x"] == "float32 32×3"


def test_the_spirals_can_be_chosen(open_page: Opener, url: str) -> None:
    page = open_page(url)
    setup(page).get_by_label("Task").select_option("spiral")
    expect(setup(page).get_by_label("Units in each")).to_have_value("8")
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    shapes = {name: (shape, state) for name, _, shape, _, _, state in rows(page)}
    assert shapes["x"] == ("float32 32×2", "value")
    assert shapes["mlp/layer"] == ("float32 32×8", "gradient")
