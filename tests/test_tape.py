"""The tape on the whole corpus: values, gradients, contributions, against JAX and against perturbation."""

from __future__ import annotations

import jax
import pytest

import engine
from engine.check import Checker
from engine.fusing import compiled
from engine.tape import signature
from tests.programs import CASES, Case

ROUNDING = 3e-6


@pytest.mark.parametrize(
    ("stack", "id"), [("", ""), ("layer", ""), ("⟦%3⟧", "%3"), ("transpose(jvp(⟦%7⟧/layer/⟦%7/2⟧))", "%7/2")]
)
def test_a_name_stack_says_which_step_it_belongs_to(stack: str, id: str) -> None:
    assert signature(stack) == id


@pytest.fixture(
    params=[pytest.param(case, id=case.name, marks=pytest.mark.slow if case.slow else ()) for case in CASES]
)
def case(request):
    with jax.enable_x64(request.param.x64):
        yield request.param


def test_agrees_with_jax_node_by_node(case: Case) -> None:
    derived = (derive(case.fun) for derive in (engine.value_and_grad, jax.value_and_grad))
    graph = engine.trace(case.fun, *case.args)
    mine, exact = (compiled(each, graph, *case.args) for each in derived)
    report = Checker.of(case.fun, (case.args, {}), mine[2]).report((case.args, {}), mine, exact)
    assert report.ok, f"\n{report}"
    assert jax.tree.structure(mine[1]) == jax.tree.structure(exact[1])
