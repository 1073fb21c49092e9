"""A session of one's own function, of any size: what takes too long to lay out is folded, and said."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from engine.tasks import Settings
from explorer.dot_process import engine
from explorer.errors import ExplorerError, LayoutTimeout
from explorer.room import DIALS
from explorer.session import Session
from tests.test_session import PRODUCT, of, plain_sgd

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def running():
    with engine() as found:
        yield found


# ---- layouts that take too long ------------------------------------------------------------------------------------


class Slow:
    """An engine that gives up on levels of many boxes."""

    def __init__(self, engine, most: int):
        self.engine, self.most = engine, most

    def lay_out(self, text, limit):
        if sum(line.startswith("b") and "->" not in line for line in text.splitlines()) > self.most:
            raise LayoutTimeout(limit)
        return self.engine.lay_out(text, limit)

    def close(self): ...


def crowded(x):
    return sum(jnp.sin(x * i) for i in range(1, 9))


def test_a_scope_that_takes_too_long_is_shown_folded_and_says_so(running):
    def loss(x):
        return crowded(x) * 2.0

    session = of(loss, np.float32(1), running=Slow(running, 6))
    session.toggle("crowded")
    assert [box.name for box in session.scene.boxes] == ["x", "crowded", "mul"]
    assert session.scene.notes == ("Laying out crowded took longer than 5 s. It is shown folded.",)


def test_a_graph_that_takes_too_long_is_shown_in_parts_and_says_so(running):
    def loss(x):
        for _ in range(60):
            x = jnp.sin(x)
        return x

    session = of(loss, np.float32(1), running=Slow(running, 30))
    assert [box.label for box in session.scene.boxes] == ["part 1 of 3", "part 2 of 3", "part 3 of 3"]
    assert session.scene.notes == ("Laying out the whole graph took longer than 5 s. It is shown in parts.",)


def test_the_sentence_goes_when_something_else_is_shown(running):
    def loss(x):
        return crowded(x) * 2.0

    session = of(loss, np.float32(1), running=Slow(running, 6))
    session.toggle("crowded")
    assert session.scene.notes
    session.show_plumbing(True)
    assert session.scene.notes == ()


def test_a_graph_that_cannot_be_laid_out_at_all_is_told(running):
    with pytest.raises(ExplorerError, match="took longer than 5 s"):
        _ = Session(PRODUCT, engine=Slow(running, 0)).scene


# ---- one's own function --------------------------------------------------------------------------------------------


def own(params, x):
    return jnp.mean((x @ params["w"] - params["b"]) ** 2)


OWN = {"w": np.ones(3, np.float32), "b": np.float32(0.5)}, np.ones((2, 3), np.float32)


@pytest.fixture
def mine(running):
    return of(own, *OWN, running=running, settings=Settings(rate=0.1))


def test_ones_own_function_is_shown(mine):
    assert (mine.graph.name, mine.problem.note) == ("own", "its example arguments")
    form = mine.form()
    assert form["fields"][0]["value"] == "own"
    assert form["fields"][0]["options"][0] == ("own", "own")
    assert [field["name"] for field in form["fields"]] == ["task", *DIALS, "devices", "run"]


def test_ones_own_function_is_trained_in_its_first_argument(mine):
    mine.train()
    mine.train()
    expected = plain_sgd(mine.problem, 2)
    assert (float(mine.step.loss), float(mine.step.loss_after)) == pytest.approx(expected[1], rel=1e-5)


def test_a_remedy_trains_ones_own_function_anew_with_what_it_changes(running):
    def own(w, x):
        return jnp.mean((x @ w) ** 2)

    session = of(own, np.ones(3, np.float32), np.full((4, 3), 5, np.float32), running=running)
    session.choose(rate=1.0)
    session.advance(60)
    session.catch_up()
    (found,) = session.room.findings(session.step)
    changes = [dict(remedy.change) for remedy in found.remedies]
    assert [set(change) for change in changes] == [{"rate"}, {"clip", "clip_at"}]
    for change in changes:
        session.compare(change, "")
        controls = session.other.run.controls
        assert {name: getattr(controls, name) for name in change} == change
        session.other.advance(60)
    assert session.other.broken is None, "clipped, it steps by 1 at most"
    session.keep(new=True)
    assert (session.graph.name, session.settings.clip) == ("own", "norm")


def test_ones_own_function_stays_when_the_rate_is_changed(mine):
    mine.choose_text("rate", "0.2")
    assert (mine.graph.name, mine.room.run.controls.rate) == ("own", 0.2)


def test_choosing_ones_own_function_again_keeps_it(mine):
    step = mine.step
    mine.choose(task="own")
    assert (mine.graph.name, mine.step) == ("own", step)


def test_choosing_a_task_leaves_ones_own_function(mine):
    mine.choose_text("task", "product")
    assert (mine.target, mine.graph.name) == (None, "product")


def test_a_string_among_the_arguments_stays_what_it_is(running):
    def loss(x, options):
        assert options["activation"] == "tanh"
        return jnp.tanh(x) * options["scale"]

    session = of(loss, np.float32(0.5), {"activation": "tanh", "scale": 2.0}, running=running)
    session.train()
    assert session.scene.boxes[0].name == "x"
    assert all(badge["ok"] for badge in session.proof()().values())
