"""A changed number: the whole pass is that of the changed program, forward and backward."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name

import engine
from engine import whatif
from engine.whatif import WhatIfError

RNG = np.random.default_rng(0)
PARAMS = {"v": RNG.normal(size=(4, 2)).astype(np.float32), "w": RNG.normal(size=(3, 4)).astype(np.float32)}
X = RNG.normal(size=(5, 3)).astype(np.float32)
Y = RNG.normal(size=(5, 2)).astype(np.float32)
MASK = np.zeros((5, 4), bool)
MASK[1, 2] = MASK[3, 0] = True
GIVEN = np.full((5, 4), 0.75, np.float32)


def loss(params, x, y, change=lambda h: h):
    """``change`` is how the tests change the program by hand."""
    h = change(checkpoint_name(jnp.tanh(x @ params["w"]), "h"))
    return jnp.mean((h @ params["v"] - y) ** 2)


def mine(params, x, y):
    return loss(params, x, y)


def by_hand(params, x, y):
    return loss(params, x, y, lambda h: jnp.where(MASK, GIVEN, h))


@pytest.fixture(scope="module")
def edited():
    return whatif.editor(mine, ("h", "params.w", "x"), PARAMS, X, Y)


@pytest.fixture(scope="module")
def before(edited):
    return edited((PARAMS, X, Y))


@pytest.fixture(scope="module")
def after(edited):
    return edited((PARAMS, X, Y), whatif.Change("h", MASK, GIVEN))


def same(found, wanted):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-7)


def test_without_a_change_it_is_the_pass_as_it_is(before):
    same(before[:2], jax.value_and_grad(mine)(PARAMS, X, Y))


def test_a_changed_value_gives_the_changed_programs_loss_and_gradients(after):
    same(after[:2], jax.value_and_grad(by_hand)(PARAMS, X, Y))
    assert float(after[0]) != pytest.approx(float(mine(PARAMS, X, Y)), rel=1e-3)


def test_the_reading_has_the_changed_value(after):
    found = np.asarray(after[2].value("h"))
    assert found[1, 2] == found[3, 0] == np.float32(0.75)
    same(found[~MASK], np.tanh(X @ PARAMS["w"])[~MASK])


def test_the_reading_is_of_the_same_graph(after):
    assert after[2].graph == engine.trace(mine, PARAMS, X, Y)


def test_what_arrives_at_a_changed_entry_is_read(after):
    h = np.where(MASK, GIVEN, np.tanh(X @ PARAMS["w"]))
    tail = jax.grad(lambda h: jnp.mean((h @ PARAMS["v"] - Y) ** 2))(h)
    same(after[2].grad("h"), tail)
    assert np.abs(np.asarray(tail)[MASK]).min() > 1e-3


def test_nothing_goes_back_from_a_changed_entry(after):
    product = np.asarray(after[2].grad("loss/dot_general"))
    np.testing.assert_array_equal(product[MASK], 0)
    assert np.abs(product[~MASK]).min() > 0


def test_contributions_still_add_up_to_the_gradient(after):
    for node in after[2].graph.nodes:
        if node.dtype == "float32":
            same(sum(after[2].contributions(node.id).values()), after[2].grad(node.id))


def test_a_changed_parameter_gives_the_gradient_at_the_changed_parameter(edited):
    moved = PARAMS | {"w": PARAMS["w"].copy()}
    moved["w"][2, 1] = -3.0
    value, grads, reading = edited((PARAMS, X, Y), whatif.put(edited.graph, "params.w", (2, 1), -3.0))
    same((value, grads), jax.value_and_grad(mine)(moved, X, Y))
    same(reading.grad("params.w"), grads["w"])
    np.testing.assert_array_equal(reading.value("params.w"), moved["w"])


def test_a_changed_input_is_that_input(edited):
    moved = X.copy()
    moved[0] = 2.0
    found = edited((PARAMS, X, Y), whatif.put(edited.graph, "x", 0, 2.0))
    same(found[:2], jax.value_and_grad(mine)(PARAMS, moved, Y))
    same(found[2].grad("x"), jax.grad(mine, argnums=1)(PARAMS, moved, Y))


def test_an_ablated_unit_is_zero_on_the_whole_batch(edited):
    off = np.array([1, 1, 0, 1], np.float32)
    found = edited((PARAMS, X, Y), whatif.ablate(edited.graph, "h", 2))
    same(found[:2], jax.value_and_grad(loss)(PARAMS, X, Y, lambda h: h * off))
    np.testing.assert_array_equal(found[1]["w"][:, 2], 0)


def test_a_unit_on_another_axis_is_ablated_along_it(edited):
    assert whatif.ablate(edited.graph, "h", 3, axis=-2).mask.sum(1).tolist() == [0, 0, 0, 4, 0]


def test_several_nodes_change_at_once(edited):
    changed = X.copy()
    changed[4, 1] = 0.5
    given = whatif.Change("h", MASK, GIVEN), whatif.put(edited.graph, "x", (4, 1), 0.5)
    same(edited((PARAMS, X, Y), *given)[:2], jax.value_and_grad(by_hand)(PARAMS, changed, Y))


def test_the_later_of_two_changes_wins_where_they_meet(edited):
    first, second = (whatif.put(edited.graph, "h", index, value) for index, value in [(0, 1.0), ((0, 1), 2.0)])
    found = np.asarray(edited((PARAMS, X, Y), first, second)[2].value("h"))
    assert found[0].tolist() == [1.0, 2.0, 1.0, 1.0]


def test_all_changes_run_in_one_compiled_program(edited, before, after):
    edited((PARAMS, X + 1, Y), whatif.put(edited.graph, "h", 1, 0.1))
    assert edited.compiled._cache_size() == 1


def test_what_leaves_the_step_beside_the_loss_comes_along():
    def pair(w, kind):
        h = jnp.tanh(w)
        return jnp.sum(h * 2), {kind: h}

    edited = whatif.editor(pair, "tanh", PARAMS["w"], "aux", has_aux=True)
    (_, aux), grads, _ = edited((PARAMS["w"], "aux"), whatif.put(edited.graph, "tanh", (0, 0), 9.0))
    assert float(aux["aux"][0, 0]) == 9.0
    assert float(grads[0, 0]) == 0.0


def test_an_index_that_was_chosen_can_be_changed():
    def pick(w):
        return w[jnp.argmax(w)] * 2

    edited = whatif.editor(pick, "argmax", np.array([1.0, 5.0, 3.0], np.float32))
    value, grads, _ = edited((np.array([1.0, 5.0, 3.0], np.float32),), whatif.put(edited.graph, "argmax", (), 2))
    assert float(value) == 6.0
    assert grads.tolist() == [0.0, 0.0, 2.0]


# ---- inside loops, branches and calls --------------------------------------------------------------------------------

STEPS = RNG.normal(size=(4, 3)).astype(np.float32)
W = np.array([0.8, -1.2, 0.5], np.float32)


def rnn(w, xs):
    def cell(h, x):
        h = jnp.tanh(h * w + x)
        return h, h

    last, states = lax.scan(cell, jnp.zeros(3), xs)
    return jnp.sum(last) + jnp.mean(states**2)


def rnn_by_hand(w, xs, key, t, unit, value):
    """The same loop written out, with one number changed at one step."""
    h, states = jnp.zeros(3), []
    for step, x in enumerate(xs):
        h = h.at[unit].set(value) if (key, step) == ("carry", t) else h
        h = jnp.tanh(h * w + x)
        h = h.at[unit].set(value) if (key, step) == ("tanh", t) else h
        states.append(h)
    return jnp.sum(h) + jnp.mean(jnp.stack(states) ** 2)


@pytest.mark.parametrize(("name", "key"), [("cell/tanh", "tanh"), ("cell/h", "carry")])
@pytest.mark.parametrize("t", [0, 2, 3])
def test_one_iteration_of_a_scan_is_changed(name, key, t):
    edited = whatif.editor(rnn, name, W, STEPS)
    found = edited((W, STEPS), whatif.put(edited.graph, name, (t, 1), 0.3))
    same(found[:2], jax.value_and_grad(rnn_by_hand)(W, STEPS, key, t, 1, 0.3))
    same(found[2].grad("xs"), jax.grad(rnn_by_hand, argnums=1)(W, STEPS, key, t, 1, 0.3))
    assert found[2].value(name)[t, 1] == np.float32(0.3)


def test_a_scan_in_a_scan_and_a_reversed_one():
    def nested(xs):
        def outer(c, row):
            return lax.scan(lambda d, x: (jnp.sin(d + x), None), c, row, reverse=True)[0], None

        return lax.scan(outer, jnp.float32(0), xs)[0]

    def written_out(xs):
        c = jnp.float32(0)
        for i in range(4):
            for j in (2, 1, 0):
                c = jnp.sin(c + xs[i, j])
                c = jnp.float32(0.1) if (i, j) == (1, 2) else c
        return c

    edited = whatif.editor(nested, "outer/scan/sin", STEPS)
    found = edited((STEPS,), whatif.put(edited.graph, "outer/scan/sin", (1, 2), 0.1))
    same(found[:2], jax.value_and_grad(written_out)(STEPS))


@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint], ids=["jit", "remat"])
def test_inside_a_call(wrap):
    def called(w, change=lambda h: h):
        inner = wrap(lambda w: jnp.sum(change(jnp.sin(w)) ** 2))
        return inner(w) + jnp.sum(w)

    edited = whatif.editor(lambda w: called(w), next(n.id for n in engine.trace(called, W).nodes if n.op == "sin"), W)
    found = edited((W,), whatif.put(edited.graph, edited.nodes[0], 1, 5.0))
    same(found[:2], jax.value_and_grad(called)(W, lambda h: h.at[1].set(5.0)))


def branching(w, p):
    return jnp.sum(lax.cond(p > 0, lambda w: jnp.sin(w) ** 2, lambda w: jnp.cos(w) ** 3, w))


@pytest.fixture(scope="module")
def branch():
    return whatif.editor(branching, ("cond/if_true/sin", "gt"), W, np.float32(1))


def test_inside_a_branch(branch):
    found = branch((W, np.float32(1)), whatif.put(branch.graph, "cond/if_true/sin", 0, 0.5))
    same(found[:2], jax.value_and_grad(lambda w: jnp.sum(jnp.sin(w).at[0].set(0.5) ** 2))(W))


def test_another_branch_taken_is_a_change_of_what_ran(branch):
    before = branch((W, np.float32(1)))
    after = branch((W, np.float32(1)), whatif.put(branch.graph, "gt", (), False))
    same(after[0], np.sum(np.cos(W) ** 3))
    found = whatif.changes(before[2], after[2])
    for name in ("cond/if_true/sin", "cond/if_false/cos"):
        assert found[branch.graph.node(name).id].value == whatif.Moved(1.0, 0.0)


# ---- what can't be changed -------------------------------------------------------------------------------------------


def refused(fun, key, *args):
    with pytest.raises(WhatIfError) as caught:
        whatif.editor(fun, key, *args)
    return str(caught.value)


def test_what_a_scan_passes_in_names_what_to_change_instead():
    assert refused(rnn, "cell/x", W, STEPS) == "cell/x is what a scan passes in unchanged: change xs instead."
    assert refused(rnn, "cell/shared", W, STEPS).endswith("unchanged: change w instead.")


def test_the_inside_of_a_while_loop_runs_as_a_whole():
    def growing(w):
        return jnp.sum(w) * lax.while_loop(lambda v: v < 50, lambda v: v * v, 2.0)

    assert refused(growing, "while/mul", W) == (
        "while/mul can't be changed, for it lies inside what runs as a whole. A while_loop may run any number of "
        "times, so JAX keeps no list of its steps to walk back through. Write lax.scan or fori_loop with a fixed "
        "number of steps to read it."
    )


def test_random_keys_are_no_numbers():
    def noisy(w, key):
        return jnp.sum(w * jax.random.normal(key, (3,)))

    assert refused(noisy, "key", W, jax.random.key(0)) == "key can't be changed: it holds key<fry>, not numbers."


def test_an_unknown_node_is_named_with_what_is_close():
    with pytest.raises(engine.UnknownNodeError, match="Did you mean 'loss/tanh'"):
        whatif.editor(mine, "tanhh", PARAMS, X, Y)


WRONG = {
    "This editor was made for h, params.w, x, not for y.": lambda g: whatif.put(g, "y", 0, 1.0),
    "h reads in shape (5, 4); a change came with mask (3,) and values ().": lambda g: whatif.Change(
        "h", np.ones(3, bool), 0.0
    ),
    "h reads as float32[5, 4]; (0, 9) there can't be set: index 9 is out of bounds for axis 1 with size 4.": (
        lambda g: whatif.put(g, "h", (0, 9), 1.0)
    ),
    "axis=1: units are counted along an axis from the back; write axis=-1 for the last.": lambda g: whatif.ablate(
        g, "h", 0, 1
    ),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_a_wrong_change_is_one_sentence(edited, sentence):
    with pytest.raises(WhatIfError) as caught:
        edited((PARAMS, X, Y), WRONG[sentence](edited.graph))
    assert str(caught.value) == sentence


def test_other_arguments_than_it_was_compiled_for_are_refused(edited):
    with pytest.raises(WhatIfError) as caught:
        edited((PARAMS, X[:2], Y))
    assert str(caught.value) == "x was compiled for shape (5, 3), and came with (2, 3)."
    with pytest.raises(WhatIfError, match="was compiled for PyTreeDef"):
        edited((PARAMS, X))


# ---- before and after ------------------------------------------------------------------------------------------------


def test_where_the_change_does_not_reach_no_bit_moves(edited, before, after):
    found = whatif.changes(before[2], after[2])
    moved = {edited.graph.node(id).name for id, change in found.items() if change.value != whatif.STILL}
    behind = {"h", *(node.name for node in edited.graph.nodes[edited.graph.nodes.index(edited.graph.node("h")) :])}
    assert moved == behind


def test_the_gradients_that_feel_the_change_are_found(edited, before, after):
    found = whatif.changes(before[2], after[2])
    assert found[edited.graph.node("params.v").id].value == whatif.STILL
    assert found[edited.graph.node("params.v").id].grad.share > 0.4


def test_how_far_it_moved(before, after):
    moved = whatif.changes(before[2], after[2])[after[2].graph.node("h").id].value
    steps = np.abs(np.asarray(after[2].value("h"), np.float64) - np.asarray(before[2].value("h"), np.float64))
    assert moved.share == 2 / 20
    assert moved.largest == pytest.approx(steps.max(), rel=1e-6)


def test_both_ways_of_comparing_agree(before, after):
    quick, careful = (whatif.changes(before[2], after[2], tolerance) for tolerance in (0.0, 1e-30))
    assert quick.keys() == careful.keys()
    for id, moved in quick.items():
        assert moved.grad.share == careful[id].grad.share
        assert moved.grad.largest == pytest.approx(careful[id].grad.largest, rel=1e-6)


def test_nothing_changed_is_nothing_found(edited, before):
    assert whatif.changes(before[2], edited((PARAMS, X, Y))[2]) == {}


def test_nothing_is_found_within_a_tolerance(before, after):
    assert whatif.changes(before[2], after[2], tolerance=10.0) == {}


A = np.array([1.0, np.nan, 3.0, np.inf])


def test_marks_tell_nan_from_a_number_and_not_from_nan():
    assert whatif.marks(A, A).tolist() == [False] * 4
    assert whatif.marks(A, np.array([1.0, 2.0, np.nan, -np.inf])).tolist() == [False, True, True, True]
    assert whatif.marks(A, np.array([1.0, 2.0, np.nan, -np.inf]), 0.5).tolist() == [False, True, True, True]


THREE, DELTA = np.array([1.0, 3.0]), np.array([0.0, 0.3])


def test_a_tolerance_is_relative_to_the_largest_entry():
    assert whatif.marks(THREE, THREE + DELTA, 0.11).tolist() == [False, False]
    assert whatif.marks(THREE, THREE + DELTA, 0.09).tolist() == [False, True]


def test_entries_that_ran_once_only_are_marked():
    before, after = (np.ma.MaskedArray([1.0, 2.0, 3.0], mask) for mask in ([1, 0, 1], [0, 0, 1]))
    assert whatif.marks(before, after).tolist() == [True, False, False]


def test_a_number_that_stops_being_finite_moved_infinitely():
    edited = whatif.editor(lambda w: jnp.sum(jnp.log(w)), "w", np.ones(2, np.float32))
    args = (np.ones(2, np.float32),)
    found = whatif.changes(edited(args)[2], edited(args, whatif.put(edited.graph, "w", 0, -1.0))[2])
    assert found[edited.graph.node("log").id].value == whatif.Moved(0.5, np.inf)


def test_statistics_can_not_be_compared():
    edited = whatif.editor(mine, "h", PARAMS, X, Y, probe="stats")
    reading = edited((PARAMS, X, Y))[2]
    with pytest.raises(WhatIfError, match="holds statistics, not arrays"):
        whatif.changes(reading, reading)


def test_readings_of_two_graphs_can_not_be_compared(before, branch):
    with pytest.raises(WhatIfError, match="are different graphs"):
        whatif.changes(before[2], branch((W, np.float32(1)))[2])
