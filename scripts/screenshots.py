"""The pictures of README, taken of the served page, and of a notebook, as they are.

Run: ``python -m scripts.screenshots [name …]``. They land in ``docs/screenshots/``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from benchmarks.classroom import joined, open_class
from scripts.driving import DESKTOP, PHONE, ROOT, chromium, opened, served
from scripts.lab import jupyterlab, run_all, say, write

FOLDER = ROOT / "docs" / "screenshots"
LARGEST_BYTES = 250_000

TO_GRADIENT = """async (root, name) => {
  const { store } = root.explorer;
  const shown = () => store.state.scene.boxes.find((own) => own.name === name && own.id === store.state.selected);
  while (!shown()) await new Promise((resolve) => setTimeout(resolve, 100));
  const at = store.state.scene.stops.findIndex((stop) => stop.box === shown().id && stop.phase === "Backward");
  store.set({ position: at + 1 });
}"""


NOTEBOOK = ("own.ipynb",)


@dataclasses.dataclass(frozen=True)
class Shot:
    """One picture: of which page, in which window, after doing what."""

    name: str
    does: Callable[[Page], None]
    target: tuple[str, ...] = ()
    window: Any = dataclasses.field(default_factory=lambda: DESKTOP)
    theme: str = "light"
    query: str = ""
    """Of the address: where a link leads."""


def look_for(page: Page, name: str) -> None:
    """Find a node, or a fold, and give the keys back to the graph."""
    find = page.get_by_label("Find a node")
    find.fill(name)
    find.press("Enter")
    find.fill("")
    find.blur()


def backward_at(node: str) -> Callable[[Page], None]:
    """Find a node, which opens what it is folded into, and stop where the backward pass has just reached it."""

    def does(page: Page) -> None:
        look_for(page, node)
        page.locator(".root:has(.explorer)").evaluate(TO_GRADIENT, node)
        page.get_by_role("region", name="Inspector").get_by_text("∂L/∂").first.wait_for()
        page.locator(".badge").first.wait_for(timeout=120_000)

    return does


def trained(page: Page) -> None:
    """Train one step and wait until the loss before and after is said."""
    page.keyboard.press("t")
    page.locator(".message b").wait_for(timeout=120_000)


def choose(page: Page, **choices: str) -> None:
    """Choose settings, and wait until the page has taken each."""
    form = page.get_by_role("form", name="Set-up")
    for name, value in choices.items():
        field = form.locator(f"#{name}")
        if field.evaluate("own => own.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
            field.press("Tab")
        page.wait_for_timeout(2000)


def train_for(page: Page, seconds: float) -> None:
    """Train for a while, and scroll to what is to be seen of it."""
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("button", name="Pause").wait_for(timeout=120_000)
    page.wait_for_timeout(1000 * seconds)
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Train", exact=True).wait_for()
    page.locator(".bar").evaluate("bar => scrollTo(0, bar.getBoundingClientRect().top + scrollY - 12)")


def supposed(page: Page) -> None:
    """A weight of the first layer changed by hand, seen from the layers."""
    backward_at("params.layers.0.w")(page)
    page.locator(".whatif summary").click()
    dial = page.get_by_role("spinbutton", name="as a number")
    dial.fill("3")
    dial.press("Enter")
    page.locator(".banner").wait_for(timeout=120_000)
    page.locator(".message").wait_for(state="hidden")


def learning(page: Page) -> None:
    """A network that learns the spirals."""
    choose(page, task="spiral", width="32", activation="relu", init="he", optimizer="adam", rate="0.01")
    train_for(page, 6)


def vanishing(page: Page) -> None:
    """Twelve sigmoid layers beside what helps them."""
    choose(page, task="spiral", depth="12", activation="sigmoid")
    train_for(page, 4)
    page.get_by_role("list", name="Findings", exact=True).get_by_role("button").first.click()
    page.get_by_role("group", name="Comparison").wait_for(timeout=120_000)
    page.get_by_role("button", name="Train", exact=True).wait_for(timeout=120_000)
    page.locator(".comparing").evaluate("card => scrollTo(0, card.getBoundingClientRect().top + scrollY - 12)")


def taught(page: Page) -> None:
    """A lesson's question, the class that answers it, and one of its students, whose page is a picture of its own."""
    code = open_class(page)
    url = page.url.partition("?")[0]
    answers = ("it should grow", "it should grow", "it should shrink", "it should grow", "it should stay")
    browser = page.context.browser
    for number, answer in enumerate(answers):
        student = joined(browser.new_context(viewport=PHONE, device_scale_factor=2).new_page(), url, code)
        student.get_by_role("button", name=answer).click()
        student.get_by_text("Sent.").wait_for()
        if number == 0:
            student.screenshot(path=FOLDER / "class-phone.png")
    page.get_by_role("button", name="Class").first.click()
    page.get_by_text("5 people follow").wait_for()


