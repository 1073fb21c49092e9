"""A class: a teacher's page, pages and sockets that follow it, and what comes back from them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from benchmarks.classroom import delays, following, joined, open_class, step
from scripts.driving import PHONE
from tests.browser.conftest import Opener, watch
from tests.browser.reading import playhead, said

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE_MS = 3000
"""What a busy machine may take; how long it takes at rest is measured by ``benchmarks.classroom``."""


@pytest.fixture(scope="module")
def teacher(open_page: Opener, url: str) -> Page:
    return open_page(f"{url}?lesson=gradient&beat=1")


@pytest.fixture(scope="module")
def code(teacher: Page) -> str:
    return open_class(teacher)


@pytest.fixture(scope="module")
def student(browser, url: str, code: str, troubles: list[str]) -> Page:
    context = browser.new_context(viewport=PHONE)
    watch(context, troubles)
    return joined(context.new_page(), url, code)


def test_a_step_of_the_teacher_is_on_every_screen(teacher: Page, student: Page, url: str, code: str) -> None:
    with following(url, code, 6) as sockets:
        moved = step(teacher, 6)
        seen = [[(at, when) for at, when in student.evaluate("window.seen")], *sockets.seen]
    assert len(moved) >= 6
    assert max(delays(moved, seen)) < PATIENCE_MS


def test_a_student_looks_around_and_comes_back(teacher: Page, student: Page) -> None:
    student.keyboard.press("Home")
    expect(student.get_by_text("You look around on your own.")).to_be_visible()
    teacher.keyboard.press("ArrowLeft")
    expect(playhead(student)).to_have_attribute("aria-valuetext", "Start · the inputs")
    student.get_by_role("button", name="Back to the teacher").click()
    expect(playhead(student)).to_have_attribute("aria-valuetext", said(teacher))


def test_a_student_trains_nothing(teacher: Page, student: Page) -> None:
    before = teacher.get_by_text("updates made").inner_text()
    student.keyboard.press("t")
    expect(student.get_by_text("Only the teacher can do that.")).to_be_visible()
    assert teacher.get_by_text("updates made").inner_text() == before


ASKED = """(code) => new Promise((resolve) => {
  const socket = new WebSocket(`ws://${location.host}/join/follow?code=${code}&me=asking`);
  socket.onopen = () => socket.send(JSON.stringify({ type: "explain", box: "here", node: "mul", index: [] }));
  socket.onmessage = ({ data }) => {
    const { reply } = JSON.parse(data);
    if (reply) (socket.close(), resolve(reply));
  };
})"""


def test_a_student_asks_for_a_sentence(student: Page, code: str) -> None:
    reply = student.evaluate(ASKED, code)
    assert (reply["type"], reply["box"], reply["sentence"]["name"]) == ("explained", "here", "mul")


def test_an_answer_is_in_the_teachers_histogram(teacher: Page, student: Page) -> None:
    answers = teacher.get_by_role("region", name="Answers")
    student.get_by_role("button", name="it should grow").click()
    expect(student.get_by_text("Sent. You may change it.")).to_be_visible()
    expect(answers.get_by_role("rowheader")).to_have_text("it should grow")
    teacher.get_by_role("button", name="Show me").click()
    expect(student.get_by_role("button", name="✓ it should grow")).to_be_disabled()
    expect(answers.get_by_role("rowheader")).to_have_text("it should grow")


def test_a_teacher_with_followers_is_asked_before_the_page_goes(teacher: Page, student: Page) -> None:
    with teacher.expect_event("dialog") as asked:
        teacher.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    expect(teacher.get_by_role("button", name="Class · ")).to_be_visible()
    expect(student.get_by_text("The teacher's page is closed")).to_have_count(0)


def test_the_class_ends_with_the_teachers_page(teacher: Page, student: Page) -> None:
    teacher.close()
    expect(student.get_by_text("The teacher's page is closed, and with it the class.")).to_be_visible()
