"""Operations, counted by hand and by XLA."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from engine.cost import operations
from engine.operations import COUNTED, by_node, count, tally
from tests.programs import CASES

ONES = np.ones((4, 6), np.float32)


def counted(fun, *args) -> int:
    return operations(fun, *args).operations


def by_xla(fun, *args) -> float:
    found = jax.jit(fun).lower(*args).compile().cost_analysis()
    return found["flops"] + found.get("transcendentals", 0.0)


def test_a_matrix_product_takes_two_operations_for_each_pair():
    assert counted(jnp.matmul, np.ones((3, 4), np.float32), np.ones((4, 5), np.float32)) == 2 * 3 * 4 * 5


def test_a_batched_product_takes_as_many_for_each_of_the_batch():
    product = lambda a, b: jnp.einsum("bij,bjk->bik", a, b)
    assert counted(product, np.ones((7, 3, 4), np.float32), np.ones((7, 4, 5), np.float32)) == 7 * 2 * 3 * 4 * 5


def test_an_entry_takes_one_whatever_the_function():
    assert counted(lambda x: jnp.exp(jnp.tanh(x) + x), ONES) == 3 * ONES.size


def test_a_reduction_takes_one_for_each_entry_that_goes_in():
    assert counted(lambda x: jnp.sum(x, axis=0), ONES) == ONES.size


@pytest.mark.parametrize(("power", "products"), [(2, 1), (3, 2), (4, 2), (7, 4), (-2, 2)])
def test_a_power_is_squared_and_multiplied(power, products):
    assert counted(lambda x: lax.integer_pow(x, power), ONES) == products * ONES.size


def test_moving_and_choosing_numbers_takes_none():
    moved = lambda x: jnp.where(jnp.arange(6) > 2, jnp.concatenate([x.T, x.T])[:6, ::-1].T, x)
    assert counted(moved, ONES) == 0


def test_integers_take_none():
    assert counted(lambda i: i * 3 + 1, np.arange(5)) == 0


def test_a_scan_takes_its_body_as_often_as_it_runs():
    loop = lambda x: lax.scan(lambda c, _: (jnp.sin(c) * 2, None), x, None, length=9)[0]
    assert counted(loop, ONES) == 9 * 2 * ONES.size


def test_a_cond_takes_its_largest_branch():
    choose = lambda x: lax.switch(1, [jnp.sin, lambda y: jnp.sin(y) * y + y, jnp.cos], x)
    dynamic = lambda i, x: lax.switch(i, [jnp.sin, lambda y: jnp.sin(y) * y + y, jnp.cos], x)
    assert counted(choose, ONES) == counted(dynamic, np.int32(0), ONES) == 3 * ONES.size


def test_a_rule_of_its_own_takes_its_body():
    assert counted(jax.nn.relu, ONES) == ONES.size


def test_a_shard_map_takes_its_body_on_each_device():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]), ("d",))
    spec = jax.sharding.PartitionSpec("d")
    shared = jax.shard_map(jnp.sin, mesh=mesh, in_specs=spec, out_specs=spec)
    assert counted(shared, ONES) == ONES.size


def test_an_unknown_primitive_is_a_guess_and_says_so():
    found = operations(lambda x: jnp.sum(jax.lax.lgamma(x)) + jnp.linalg.eigh(x @ x.T)[0].sum(), ONES)
    assert found.estimated == ("eigh",)
    assert found.of("eigh") == 4 + 4 * 4


def test_a_while_is_a_guess():
    found = operations(lambda x: lax.while_loop(lambda v: v[0, 0] < 9, lambda v: v * 2, x), ONES)
    assert found.estimated == ("while",)
    assert found.operations == 1 + ONES.size


CONVOLUTIONS = [
    {"window_strides": (1, 1), "padding": "SAME"},
    {"window_strides": (2, 2), "padding": "VALID"},
    {"window_strides": (1, 1), "padding": ((3, 2), (0, 1)), "lhs_dilation": (2, 1), "rhs_dilation": (1, 2)},
]


@pytest.mark.parametrize("window", CONVOLUTIONS, ids=str)
def test_a_convolution_counts_the_pairs_that_meet(window):
    """The oracle multiplies ones by ones: what comes out is how many met."""
    x, w = np.ones((2, 3, 9, 8), np.float32), np.ones((5, 3, 3, 2), np.float32)
    convolve = lambda x, w: lax.conv_general_dilated(x, w, **window)
    assert counted(convolve, x, w) == 2 * int(convolve(x, w).sum())


def test_a_grouped_convolution_meets_its_own_channels_alone():
    x, w = np.ones((2, 4, 6, 6), np.float32), np.ones((8, 2, 3, 3), np.float32)
    convolve = lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", feature_group_count=2)
    assert counted(convolve, x, w) == 2 * int(convolve(x, w).sum())


def net(w, x):
    h = jnp.tanh(lax.conv_general_dilated(x, w, (1, 1), "SAME"))
    return jnp.mean((h.reshape(len(h), -1) @ jnp.ones((h[0].size, 10), h.dtype)) ** 2)


@pytest.mark.cpu
@pytest.mark.parametrize("form", [lambda f: f, jax.value_and_grad], ids=["forward", "with gradient"])
def test_xla_counts_alike(form):
    """XLA's own analysis of the compiled program: it fuses, and saves an operation here and there."""
    args = np.ones((4, 3, 3, 3), np.float32), np.ones((8, 3, 12, 12), np.float32)
    assert counted(form(net), *args) == pytest.approx(by_xla(form(net), *args), rel=0.02)


GUESSED = {"cond", "custom_linear_solve", "lu", "eigh", "svd", "top_k", "polynomial", "while", "pure_callback"}


@pytest.mark.parametrize("case", [case for case in CASES if not case.x64 and not case.slow], ids=lambda case: case.name)
def test_every_program_of_the_corpus_is_counted(case):
    found = operations(case.fun, *case.args)
    assert found.operations == sum(number for _, number in found.by_primitive)
    assert set(found.estimated) <= GUESSED


def test_a_tally_knows_its_nodes():
    program = jax.make_jaxpr(lambda x: jax.named_scope("⟦%3⟧")(jnp.sin)(x) + 1)(ONES).jaxpr
    found = tally(program)
    assert by_node(found) == {"%3": ONES.size, "": ONES.size}
    assert count(found).by_primitive == (("sin", ONES.size), ("add", ONES.size))


def test_a_name_is_counted_in_one_way():
    assert all(callable(rule) for rule in COUNTED.values())
