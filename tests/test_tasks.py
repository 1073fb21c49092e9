"""What can be trained: data, models, losses, settings."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.tasks import TASKS, Settings, problem
from engine.tasks.catalogue import SettingsError
from engine.tasks.data import digits, spiral
from engine.tasks.losses import accuracy, cross_entropy
from engine.tasks.models import ACTIVATIONS, dense, init_mlp, layer, mlp


def test_the_digits_are_real_and_complete():
    data = digits()
    assert (data.x.shape, data.y.shape, data.image) == ((1797, 64), (1797, 10), (8, 8))
    assert (data.x.min(), data.x.max(), data.x.dtype) == (0.0, 1.0, np.float32)
    assert data.y.sum(axis=0).astype(int).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_digits_are_those_of_scikit_learn():
    bunch = pytest.importorskip("sklearn.datasets").load_digits()
    found = {(row.tobytes(), label) for row, label in zip(digits().x, digits().y.argmax(1), strict=True)}
    pixels = (bunch.data / 16).astype(np.float32)
    assert found == {(row.tobytes(), label) for row, label in zip(pixels, bunch.target, strict=True)}


def test_the_spiral_has_two_equal_arms_within_the_plane():
    data = spiral()
    assert (data.x.shape, data.y.sum(axis=0).tolist()) == ((400, 2), [200.0, 200.0])
    assert np.abs(data.x).max() < 1.3
    np.testing.assert_array_equal(spiral(seed=3).x, spiral(seed=3).x)
    assert not np.array_equal(spiral(seed=3).x, spiral(seed=4).x)


def test_the_arms_of_the_spiral_are_opposite_without_noise():
    data = spiral(count=2, noise=0.0)
    angles = [np.arctan2(x, y) - 3.5 * np.pi * np.hypot(x, y) for x, y in data.x]
    assert np.cos(angles[0] - angles[1]) == pytest.approx(-1, abs=1e-5)


def test_cross_entropy_by_hand():
    scores = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], np.float32))
    labels = np.eye(3, dtype=np.float32)[[0, 1]]
    assert float(cross_entropy(scores, labels)) == pytest.approx(-(np.log(0.5) + np.log(0.2)) / 2, rel=1e-6)
    assert float(accuracy(scores, labels)) == 0.5


def test_even_scores_surprise_by_the_logarithm_of_the_classes():
    assert float(cross_entropy(np.zeros((4, 10), np.float32), np.eye(10, dtype=np.float32)[:4])) == pytest.approx(
        np.log(10), rel=1e-6
    )


def test_weights_have_variance_one_over_inputs_and_biases_are_zero():
    params = init_mlp((400, 300, 2), seed=0)
    w, b = params["layers"][0]["w"], params["layers"][0]["b"]
    assert (w.shape, w.dtype, b.shape) == ((400, 300), np.float32, (300,))
    assert w.std() == pytest.approx(0.05, rel=0.01)
    assert not b.any()


def test_a_layer_is_an_activation_of_a_dense_one():
    params = {"w": np.eye(2, dtype=np.float32), "b": np.array([1.0, -1.0], np.float32)}
    x = np.array([[0.5, 0.5]], np.float32)
    np.testing.assert_allclose(dense(params, x), [[1.5, -0.5]])
    np.testing.assert_allclose(layer(params, x, jax.nn.relu), [[1.5, 0.0]])


def test_the_last_layer_has_no_activation():
    params = {"layers": [{"w": np.eye(2, dtype=np.float32), "b": np.zeros(2, np.float32)}]}
    x = np.array([[-3.0, 5.0]], np.float32)
    np.testing.assert_array_equal(mlp(params, x, jnp.tanh), x)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_makes_a_loss(activation):
    made = problem(Settings(task="spiral", activation=activation, depth=1, width=3, batch=4))
    graph = engine.trace(made.fun, *made.params, *made.batch(0))
    assert graph.node(graph.outputs[0]).shape == ()


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_loss_with_a_batch_at_every_step(task):
    made = problem(Settings(task=task))
    for step in (0, 1, 1000):
        loss = made.fun(*made.params, *made.batch(step))
        assert (jnp.shape(loss), bool(jnp.isfinite(loss))) == ((), True)


def test_the_smallest_task_is_the_product():
    made = problem(Settings(task="product"))
    assert (made.title, made.note) == ("f = (x + y) · z", "x = −2, y = 5, z = −4 at the start")
    assert float(made.fun(*made.params)) == -12.0


def test_batches_follow_from_the_seed_and_go_through_all_examples():
    made = problem(Settings(task="spiral", batch=100, seed=5))
    again = problem(Settings(task="spiral", batch=100, seed=5))
    np.testing.assert_array_equal(made.batch(7)[0], again.batch(7)[0])
    epoch = np.concatenate([made.batch(step)[0] for step in range(4)])
    assert len({row.tobytes() for row in epoch}) == 400


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"task": "cats"}, "task 'cats' isn't one of digits, spiral, product."),
        ({"activation": "step"}, "activation 'step' isn't one of tanh, relu, sigmoid, gelu, linear."),
        ({"depth": 33}, "depth is 33, and can be from 0 to 32."),
        ({"width": 0}, "width is 0, and can be from 1 to 256."),
        ({"batch": 513}, "batch is 513, and can be from 1 to 512."),
        ({"rate": -1.0}, "rate is -1.0, and can be from 0.0 to 1000000.0."),
        ({"rate": float("nan")}, "rate is nan, and can be from 0.0 to 1000000.0."),
    ],
)
def test_a_setting_that_cannot_be_is_refused(wrong, sentence):
    with pytest.raises(SettingsError) as caught:
        problem(Settings(**wrong))
    assert str(caught.value) == sentence


def test_a_network_has_the_layers_asked_for():
    made = problem(Settings(depth=3, width=7))
    shapes = [own["w"].shape for own in made.params[0]["layers"]]
    assert shapes == [(64, 7), (7, 7), (7, 7), (7, 10)]
