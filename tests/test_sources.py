"""What isn't measured because another node has the same numbers: in another shape, or an iteration earlier."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name

import engine
from engine import kernel
from engine.flow import has_gradient
from engine.grad import Asked
from engine.probe import FULL, STATS, Probe, resolve
from engine.sources import Handed, Whole
from engine.stats import ROW
from engine.tape import Override
from engine.trace import program

pytestmark = pytest.mark.once
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


W, H, XS = normal(40, 40) / 6, normal(3, 40), normal(5, 3, 40)


def cell(w, h, x):
    return jnp.tanh(h @ w + x)


def unrolled(w, h, xs, **how):
    return lax.scan(lambda h, x: (cell(w, h, x), None), h, xs, **how)[0]


def forwards(w, h, xs):
    return jnp.sum(unrolled(w, h, xs) ** 2)


def backwards(w, h, xs):
    return jnp.sum(unrolled(w, h, xs, reverse=True) ** 2)


def stacked(w, h, xs):
    last, all = lax.scan(lambda h, x: (cell(w, h, x),) * 2, h, xs)
    return jnp.sum(last**2) + jnp.sum(all)


def two_states(w, h, xs):
    def step(state, x):
        h, c = state
        c = c * 0.5 + jnp.tanh(h @ w + x)
        return (jnp.tanh(c), c), None

    h, c = lax.scan(step, (h, h * 2), xs)[0]
    return jnp.sum(h * c)


def swapped(w, h, xs):
    def step(state, x):
        return (state[1], cell(w, state[0], x)), None

    return jnp.sum(lax.scan(step, (h, h), xs)[0][0] ** 2)


def counted(w, h, xs):
    def step(state, x):
        return (cell(w, state[0], x), state[1] + 1.0), None

    return jnp.sum(lax.scan(step, (h, 0.0), xs)[0][0] ** 2)


def thrown_away(w, h, xs):
    """Nothing comes back to the last state."""
    return jnp.sum(lax.scan(lambda h, x: (cell(w, h, x), jnp.sum(h @ w)), h, xs)[1] ** 2)


def nested(w, h, xs):
    return jnp.sum(lax.scan(lambda h, _: (unrolled(w, h, xs), None), h, None, length=2)[0] ** 2)


def in_a_branch(w, h, xs):
    return lax.cond(jnp.sum(h) > -1e9, lambda: forwards(w, h, xs), lambda: jnp.sum(w))


def in_another_branch(w, h, xs):
    return lax.cond(jnp.sum(h) > 1e9, lambda: forwards(w, h, xs), lambda: jnp.sum(w))


def stacked_too(w, h, xs):
    """What becomes the next state is returned of each iteration as well, behind the last state."""

    def step(h, x):
        z = h @ w + x
        return jnp.tanh(z + 1.0), (h, z)

    last, (states, all) = lax.scan(step, h, xs)
    return jnp.sum(last) + jnp.sum(all) + jnp.sum(states**2)


def shared_out_and_stacked(w, h, xs):
    """What an inner loop shares out leaves the outer one, too."""

    def outer(h, x):
        u = x + jnp.sum(h)
        return lax.scan(lambda h, row: (jnp.tanh(h @ w + row), None), h, u)[0], u

    last, all = lax.scan(outer, h, xs)
    return jnp.sum(last) + jnp.sum(all**3)


def two_from_a_branch(w, h, xs):
    def taken():
        c = h @ w
        return jnp.reshape(c, -1) * 3, c

    a, b = lax.cond(jnp.sum(h) > -1e9, taken, lambda: (jnp.zeros(120), h))
    return jnp.sum(a) + jnp.sum(b**2) + jnp.sum(xs)


def over_nothing(w, h, xs):
    """Iterations that there are none of, and that would forget the state."""
    last, _ = lax.scan(lambda h, x: (x @ w, None), h, xs[:0])
    return jnp.sum((h + 1) ** 2) + jnp.sum(last * xs[0])


def chosen(w, h, xs):
    """A softmax, whose maximum `jnp.max` says twice."""
    return jnp.sum(jax.nn.softmax(h @ w)[:, 0] * jnp.sum(xs))


PROGRAMS = [
    forwards,
    backwards,
    stacked,
    two_states,
    swapped,
    counted,
    thrown_away,
    nested,
    in_a_branch,
    in_another_branch,
    stacked_too,
    shared_out_and_stacked,
    two_from_a_branch,
    over_nothing,
    chosen,
]


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch):
    """Each iteration is measured by itself, as where the library is."""
    monkeypatch.setattr("engine.probe.STACKED", 0)


@cache
def watched(fun, probe):
    return jax.jit(lambda *args: engine.value_and_grad(fun, argnums=(0, 1, 2), probe=probe)(*args)[2])(W, H, XS)


def planned(fun, probe=STATS):
    graph = program(fun, (W, H, XS), {}).graph
    return graph, resolve(graph, probe, graph.inputs)


def handed(fun, probe=STATS):
    graph, plan = planned(fun, probe)
    return {(what, graph.node(id).kind): found for (what, id), found in plan.handed}


@pytest.mark.parametrize("fun", PROGRAMS, ids=lambda fun: fun.__name__)
def test_statistics_are_those_of_the_arrays(fun):
    found, whole = watched(fun, "stats"), watched(fun, "full")
    for node in found.graph.nodes:
        if (ran := found.executed(node.id)) is not None and not np.all(ran):
            continue
        for what, wanted in whole.stats(node.id).items():
            for name in ROW:
                given = found.stats(node.id)[what][name]
                np.testing.assert_allclose(given, wanted[name], rtol=1e-4, atol=1e-6, err_msg=f"{node} {what} {name}")


@pytest.mark.parametrize("fun", [forwards, backwards, stacked, two_states, nested], ids=lambda fun: fun.__name__)
def test_each_iteration_has_its_own(fun):
    found, whole = watched(fun, "stats"), watched(fun, "full")
    for (what, id), _ in found.plan.handed:
        np.testing.assert_allclose(found.rows(id, what), whole.rows(id, what), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("fun", [forwards, backwards, stacked, nested], ids=lambda fun: fun.__name__)
def test_a_state_is_measured_where_it_is_made(fun):
    assert ("value", "carry") in handed(fun)


def test_what_no_bound_changes_is_measured_once():
    graph, plan = planned(chosen)
    bounded = [node for node in graph.nodes if node.op == "max" and "-inf" in map(str, node.operands)]
    assert bounded
    assert plan.values.isdisjoint(node.id for node in bounded)


def test_what_a_difference_hands_back_is_measured_once():
    graph, plan = planned(chosen)
    (shifted,) = (node for node in graph.nodes if node.op == "sub")
    assert shifted.id in plan.grads
    assert shifted.inputs[0] not in plan.grads
    assert len(graph.consumers(shifted.inputs[0])) == 2  # the maximum is held still


def test_what_comes_back_to_a_state_is_measured_where_it_is_sent():
    graph, plan = planned(forwards)
    ((_, end),) = (key for key, found in plan.handed if key[0] == "grad" and isinstance(found, Handed))
    assert graph.node(end).op == "tanh"
    assert end not in plan.grads


def test_a_state_that_is_used_elsewhere_has_a_gradient_of_its_own():
    assert not any(what == "grad" and isinstance(found, Handed) for (what, _), found in handed(stacked).items())


def test_what_comes_back_to_an_array_is_measured_where_its_parts_are():
    graph, plan = planned(forwards)
    ((_, whole),) = (key for key, found in plan.handed if isinstance(found, Whole))
    (part,) = graph.consumers(whole)
    assert graph.node(part).kind == "slice"
    assert whole not in plan.grads
    assert dict(plan.handed)["grad", whole].parts in plan.grads


def test_states_that_change_places_are_measured():
    graph, plan = planned(swapped)
    ends = {edge.target: edge.source for edge in graph.edges if edge.kind == "carry"}
    (other,) = (carry for carry, end in ends.items() if graph.node(end).kind == "carry")
    assert ("value", other) not in dict(plan.handed)


def test_going_backwards_the_first_state_stands_last():
    assert [dict(planned(fun)[1].handed)[key].ahead for fun in (forwards, backwards) for key in keys(fun)] == [
        True,
        False,
    ]


def keys(fun):
    return [key for key, _ in planned(fun)[1].handed if key[0] == "value"]


def test_what_a_probe_leaves_out_is_measured_where_it_is_needed():
    graph, _ = planned(forwards)
    (carry,) = (node.id for node in graph.nodes if node.kind == "carry")
    reading = watched(forwards, Probe(nodes=(carry,), what=("value",), how="stats"))
    whole = watched(forwards, "full")
    assert reading.stats(carry)["value"]["rms"] == pytest.approx(whole.stats(carry)["value"]["rms"], rel=1e-5)


def reshaped(w, h, xs):
    return jnp.sum(jnp.tanh(jnp.reshape(h @ w, (-1, 4)) + jnp.reshape(xs[0], (-1, 4))) ** 2)


@pytest.mark.parametrize(
    ("fun", "op"),
    [
        (forwards, "carry"),
        (forwards, "tanh"),
        (forwards, "slice"),
        (forwards, "scan"),
        (backwards, "carry"),
        (reshaped, "reshape"),
        (reshaped, "add"),
        (reshaped, "dot_general"),
    ],
)
def test_numbers_that_stand_in_for_others_are_not_taken_for_them(fun, op):
    traced = program(fun, (W, H, XS), {})
    node = next(node for node in traced.graph.nodes if op in (node.op, node.kind))
    shape = (*node.iterations, *node.shape)
    some = np.arange(np.prod(shape)).reshape(shape) % 3 == 0
    given = {node.id: Override(jnp.asarray(some), jnp.full(shape, 0.25, jnp.float32))}
    found, whole = (
        engine.grad.run(traced, (W, H, XS), Asked((0, 1, 2), probe=probe), given)[2] for probe in (STATS, FULL)
    )
    for each in traced.graph.nodes:
        for what, wanted in whole.stats(each.id).items():
            np.testing.assert_allclose(
                found.stats(each.id)[what]["rms"], wanted["rms"], rtol=1e-4, err_msg=f"{each} {what}"
            )


def biased(w, h, xs):
    """A bias in another shape, a difference, a name, and a sum that is used twice."""
    y = checkpoint_name(h @ w, "y") + w[0]
    return jnp.sum(jnp.tanh(y - jnp.reshape(h, (3, 40))) * jnp.reshape(y, (3, 5, 8)).reshape(y.shape)) + jnp.sum(xs)


@pytest.mark.parametrize("fun", [*PROGRAMS, biased, reshaped], ids=lambda fun: fun.__name__)
def test_what_is_recorded_once_is_what_each_would_be_by_itself(fun):
    found = watched(fun, "full")
    assert found.plan.again
    for (what, id), _ in found.plan.again:
        alone = watched(fun, Probe(nodes=(id,)))
        assert not alone.plan.again
        if (ran := found.executed(id)) is not None and not np.all(ran):
            continue
        mine, its = getattr(found, what)(id), getattr(alone, what)(id)
        assert mine.shape == (*found.graph.node(id).iterations, *found.graph.node(id).shape)
        np.testing.assert_allclose(mine, its, rtol=1e-5, atol=1e-6, err_msg=f"{id} {what}")


@pytest.mark.parametrize("fun", [*PROGRAMS, biased, reshaped], ids=lambda fun: fun.__name__)
def test_a_gradient_is_all_that_the_consumers_send(fun):
    found, few = watched(fun, "full"), watched(fun, "stats")
    for node in found.graph.nodes:
        if not has_gradient(node) or node.note:
            continue
        try:
            parts = found.contributions(node.id)
        except engine.NotExecutedError:
            continue
        if not parts:
            continue
        total = np.sum([np.asarray(part, np.float64) for part in parts.values()], axis=0)
        close = {"rtol": 1e-4, "atol": 1e-4, "err_msg": str(node)}
        np.testing.assert_allclose(found.grad(node.id), total, **close)
        if total.size:
            rms = np.sqrt(np.mean(total**2))
            np.testing.assert_allclose(few.stats(node.id)["grad"]["rms"], rms, **close)


@pytest.mark.parametrize("op", ["add", "name", "broadcast_in_dim", "sub", "tanh", "reshape"])
def test_what_is_recorded_once_is_no_other_number_that_stands_in(op):
    traced = program(biased, (W, H, XS), {})
    node = next(node for node in traced.graph.nodes if node.op == op)
    some = np.arange(np.prod(node.shape)).reshape(node.shape) % 3 == 0
    given = {node.id: Override(jnp.asarray(some), jnp.full(node.shape, 0.25, jnp.float32))}

    def read(probe):
        return engine.grad.run(traced, (W, H, XS), Asked((0, 1, 2), probe=probe), given)[2]

    found = read(FULL)
    for (what, id), _ in found.plan.again:
        np.testing.assert_allclose(
            getattr(found, what)(id), getattr(read(Probe(nodes=(id,))), what)(id), rtol=1e-5, atol=1e-6, err_msg=id
        )


def test_a_loop_hands_back_whole_what_its_iterations_have():
    graph, plan = planned(forwards, FULL)
    (parts,) = (node for node in graph.nodes if node.kind == "slice")
    assert dict(plan.again)["grad", parts.inputs[0]] in plan.grads
    found, exact = watched(forwards, "full"), jax.grad(forwards, argnums=2)(W, H, XS)
    np.testing.assert_allclose(found.grad(parts.inputs[0]), exact, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.grad(parts.id), found.grad(parts.inputs[0]))


def test_rows_move_by_one():
    first, rest = np.array([[0.0]]), np.array([[[1.0], [2.0], [3.0]]])
    assert Handed("a", "b", ahead=True).rows([first, rest], np).ravel().tolist() == [0, 1, 2]
    assert Handed("a", "b", ahead=False).rows([first, rest], np).ravel().tolist() == [2, 3, 0]
    assert Handed("a", "b", ahead=True).rows([first, rest[:, :0]], np).shape == (1, 0, 1)


def test_an_array_of_a_loop_that_is_kept_whole_is_not_handed_on(monkeypatch):
    monkeypatch.setattr("engine.probe.STACKED", 2**22)
    monkeypatch.setattr(kernel, "available", lambda: False)
    assert not any(isinstance(found, Handed) for found in handed(forwards).values())


def test_one_reading_of_many_has_rows_for_each():
    def read(h):
        return engine.grad.run(program(forwards, (W, h, XS), {}), (W, h, XS), Asked(probe=STATS))[2]

    starts = normal(2, 3, 40)
    many = jax.vmap(read)(starts)
    for (what, id), _ in many.plan.handed:
        for place, start in enumerate(starts):
            np.testing.assert_allclose(many.rows(id, what)[place], read(start).rows(id, what), rtol=1e-4, atol=1e-6)
