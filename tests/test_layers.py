"""Layers of any function: found, named, put in order and linked."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import engine
from engine.layers import structure

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3)).astype(np.float32)


def weights(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def found(loss, params, *batch):
    graph = engine.trace(loss, params, *batch)
    return graph, structure(graph, graph.inputs[: len(jax.tree.leaves(params))])


def dense(own, x):
    return x @ own["w"] + own["b"]


def mlp(params, x):
    for own in params["layers"][:-1]:
        x = jnp.tanh(dense(own, x))
    return jnp.sum(dense(params["layers"][-1], x) ** 2)


MLP = {"layers": [{"w": weights(n, m), "b": weights(m)} for n, m in ((3, 5), (5, 4), (4, 2))]}


def test_layers_are_in_order_and_named_as_the_scopes():
    _, made = found(mlp, MLP, X)
    assert [layer.name for layer in made.layers] == [f"dense · layers.{i}" for i in range(3)]
    assert made.trunk == made.layers


def test_a_layer_knows_its_weight_its_bias_and_the_node_after_it():
    graph, made = found(mlp, MLP, X)
    layer = made.layers[1]
    assert [graph.node(id).name for id in (*layer.weights, *layer.biases)] == ["params.layers.1.w", "params.layers.1.b"]
    assert (graph.node(layer.output).op, graph.node(layer.output).shape) == ("add", (6, 4))


def test_between_two_layers_lie_the_activation_and_the_product():
    graph, made = found(mlp, MLP, X)
    assert [[graph.node(id).op for id in part.inner] for part in made.links[0].segments] == [
        ["tanh"],
        ["dot_general", "add"],
    ]


def test_layers_without_a_function_of_their_own_take_the_path_of_their_weights():
    def loss(params, x):
        return jnp.sum(jnp.tanh(x @ params["first"]["w"]) @ params["second"]["w"])

    _, made = found(loss, {"first": {"w": weights(3, 4)}, "second": {"w": weights(4, 2)}}, X)
    assert [layer.name for layer in made.layers] == ["first", "second"]


def test_several_layers_of_one_function_take_the_path_of_their_weights():
    def attention(own, x):
        q, k, v = x @ own["q"], x @ own["k"], x @ own["v"]
        return jax.nn.softmax(q @ k.T) @ v @ own["o"]

    params = {"attention": {name: weights(3, 3) for name in "qkvo"}}
    _, made = found(lambda params, x: jnp.sum(attention(params["attention"], x)), params, X)
    assert [layer.name for layer in made.layers] == [f"attention · attention.{name}" for name in "qkvo"]


def test_a_product_of_data_with_data_is_no_layer():
    _, made = found(lambda w, x: jnp.sum((x @ x.T) @ x @ w), weights(3, 2), X)
    assert len(made.layers) == 1


def test_data_that_the_function_closes_over_are_data():
    data = jnp.asarray(X)
    _, made = found(lambda params: mlp(params, data), MLP)
    assert len(made.layers) == 3


def test_products_that_are_added_up_are_one_layer():
    params = {"a": weights(3, 4), "b": weights(3, 4), "c": weights(4)}
    graph, made = found(lambda p, x: jnp.sum(jnp.tanh(x @ p["a"] + x @ p["b"] + p["c"])), params, X)
    (layer,) = made.layers
    assert [graph.node(id).name for id in layer.weights] == ["p.a", "p.b"]


def test_a_residual_sum_is_no_part_of_the_layer():
    params = [weights(3, 3), weights(3, 3)]

    def loss(params, x):
        h = x @ params[0]
        return jnp.sum(h + jnp.tanh(h) @ params[1])

    graph, made = found(loss, params, X)
    assert [graph.node(layer.output).op for layer in made.layers] == ["dot_general", "dot_general"]


def test_along_a_residual_stream_each_layer_follows_the_one_before():
    def block(own, x):
        return x + jnp.tanh(x @ own)

    def loss(params, x):
        for own in params:
            x = block(own, x)
        return jnp.sum(x)

    graph, made = found(loss, [weights(3, 3) for _ in range(4)], X)
    assert [(link.lower, link.upper) for link in made.links] == list(zip(made.layers, made.layers[1:], strict=False))
    assert [[graph.node(id).op for id in part.inner] for part in made.links[0].segments] == [
        ["tanh"],
        ["add"],
        ["dot_general"],
    ]


def test_a_normalisation_is_one_part():
    def norm(z):
        return (z - z.mean(-1, keepdims=True)) * lax.rsqrt(z.var(-1, keepdims=True) + 1e-5)

    params = [weights(3, 4), weights(4, 2)]
    graph, made = found(lambda p, x: jnp.sum(norm(x @ p[0]) @ p[1]), params, X)
    first, _ = made.links[0].segments
    assert {"reduce_sum", "rsqrt", "mul"} <= {graph.node(id).op for id in first.inner}


def test_a_convolution_is_a_layer_whose_units_are_its_channels():
    def loss(params, x):
        for own in params:
            x = jax.nn.relu(
                lax.conv_general_dilated(x, own, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            )
        return jnp.sum(x)

    graph, made = found(loss, [weights(3, 3, 1, 4), weights(3, 3, 4, 2)], weights(2, 8, 8, 1))
    assert [(graph.node(layer.output).op, layer.axes) for layer in made.layers] == [("conv_general_dilated", (-1,))] * 2


def test_channels_in_front_are_found_too():
    def loss(own, x):
        return jnp.sum(lax.conv_general_dilated(x, own, (1, 1), "SAME"))

    _, made = found(loss, weights(4, 1, 3, 3), weights(2, 1, 8, 8))
    assert made.layers[0].axes == (-3,)


def test_heads_of_a_product_are_units_as_well():
    _, made = found(lambda w, x: jnp.sum(jnp.einsum("nd,dhk->nhk", x, w)), weights(3, 2, 5), X)
    assert made.layers[0].axes == (-2, -1)


def test_a_weight_on_the_left_has_its_units_in_front():
    _, made = found(lambda w, x: jnp.sum(w @ x.T), weights(4, 3), X)
    assert made.layers[0].axes == (-2,)


def test_a_look_up_in_a_table_is_a_layer():
    def loss(params, tokens):
        return jnp.sum(jnp.tanh(params["table"][tokens]) @ params["w"])

    graph, made = found(loss, {"table": weights(7, 4), "w": weights(4, 2)}, np.array([1, 5, 2]))
    assert [graph.node(layer.products[0]).op for layer in made.trunk] == ["gather", "dot_general"]


def rnn(params, xs):
    def cell(h, x):
        h = jnp.tanh(x @ params["w"] + h @ params["u"] + params["b"])
        return h, h

    last, _ = lax.scan(cell, jnp.zeros((6, 4)), xs)
    return jnp.sum(last @ params["o"])


RNN = {"w": weights(3, 4), "u": weights(4, 4), "b": weights(4), "o": weights(4, 1)}


def test_a_cell_is_one_layer_linked_to_itself_through_time():
    graph, made = found(rnn, RNN, weights(5, 6, 3))
    cell, last = made.layers
    assert {graph.node(id).name for id in cell.weights} == {"params.w", "params.u"}
    assert [(link.lower, link.upper, link.recurrent) for link in (*made.links, *made.recurrent)] == [
        (cell, last, False),
        (cell, cell, True),
    ]


def test_layers_of_a_scanned_stack_are_found_in_the_body():
    def loss(stack, x):
        def block(x, own):
            return jnp.tanh(x @ own), None

        return jnp.sum(lax.scan(block, x, stack)[0])

    graph, made = found(loss, weights(5, 3, 3), X)
    assert [graph.node(layer.weights[0]).name for layer in made.layers] == ["stack"]
    assert len(made.recurrent) == 1


def test_a_function_without_parameters_to_multiply_by_has_no_layers():
    _, made = found(lambda xyz: (xyz[0] + xyz[1]) * xyz[2], [np.float32(1), np.float32(2), np.float32(3)])
    assert (made.layers, made.trunk, made.links) == ((), (), ())
