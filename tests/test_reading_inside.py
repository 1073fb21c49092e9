"""What one step computed inside loops, branches and custom rules."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import engine
from tests.test_reading import STEPS, XS, W, X, read, rnn, same, wanted

# ---- loops -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loop():
    return read(rnn, W, STEPS)


def by_hand(w, xs):
    h, states = np.zeros(3), []
    for x in xs:
        states.append(np.tanh(h * w + x))
        h = states[-1]
    return np.array(states)


def test_a_value_in_a_loop_reads_stacked_time_first(loop):
    same(loop.value("cell/tanh"), by_hand(W, STEPS))
    assert loop.grad("cell/tanh").shape == (4, 3)


def test_the_state_of_an_iteration_is_that_of_the_one_before(loop):
    same(loop.value("cell/h"), np.concatenate([np.zeros((1, 3)), by_hand(W, STEPS)[:-1]]))


def test_position_t_belongs_to_element_t(loop):
    np.testing.assert_array_equal(loop.value("cell/x"), STEPS)
    same(loop.grad("cell/x"), loop.grad("xs"))


def test_what_every_iteration_shares_adds_up(loop):
    assert loop.grad("cell/shared").shape == (4, 3)
    same(np.sum(loop.grad("cell/shared"), axis=0), loop.grad("w"))
    same(loop.value("cell/shared"), np.broadcast_to(W, (4, 3)))


def test_backpropagation_through_time_by_hand(loop):
    states, later, wanted = by_hand(W, STEPS), np.ones(3), []
    for h in states[::-1]:
        total = later + 2 / states.size
        wanted.append(total)
        later = total * (1 - h * h) * W
    same(loop.grad("cell/tanh"), wanted[::-1])


def test_position_t_of_a_reversed_loop_belongs_to_element_t_too():
    def backwards(xs):
        carry, ys = lax.scan(lambda c, x: (c * x, c + 0 * x), jnp.float32(1), xs, reverse=True)
        return carry + jnp.sum(ys)

    reading = read(backwards, XS)
    same(reading.value("%1/1"), XS)
    same(reading.value("scan/c"), [np.prod(XS[t + 1 :]) for t in range(4)])
    same(reading.grad("xs"), jax.grad(backwards)(XS))


def test_a_loop_in_a_loop_reads_with_both_axes():
    def nested(xs):
        def outer(c, row):
            inner, _ = lax.scan(lambda d, x: (jnp.sin(d + x), None), c, row)
            return inner, None

        return lax.scan(outer, jnp.float32(0), xs)[0]

    xs = STEPS
    reading = read(nested, xs)
    found = reading.value("outer/scan/sin")
    state = 0.0
    for index in np.ndindex(4, 3):
        state = np.sin(state + xs[index])
        assert found[index] == pytest.approx(state, rel=1e-5)
    same(reading.grad("outer/scan/x"), jax.grad(nested)(xs))


def test_a_loop_of_no_iterations_reads_empty():
    def never(x):
        c, ys = lax.scan(lambda c, y: (jnp.sin(c), c * y), x, jnp.zeros((0,)))
        return jnp.sum(c) + jnp.sum(ys)

    reading = read(never, X)
    assert reading.value("scan/sin").shape == (0, 3)
    assert reading.stats("scan/sin")["value"]["l2"] == 0.0


# ---- branches and while ----------------------------------------------------------------------------------------------


def branching(x, p):
    return jnp.sum(lax.cond(p > 0, lambda x: jnp.sin(x), lambda x: jnp.cos(x), x))


@pytest.fixture(scope="module")
def branch():
    return read(branching, X, np.float32(1))


def test_the_branch_taken_reads(branch):
    same(branch.value("cond/if_true/sin"), np.sin(X))
    same(branch.grad("cond/if_true/sin"), np.ones(3))
    assert int(branch.branch("cond")) == 1


@pytest.mark.parametrize("ask", ["value", "grad", "contributions", "stats"])
def test_the_branch_not_taken_was_not_executed(branch, ask):
    with pytest.raises(engine.NotExecutedError) as caught:
        getattr(branch, ask)("cond/if_false/cos")
    assert str(caught.value) == (
        "cond/if_false/cos was not executed: this step took another branch around it (or a loop that ran zero times)."
    )


def test_the_branch_not_taken_sends_zeros_and_the_other_its_part(branch):
    found = {branch.graph.node(key).op: np.asarray(part) for key, part in branch.contributions("x").items()}
    same(found["sin"], np.cos(X))
    assert not found["cos"].any()


@pytest.fixture(scope="module")
def mixed():
    def walk(xs):
        def cell(c, x):
            return lax.cond(x > 0, lambda c: jnp.sin(c) + x, lambda c: jnp.cos(c), c), None

        return lax.scan(cell, jnp.float32(0.3), xs)[0]

    return read(walk, XS)


def test_iterations_that_took_another_branch_are_masked(mixed):
    taken = mixed.value("cell/cond/if_true/sin")
    assert taken.mask.tolist() == [False, False, True, False]
    assert mixed.value("cell/cond/if_false/cos").mask.tolist() == [True, True, False, True]
    assert taken[0] == pytest.approx(np.sin(0.3))
    assert mixed.branch("cell/cond").tolist() == [1, 1, 0, 1]
    assert mixed.executed("cell/cond/if_true/sin").tolist() == [True, True, False, True]
    assert mixed.executed("cell/c") is None


def test_statistics_are_over_the_iterations_that_ran(mixed):
    taken = mixed.value("cell/cond/if_true/sin").compressed()
    assert mixed.stats("cell/cond/if_true/sin")["value"] == pytest.approx(wanted(taken), rel=1e-4)


def looping(x, start):
    limit = lax.while_loop(lambda v: v < 50, lambda v: v * v, start)
    return jnp.sum(x) * limit


@pytest.fixture(scope="module")
def whiles():
    return read(looping, X, np.float32(2))


def test_a_while_loop_reads_forward_and_counts(whiles):
    assert float(whiles.value("while")) == 256.0
    assert int(whiles.iterations("while")) == 3
    assert float(whiles.value("while/mul")) == 256.0


def test_a_value_in_a_while_loop_has_no_gradient_and_says_why(whiles):
    with pytest.raises(engine.NoGradientError) as caught:
        whiles.grad("while/mul")
    assert str(caught.value) == (
        "while/mul has no gradient to read. A while_loop may run any number of times, so JAX keeps no list of its "
        "steps to walk back through. Write lax.scan or fori_loop with a fixed number of steps to read it."
    )
    assert set(whiles.stats("while/mul")) == {"value"}


def test_what_a_while_loop_returns_has_a_gradient(whiles):
    assert float(whiles.grad("while")) == pytest.approx(X.sum())


def test_what_enters_a_while_loop_has_none_and_says_why(whiles):
    with pytest.raises(engine.NoGradientError) as caught:
        whiles.grad("start")
    assert str(caught.value).startswith("start has no gradient to read: it would come back through while (")


def test_a_while_loop_that_never_ran_was_not_executed():
    reading = read(looping, X, np.float32(100))
    assert int(reading.iterations("while")) == 0
    with pytest.raises(engine.NotExecutedError):
        reading.value("while/mul")


def closing(x, step):
    n = lax.while_loop(lambda s: jnp.sum(s) < 10, lambda s: s * 1.5 + step, jnp.ones(3))
    return jnp.sum(x * n)


def test_what_the_body_of_a_while_loop_closes_over_reads_as_it_is():
    reading = read(closing, X, X + 5)
    same(reading.value("while/shared"), X + 5)
    assert reading.stats("while/shared")["value"] == pytest.approx(wanted(X + 5), rel=1e-4)
    assert "while/shared" in reading._repr_html_()


def test_inside_a_scan_it_reads_by_iteration():
    def scanned(xs):
        return lax.scan(lambda total, x: (total + closing(x, lax.stop_gradient(x) + 5), None), 0.0, xs)[0]

    reading = read(scanned, STEPS)
    name = next(node.name for node in reading.graph.nodes if node.kind == "shared")
    same(reading.value(name), STEPS + 5)
    assert reading.stats(name)["value"] == pytest.approx(wanted(STEPS + 5), rel=1e-4)


# ---- custom rules ----------------------------------------------------------------------------------------------------


def test_the_body_of_a_custom_rule_reads_forward_only():
    @jax.custom_vjp
    def clip(x):
        return jnp.sin(x) * 2

    clip.defvjp(lambda x: (clip(x), None), lambda _, g: (0 * g + 7,))
    reading = read(lambda x: jnp.sum(clip(x)), X)
    body = next(node for node in reading.graph.nodes if node.op == "sin")
    same(reading.value(body.id), np.sin(X))
    same(reading.grad("x"), np.full(3, 7.0))
    with pytest.raises(engine.NoGradientError) as caught:
        reading.grad(body.id)
    assert str(caught.value).endswith(
        "has no gradient to read. It has a derivative rule of its own, and that rule is what runs; its body is shown "
        "forward only."
    )
