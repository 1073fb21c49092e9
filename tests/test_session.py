"""Every button of a page, by its method: what it changes, what it leaves, and that its numbers are JAX's."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from engine.errors import EngineError
from engine.tasks import TASKS, Settings, SettingsError, usual
from explorer.dot_process import engine
from explorer.errors import ExplorerError
from explorer.form import fields
from explorer.session import Session
from explorer.target import Target
from tests.sheets import box_named
from tests.test_figures import data

pytestmark = pytest.mark.once

PRODUCT = Settings(task="product", rate=0.05)
SPIRAL = Settings(task="spiral", depth=1, width=2, batch=4)


@pytest.fixture(scope="module")
def running():
    with engine() as found:
        yield found


@pytest.fixture
def product(running):
    return Session(PRODUCT, engine=running)


@pytest.fixture(scope="module")
def compiled(running):
    """The smallest graph after one step, only to be looked at."""
    session = Session(PRODUCT, engine=running)
    session.train()
    return session


@pytest.fixture(scope="module")
def spiral_once(running):
    session = Session(SPIRAL, engine=running)
    session.train()
    return session


@pytest.fixture
def spiral(spiral_once):
    """A session whose step is compiled; put back as it was afterwards."""
    yield spiral_once
    spiral_once.set_granularity("layer")
    spiral_once.show_plumbing(False)
    spiral_once.resize(720, 440)
    spiral_once.reset()
    spiral_once.train()


def of(fun, *args, running, settings=None) -> Session:
    return Session(settings or Settings(rate=0.5), Target(fun.__name__, fun, args), running)


# ---- what is trained -----------------------------------------------------------------------------------------------


def test_it_opens_on_the_digits(running):
    session = Session(engine=running)
    assert (session.settings.task, session.problem.title) == ("digits", "Handwritten digits")
    assert session.problem.image == (8, 8)


def test_a_setting_is_chosen_by_what_is_typed(product):
    product.choose_text("rate", "0.25")
    assert (product.settings.rate, product.room.run.controls.rate) == (0.25, 0.25)


def test_another_task_brings_its_defaults(product):
    product.choose_text("task", "spiral")
    assert product.settings == Settings(task="spiral", depth=2, width=8, rate=0.3, batch=32)
    assert product.graph.name == "loss"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("rate", "fast", "rate must be a number, and is 'fast'."),
        ("rate", "nan", "rate is nan, and can be from 0.0 to 1000000.0."),
        ("depth", "-1", "depth is -1, and can be from 0 to 64."),
        ("depth", "2.5", "depth must be a number, and is '2.5'."),
        ("batch", "513", "batch is 513, and can be from 1 to 512."),
        ("norm", "group", "norm 'group' isn't one of none, layer, batch, rms."),
        ("residual", "maybe", "residual must be on or off, and is 'maybe'."),
        ("task", "csv", "The task 'csv' needs a file: set csv to its path."),
        ("colour", "red", "There is no setting 'colour'."),
        ("widht", "3", "There is no setting 'widht'. Did you mean 'width'?"),
    ],
)
def test_a_setting_that_cannot_be_changes_nothing(name, value, sentence, compiled):
    settings, step, scene = compiled.settings, compiled.step, compiled.scene
    with pytest.raises(SettingsError) as told:
        compiled.choose_text(name, value)
    assert str(told.value) == sentence
    assert (compiled.settings, compiled.step, compiled.scene) == (settings, step, scene)


TRAINED = [
    *("model", "depth", "width", "activation", "init", "norm", "residual", "dropout", "remat", "loss"),
    *("optimizer", "rate", "schedule", "clip", "clip_at", "decay", "l1", "l2", "precision", "scaling"),
    *("batch", "seed"),
]


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("product", ["rate"]),
        ("digits", [*TRAINED, "devices"]),
        ("moons", ["noise", *TRAINED, "devices"]),
        ("text", ["length", *TRAINED, "devices"]),
    ],
)
def test_a_form_has_the_fields_that_matter(task, names):
    found = fields(usual(task))
    assert [field["name"] for field in found["fields"]] == ["task", "csv", *names, "run"]
    assert [value for value, _ in found["fields"][0]["options"]] == [name for name in TASKS if name != "csv"]


def test_a_form_offers_what_fits_the_task():
    found = {field["name"]: field for field in fields(usual("adding"))["fields"]}
    assert [value for value, _ in found["model"]["options"]] == ["gru", "lstm", "rnn", "transformer"]
    assert [value for value, _ in found["loss"]["options"]] == ["mse", "mae", "huber"]
    assert (found["residual"]["value"], found["residual"]["options"]) == ("off", [("off", "off"), ("on", "on")])


def test_a_switch_is_turned_on(product):
    product.choose_text("residual", "on")
    assert product.settings.residual is True


def test_a_file_brings_its_task(product, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b,label\n" + "0,1,yes\n2,1,no\n" * 5)
    product.choose_text("csv", str(path))
    assert (product.settings.task, product.problem.classes) == ("csv", ("no", "yes"))
    assert product.form()["fields"][0]["value"] == "csv"


def test_a_sessions_form_shows_its_settings(product):
    assert {field["name"]: field["value"] for field in product.form()["fields"]} == {
        "task": "product",
        "csv": "",
        "run": "",
        "rate": 0.05,
    }


# ---- training ------------------------------------------------------------------------------------------------------


def test_a_step_of_the_smallest_graph_is_gradient_descent(compiled):
    assert [value.item() for value in compiled.step.grads] == [-4.0, -4.0, 3.0]
    status = compiled.status()
    assert (status["before"], status["after"]) == ("−12", "−14.1")
    assert status["updates"] == {"%0": "−2 → −1.8", "%1": "5 → 5.2", "%2": "−4 → −4.15"}


@pytest.mark.slow
def test_training_is_plain_optax(spiral):
    spiral.reset()
    mine = []
    for _ in range(3):
        spiral.train()
        mine.append((float(spiral.step.loss), float(spiral.step.loss_after)))
    np.testing.assert_allclose(mine, plain_sgd(spiral.problem, 3), rtol=1e-5)
    assert spiral.room.run.history.loss().last.tolist() == [before for before, _ in mine]


def plain_sgd(problem, count: int) -> list[tuple[float, float]]:
    """The loss before and after each step, by jax.value_and_grad and optax alone."""
    optimiser = optax.sgd(problem.rate)
    (params,), state, found = problem.params, optimiser.init(problem.params[0]), []
    loss_and_grad = jax.jit(jax.value_and_grad(problem.fun))
    for step in range(count):
        batch = problem.batch(step)
        before, grads = loss_and_grad(params, *batch)
        updates, state = optimiser.update(grads, state)
        params = optax.apply_updates(params, updates)
        found.append((float(before), float(loss_and_grad(params, *batch)[0])))
    return found


def test_before_training_the_loss_has_not_moved(spiral):
    spiral.reset()
    status = spiral.status()
    assert (status["trained"], status["before"]) == (False, status["after"])


def test_training_shows_the_pass_first_and_then_the_next(spiral):
    spiral.reset()
    first = spiral.step
    spiral.train()
    assert (spiral.step, spiral.trained) == (first, True)
    spiral.train()
    for shown, came in zip(*map(jax.tree.leaves, (spiral.step.before.params, first.after.params)), strict=True):
        np.testing.assert_allclose(shown, came, rtol=1e-6)
    assert spiral.status()["step"] == 1


def test_reset_goes_back_to_the_same_numbers(spiral):
    spiral.reset()
    before = spiral.status()
    for _ in range(3):
        spiral.train()
    spiral.reset()
    assert spiral.status() == before


def test_training_changes_the_numbers_and_keeps_the_picture(spiral):
    scene, figures = spiral.scene, spiral.figures
    spiral.train()
    assert spiral.scene is scene
    assert spiral.figures != figures


def test_an_update_is_told_beside_its_size(spiral):
    old, new = (np.asarray(state.params[0]["layers"][0]["w"]) for state in (spiral.step.before, spiral.step.after))
    moved, size = np.linalg.norm(new - old), np.linalg.norm(old)
    name = spiral.graph.node("params.layers.0.w").id
    assert spiral.status()["updates"][name] == f"‖Δw‖ = {moved:.3g}, {100 * moved / size:.3g} % of ‖w‖ = {size:.3g}"


def test_a_loss_that_is_not_finite_is_sent_as_none(running):
    def loss(x):
        return jnp.log(x)

    session = of(loss, np.float32(-1.0), running=running)
    session.train()
    status = session.status()
    assert status["before"] == "NaN"
    json.dumps(status, allow_nan=False)


# ---- the numbers ---------------------------------------------------------------------------------------------------


def test_the_gradients_shown_are_those_of_jax(spiral):
    params, batch = spiral.step.before.params, spiral.problem.batch(spiral.step.before.step)
    exact = jax.tree.leaves(jax.grad(spiral.problem.fun)(*params, *batch))
    spiral.set_granularity("operation")
    for id, expected in zip(spiral.parameters, exact, strict=True):
        np.testing.assert_allclose(data(spiral.figures.boxes[id].grad), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_every_gradient_shown_is_proved(spiral):
    proof = spiral.proof()()
    graded = [id for id, own in spiral.figures.boxes.items() if own.grad is not None and own.missing == ""]
    assert set(proof) >= set(graded) - set(spiral.graph.inputs)
    assert all(badge["ok"] and badge["verdict"] == "" for badge in proof.values())
    assert all(float(badge["exact"].replace("−", "-")) < 1e-5 for badge in proof.values())


def test_while_training_runs_only_the_box_that_is_looked_at_speaks(spiral):
    speaking = lambda: {id for id, own in spiral.figures.boxes.items() if own.sentence}
    every = speaking()
    looked = frozenset(sorted(every)[:1])
    spiral.listen(looked)
    some = speaking()
    spiral.listen(None)
    assert (len(every) > 1, some, speaking()) == (True, looked, every)


def test_one_entry_is_explained(compiled):
    assert compiled.explain("x", ())["text"] == "∂L/∂x = (−4) · 1 = −4"
    assert compiled.explain("%3", ())["text"] == "∂L/∂add = 1 · (−4) = −4"


@pytest.mark.parametrize("index", [(9, 0), (-1, 0), (0,), ()])
def test_an_entry_that_there_is_not_is_refused(index, spiral):
    with pytest.raises(ExplorerError, match=r"^params\.layers\.0\.w has no entry \[.*\]; its shape is \[2, 2\]\.$"):
        spiral.explain("params.layers.0.w", index)


def test_a_node_that_there_is_not_is_refused(compiled):
    for ask in (compiled.reveal, compiled.region, lambda key: compiled.explain(key, ())):
        with pytest.raises(EngineError, match="product has no node 'nonsense'"):
            ask("nonsense")


def test_a_region_is_value_and_gradient(compiled):
    found = compiled.region("z")
    assert (found["value"]["rms"], found["grad"]["rms"]) == ("−4", "3")


def test_a_region_of_keys_has_no_numbers(running):
    def keyed(x, key):
        return x * jax.random.normal(key)

    session = of(keyed, np.float32(1.0), jax.random.key(0), running=running)
    assert session.region("key") == {"value": None, "grad": None}


def test_the_picture_is_of_the_position_asked_for(compiled):
    assert "−12" not in compiled.picture(0)
    assert "−12" in compiled.picture(2, "dark")


# ---- how it is folded ----------------------------------------------------------------------------------------------


def test_layers_and_operations(spiral):
    assert [box.name for box in spiral.scene.boxes if box.opens] == ["mlp/layer", "mlp/dense", "cross_entropy"]
    spiral.set_granularity("operation")
    names = [box.name for box in spiral.scene.boxes]
    assert {"mlp/layer/dot_general", "mlp/layer/tanh", "params.layers.0.w"} <= set(names)


def test_an_unknown_granularity_is_refused(product):
    with pytest.raises(ExplorerError, match=r"^Granularity 'atoms' is neither 'layer' nor 'operation'\.$"):
        product.set_granularity("atoms")


def test_toggling_opens_in_place_and_folds_again(spiral):
    before = spiral.scene
    spiral.toggle("mlp/layer")
    assert "mlp/layer" in [cluster.id for cluster in spiral.scene.clusters]
    assert box_named(spiral.scene, "mlp/layer/tanh").parent == "mlp/layer"
    spiral.toggle("mlp/layer")
    assert spiral.scene == before


def test_a_scope_that_there_is_not_is_refused(spiral):
    before = spiral.opened
    with pytest.raises(EngineError, match="loss has no scope 'mlp/lair'"):
        spiral.toggle("mlp/lair")
    assert spiral.opened == before


def test_folding_leaves_the_step_alone(spiral):
    step, numbers = spiral.step, spiral.numbers
    spiral.toggle("mlp/layer")
    assert (spiral.step, spiral.numbers) == (step, numbers)


def test_a_hidden_node_is_revealed_with_all_that_is_around_it(spiral):
    spiral.reveal("cross_entropy/log_softmax/exp")
    assert "cross_entropy/log_softmax/exp" in [box.name for box in spiral.scene.boxes]


def test_a_parameter_is_revealed_with_the_layer_that_uses_it(spiral):
    spiral.set_granularity("layer")
    spiral.reveal("params.layers.0.w")
    assert spiral.graph.node("params.layers.0.w").id in {box.id for box in spiral.scene.boxes}


@pytest.mark.parametrize("text", ["cross_entropy/log_softmax/exp", "LOG_SOFTMAX/EXP"])
def test_a_node_is_found_by_its_name_or_a_part_of_it(spiral, text):
    assert spiral.graph.node(spiral.find(text)).name == "cross_entropy/log_softmax/exp"
    assert spiral.find("nothing of the sort") == ""


def test_revealing_plumbing_shows_plumbing(spiral):
    spiral.reveal("mlp/layer/broadcast_in_dim")
    assert spiral.plumbing
    assert "mlp/layer/broadcast_in_dim" in [box.name for box in spiral.scene.boxes]


def test_a_tall_view_is_laid_out_downwards(spiral):
    spiral.resize(300, 900)
    assert spiral.scene.direction == "TB"
    spiral.resize(900, 300)
    assert spiral.scene.direction == "LR"


@pytest.mark.parametrize("size", [(0, 100), (100, -1), (720, 440)])
def test_a_view_without_a_size_changes_nothing(size, spiral):
    before = spiral.scene
    spiral.resize(*size)
    assert spiral.scene is before
