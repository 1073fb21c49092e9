"""What a loss costs: against closed forms, against JAX's own programs, and node by node."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import engine
from engine.cost import approximate, growth, trade
from tests.programs import CASES

QUICK = [case for case in CASES if not case.x64 and not case.slow and case.name not in ("effects", "mutable_reference")]


def dense(layer, x):
    return jnp.sin(x @ layer["w"] + layer["b"])


def net(params, x):
    for layer in params:
        x = dense(layer, x)
    return jnp.sum(x)


def sized(depth: int, width: int, batch: int):
    layer = {"w": jax.ShapeDtypeStruct((width, width), np.float32), "b": jax.ShapeDtypeStruct((width,), np.float32)}
    return [layer] * depth, jax.ShapeDtypeStruct((batch, width), np.float32)


DEPTH, WIDTH, BATCH = 3, 16, 8


@pytest.fixture(scope="module")
def cost():
    return engine.cost(net, *sized(DEPTH, WIDTH, BATCH))


def test_the_course_example():
    found = engine.cost(lambda x, y, z: (x + y) * z, 1.0, 2.0, 3.0, argnums=(0, 1, 2))
    assert found.forward.operations == 2
    assert found.reverse.operations == 4  # and 1·z, 1·(x + y)
    assert found.expansion.paths == found.entries == 3
    assert found.written_out == 2 + 2


def test_the_forward_pass_of_a_net_has_a_closed_form(cost):
    layer = 2 * BATCH * WIDTH**2 + 2 * BATCH * WIDTH  # product; bias and sine
    assert cost.forward.operations == DEPTH * layer + BATCH * WIDTH
    assert cost.entries == DEPTH * (WIDTH**2 + WIDTH)


def test_the_backward_pass_takes_two_products_for_each_of_the_forward_pass(cost):
    """One for the weights, one for the layer below; the first layer has nothing below."""
    assert cost.reverse.of("dot_general") == (3 * DEPTH - 1) * 2 * BATCH * WIDTH**2


def test_forward_mode_takes_a_pass_for_each_parameter(cost):
    assert cost.forward_modes == cost.forward_mode.operations * cost.entries
    assert 2 < cost.forward_mode.operations / cost.forward.operations < 3


def test_the_paths_of_a_net_have_a_closed_form(cost):
    from_layers = sum(BATCH * WIDTH ** (DEPTH - 1 - layer) for layer in range(DEPTH))
    assert cost.expansion.paths == (WIDTH**2 + WIDTH) * from_layers


def test_a_net_keeps_each_value_and_slope_of_its_sine(cost):
    inner = 2 * DEPTH - 1  # the last value is summed up: nobody multiplies by it
    assert cost.kept == inner * BATCH * WIDTH * 4


def test_reverse_mode_is_what_jax_does(cost):
    args = sized(DEPTH, WIDTH, BATCH)
    assert cost.reverse == engine.operations(jax.value_and_grad(net), *args)
    assert cost.peak > cost.kept


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_nodes_add_up(case):
    """Signing changes nothing of what JAX does; what belongs to no node is sums over several consumers."""
    found = engine.cost(case.fun, *case.args)
    if case.name != "static_leaves":
        assert found.reverse == engine.operations(jax.value_and_grad(case.fun), *case.args)
    assert sum(node.forward for node in found.nodes) == found.forward.operations
    assert sum(node.kept for node in found.nodes) == found.kept
    outside = found.reverse.operations - sum(node.forward + node.backward for node in found.nodes)
    assert 0 <= outside <= found.reverse.of("add_any")
    assert min(node.backward for node in found.nodes) >= 0


def test_a_scope_is_the_sum_of_what_is_in_it(cost):
    layers = [cost.scope(scope.id) for scope in cost.graph.scopes if scope.name.startswith("dense")]
    assert [layer.parameters for layer in layers] == [WIDTH**2 + WIDTH] * DEPTH
    assert [layer.forward for layer in layers] == [2 * BATCH * WIDTH**2 + 2 * BATCH * WIDTH] * DEPTH
    assert sum(layer.kept for layer in layers) == cost.kept
    assert cost.scope("").backward == cost.reverse.operations - cost.forward.operations


def test_a_node_is_asked_for_by_name(cost):
    node = next(node for node in cost.graph.nodes if node.op == "sin")
    assert cost.node(node.name).forward == BATCH * WIDTH
    with pytest.raises(engine.UnknownNodeError):
        cost.node("nothing")
    with pytest.raises(engine.UnknownNodeError):
        cost.scope("nothing")


def test_every_iteration_of_a_scan_counts():
    loop = lambda w, x: jnp.sum(jax.lax.scan(lambda h, x: (jnp.tanh(h @ w + x), None), x[0], x)[0])
    args = np.ones((4, 4), np.float32), np.ones((7, 4), np.float32)
    assert engine.cost(loop, *args).reverse.of("dot_general") == 3 * 7 * 2 * 4 * 4


def test_a_custom_vjp_has_no_forward_mode():
    @jax.custom_vjp
    def double(x):
        return x * 2

    double.defvjp(lambda x: (double(x), None), lambda _, g: (g * 2,))
    found = engine.cost(lambda x: jnp.sum(double(x)), np.ones(3, np.float32))
    assert found.forward_mode is None
    assert found.forward_modes is None
    assert "custom_vjp" in str(found)


def test_aux_is_no_loss():
    found = engine.cost(lambda x: (jnp.sum(x), jnp.sin(x)), np.ones(3, np.float32), has_aux=True)
    assert found.expansion.paths == 3


def test_what_has_no_gradient_says_so():
    loop = lambda x: jax.lax.while_loop(lambda v: v < 9, lambda v: v * 2, x)
    with pytest.raises(engine.NotDifferentiableError, match="can't be differentiated"):
        engine.cost(loop, 1.0)
    with pytest.raises(engine.NotScalarError):
        engine.cost(jnp.sin, np.ones(3))
    assert engine.operations(loop, 1.0).estimated == ("while",)


def test_it_prints_as_a_table(cost):
    lines = str(cost).splitlines()
    assert lines[0] == "net: 816 parameters"
    assert [line.split("  ")[1] for line in lines[1:]] == [
        *("forward pass", "reverse mode", "forward mode", "written out", "kept", "peak")
    ]


def test_guesses_are_listed():
    found = engine.cost(lambda x: jnp.sum(jnp.linalg.eigh(x @ x.T)[0]), np.ones((3, 3), np.float32))
    assert "eigh" in found.estimated
    assert "eigh" in str(found)


@pytest.mark.parametrize(
    ("number", "text"),
    [(1234, "1,234"), (10**12, "1.0e12"), (999_822_573_520_320, "1.0e15"), (31 * 10**249, "3.1e250")],
)
def test_a_number_of_any_size_has_a_text(number, text):
    assert approximate(number) == text


def test_rematerialisation_trades_bytes_for_operations():
    args, batch = sized(8, WIDTH, 64), 64
    again = jax.checkpoint(dense)

    def thrifty(params, x):
        for layer in params:
            x = again(layer, x)
        return jnp.sum(x)

    found = trade(engine.cost(net, *args), engine.cost(thrifty, *args))
    assert found.saved == 8 * batch * WIDTH * 4  # of each layer its slope; its input is kept
    assert found.again == 8 * (2 * batch * WIDTH**2 + batch * WIDTH)  # each product and its bias once more
    assert found.peak > 0


def test_costs_grow_as_they_should():
    depth = growth(lambda depth: (net, sized(depth, WIDTH, BATCH)), (4, 8))
    width = growth(lambda width: (net, sized(2, width, BATCH)), (256, 512))
    assert depth.exponent(lambda cost: cost.kept) == pytest.approx(1, abs=0.1)
    assert width.exponent(lambda cost: cost.reverse.operations) == pytest.approx(2, abs=0.02)
    assert width.exponent(lambda cost: cost.forward_modes) == pytest.approx(4, abs=0.05)
    assert depth.series(lambda cost: cost.entries) == (4 * 272, 8 * 272)