CELLS = (
    "import explorer\nfrom my_model import loss, loss_args",
    "view = explorer.show(loss, *loss_args())\nview",
    "",
)


def in_notebook(page: Page) -> None:
    """The gradient of a hidden layer, asked for from Python and from the view."""
    say(page, "view.playhead = 'backward'\nview.selected = 'tanh'\nview.sentence('tanh')")
    page.locator(".root:has(.explorer)").evaluate(TO_GRADIENT, "tanh")
    page.locator(".badge.good").first.wait_for(timeout=120_000)
    page.get_by_title("File Browser").first.click()  # put it away
    page.locator(".jp-Notebook .jp-Cell").last.evaluate("cell => cell.scrollIntoView({ block: 'end' })")


def asking(page: Page) -> None:
    """A lesson's question, and the hint for a wrong answer to it."""
    for _ in range(3):
        page.locator(".lesson-card").get_by_role("button", name="Next").click()
        page.wait_for_timeout(700)
        ask = page.locator(".lesson-card").get_by_role("button", name="Show me")
        if ask.is_visible() and page.locator(".lesson-card .count").inner_text().startswith("4"):
            break
        if ask.is_visible():
            ask.click()
            page.wait_for_timeout(700)
    field = page.get_by_label("Your prediction")
    field.fill("3")
    field.press("Enter")
    page.locator(".lesson-card .hint").wait_for()


def in_a_block(page: Page) -> None:
    """A block of GPT-2, opened, where the gradient has come back to its attention, and what that costs."""
    look_for(page, "GPT2/h_5/Block")
    page.get_by_role("region", name="Inspector").get_by_role("button", name="Open").click()
    page.wait_for_timeout(5000)
    page.locator(".notes", has_text="Compiling").wait_for(state="hidden", timeout=300_000)
    look_for(page, "GPT2/h_5/Block/attn")
    page.locator(".root:has(.explorer)").evaluate(TO_GRADIENT, "GPT2/h_5/Block/attn")
    page.locator(".summary summary").first.click()
    page.locator(".summary").get_by_text("Parameters").first.wait_for(timeout=120_000)
    page.locator(".notes", has_text="compiled").wait_for(state="hidden", timeout=300_000)


SHOTS = (
    Shot("digits", backward_at("mlp/layer_1")),
    Shot("digits-dark", backward_at("mlp/layer_1"), theme="dark"),
    Shot("trained", trained),
    Shot("whatif", supposed),
    Shot("training", learning),
    Shot("vanishing", vanishing),
    Shot("phone", backward_at("mlp/layer_1/add"), window=PHONE),
    Shot("class", taught, query="?lesson=gradient&beat=1"),
    Shot("lesson", asking, target=("--lesson", "fan-out")),
    Shot("own-function", backward_at("tanh"), target=("docs/my_model.py:loss",)),
    Shot("gpt2", in_a_block, target=("docs/large/gpt2.py:loss",), query="?hide=setup"),
    Shot("notebook", in_notebook, target=NOTEBOOK, window={"width": 1280, "height": 900}),
)


@contextlib.contextmanager
def reachable(target: tuple[str, ...]) -> Iterator[str]:
    """The address of the page, or of a notebook about one's own function."""
    if target != NOTEBOOK:
        with served(*target) as url:
            yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "docs" / "my_model.py", folder)
        write(Path(folder, *NOTEBOOK), *CELLS)
        with jupyterlab(Path(folder), 5207) as url:
            yield f"{url}/lab/tree/{NOTEBOOK[0]}?reset"


def take(browser: Any, shot: Shot, url: str) -> int:
    """Take one picture; its size in bytes."""
    page = browser.new_page(viewport=shot.window, color_scheme=shot.theme)
    shot.does(run_all(page, url) if shot.target == NOTEBOOK else opened(page, f"{url}{shot.query}"))
    page.wait_for_timeout(1500)  # until marching edges and the chart have settled
    path = FOLDER / f"{shot.name}.png"
    page.screenshot(path=path)
    page.close()
    return path.stat().st_size


def main() -> int:
    """Take the pictures asked for, or all; status 1 where one is too large to be looked at over a slow line."""
    asked = [shot for shot in SHOTS if not sys.argv[1:] or shot.name in sys.argv[1:]]
    FOLDER.mkdir(parents=True, exist_ok=True)
    large = False
    for target in dict.fromkeys(shot.target for shot in asked):
        with reachable(target) as url, chromium() as browser:
            for shot in (shot for shot in asked if shot.target == target):
                size = take(browser, shot, url)
                print(f"{shot.name}.png  {size / 1000:.0f} kB", flush=True)
                large = large or size > LARGEST_BYTES
    return int(large)


if __name__ == "__main__":
    sys.exit(main())
