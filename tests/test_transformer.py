"""The transformer against loops in NumPy; and no moment sees what comes after it."""

from __future__ import annotations

import dataclasses
import math

import jax
import numpy as np
import pytest

from engine.tasks import transformer as model
from engine.tasks.parts import Design, step_key
from engine.tasks.transformer import heads, init_transformer

pytestmark = pytest.mark.once

transformer = jax.jit(model.transformer, static_argnums=2)
block = jax.jit(model.block, static_argnums=2)
attention = jax.jit(model.attention)
DESIGN = Design((6,), 7, depth=2, width=8, norm="layer", residual=True, letters=7, every=True)
PARAMS = init_transformer(np.random.default_rng(0), DESIGN)
CODES = np.random.default_rng(1).integers(0, 7, (3, 6)).astype(np.int32)
X = np.random.default_rng(2).normal(size=(3, 6, 8)).astype(np.float32)


def attended(params, x):
    """One example at a time, one head at a time, one moment at a time."""
    many = heads(x.shape[-1])
    size = x.shape[-1] // many
    out = np.zeros(x.shape)
    for n, t, head in np.ndindex(x.shape[0], x.shape[1], many):
        part = slice(head * size, (head + 1) * size)
        q = (x[n, t] @ params["q"])[part]
        match = np.array([q @ (x[n, s] @ params["k"])[part] / math.sqrt(size) for s in range(t + 1)])
        weights = np.exp(match) / np.exp(match).sum()
        out[n, t, part] = sum(w * (x[n, s] @ params["v"])[part] for s, w in enumerate(weights))
    return out @ params["o"]


@pytest.mark.parametrize(("width", "many"), [(8, 4), (32, 4), (6, 2), (7, 1), (1, 1), (4, 4)])
def test_heads_share_the_width(width, many):
    assert heads(width) == many


def test_attention_is_the_published_formula():
    own = PARAMS["blocks"][0]["attention"]
    np.testing.assert_allclose(attention(own, X), attended(own, X.astype(float)), rtol=1e-4, atol=1e-5)


def standard(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def test_a_block_normalises_before_and_adds_after():
    own = PARAMS["blocks"][0]
    x = X.astype(float)
    x = x + attended(own["attention"], standard(x))
    x = x + np.tanh(standard(x) @ own["up"]["w"]) @ own["down"]["w"]
    np.testing.assert_allclose(block(own, X, DESIGN), x, rtol=1e-3, atol=1e-4)


def test_without_residual_connections_nothing_goes_around():
    own = PARAMS["blocks"][0]
    design = dataclasses.replace(DESIGN, norm="none", residual=False)
    wanted = model.feed_forward(own, attention(own["attention"], X), design)
    np.testing.assert_allclose(block(own, X, design), wanted, rtol=1e-5, atol=1e-6)


def test_a_blocks_dense_layer_is_four_times_as_wide():
    assert (PARAMS["blocks"][0]["up"]["w"].shape, PARAMS["blocks"][0]["down"]["w"].shape) == ((8, 32), (32, 8))
    assert len(PARAMS["blocks"]) == 2


def test_the_whole_is_its_parts():
    x = PARAMS["letters"][CODES] + PARAMS["places"]
    for own in PARAMS["blocks"]:
        x = block(own, x, DESIGN)
    wanted = standard(np.asarray(x, float)) @ PARAMS["last"]["w"]
    np.testing.assert_allclose(transformer(PARAMS, CODES, DESIGN), wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("norm", ["none", "layer", "batch", "rms"])
def test_a_later_letter_leaves_earlier_scores(norm):
    design = dataclasses.replace(DESIGN, norm=norm)
    params = init_transformer(np.random.default_rng(0), design)
    later = CODES.copy()
    later[:, 4:] = (later[:, 4:] + 1) % 7
    before, after = (np.asarray(transformer(params, codes, design)) for codes in (CODES, later))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert not np.allclose(before[:, 4], after[:, 4])


def test_an_earlier_letter_changes_later_scores():
    earlier = CODES.copy()
    earlier[:, 0] = (earlier[:, 0] + 1) % 7
    before, after = (np.asarray(transformer(PARAMS, codes, DESIGN)) for codes in (CODES, earlier))
    assert not np.allclose(before[:, 5], after[:, 5])


def test_places_tell_equal_letters_apart():
    scores = np.asarray(transformer(PARAMS, np.zeros((1, 6), np.int32), DESIGN))
    assert not np.allclose(scores[0, 1], scores[0, 2])


def test_features_and_one_answer_at_the_end():
    design = dataclasses.replace(DESIGN, given=(6, 2), letters=0, every=False, answers=1)
    params = init_transformer(np.random.default_rng(0), design)
    assert params["features"]["w"].shape == (2, 8)
    assert transformer(params, X[..., :2], design).shape == (3, 1)


def test_attention_and_dense_layers_drop_others():
    design = dataclasses.replace(DESIGN, dropout=0.5, norm="none", residual=False)
    params = PARAMS["blocks"][0]
    key = step_key(0, np.int32(0))
    dropped = np.asarray(block(params, X, design, key, 0)) == 0
    assert dropped.mean() == pytest.approx(0.5, abs=0.15)
    other = np.asarray(block(params, X, design, key, 1)) == 0
    assert (other != dropped).any()


def test_gradients_are_finite_and_reach_every_parameter():
    gradient = jax.jit(jax.grad(lambda params: (transformer(params, CODES, DESIGN) ** 2).mean()))(PARAMS)
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf).all()
        assert np.abs(leaf).max() > 0
