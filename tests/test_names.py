"""Names for leaves, duplicates and folds."""

from __future__ import annotations

import dataclasses
import enum
from functools import partial

import jax
import numpy as np
import pytest

from engine.names import Leaf, Names, function_name, leaves, plain


def names(fun, *args, **kwargs) -> list[str]:
    return [leaf.name for leaf, _ in leaves(fun, args, kwargs)]


def test_a_second_one_of_a_name_is_numbered():
    given = Names(reserved=["x"])
    assert [given.unique(name) for name in ("h", "h", "h", "x", "h#2")] == ["h", "h#2", "h#3", "x#2", "h#2#2"]


def test_a_name_never_looks_like_an_id():
    assert Names([]).unique("%7") == "_%7"


def test_leaves_are_named_by_their_path():
    tree = {"layers": [{"w": 1.0}, {"w": 2.0}], "scale": (3.0, None)}
    assert names(lambda params: 0, tree) == ["params.layers.0.w", "params.layers.1.w", "params.scale.0"]


def test_a_dataclass_is_named_by_its_fields():
    @jax.tree_util.register_dataclass
    @dataclasses.dataclass
    class Layer:
        w: float
        b: float

    assert names(lambda p: 0, Layer(1.0, 2.0)) == ["p.w", "p.b"]


def test_a_leaf_knows_its_argument_and_its_keys():
    ((leaf, value),) = leaves(lambda params: 0, ({"a": [5.0]},), {})
    assert (leaf, value) == (Leaf("params.a.0", "params", ("a", "0")), 5.0)


def test_a_custom_node_without_keys_counts_its_children():
    @jax.tree_util.register_pytree_node_class
    class Pair:
        def tree_flatten(self):
            return (1.0, 2.0), None

        @classmethod
        def tree_unflatten(cls, aux, children):
            return cls()

    assert names(lambda p: 0, Pair()) == ["p.0", "p.1"]


def test_a_name_stands_on_one_line():
    assert names(lambda p: 0, {"two\nlines\r\n": 1.0}) == ["p.two lines"]


def test_surplus_arguments_are_numbered_after_the_star():
    assert names(lambda a, *rest: 0, 1.0, 2.0, 3.0) == ["a", "rest.0", "rest.1"]


def test_keyword_arguments_are_sorted():
    assert names(lambda **k: 0, b=1.0, a=2.0) == ["a", "b"]


@pytest.mark.parametrize(
    ("function", "name"),
    [(leaves, "leaves"), (partial(leaves, 1), "leaves"), (lambda: 0, "the function"), (Names([]), "Names")],
)
def test_what_a_function_is_called_in_a_sentence(function, name):
    assert function_name(function) == name


class Mode(enum.Enum):
    FAST = 1


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ((1, [2, 3.0]), (1, (2, 3.0))),
        (np.dtype("float32"), "float32"),
        (Mode.FAST, "Mode.FAST"),
        (jax.lax.GatherScatterMode.CLIP, str(jax.lax.GatherScatterMode.CLIP)),
        (True, True),
    ],
)
def test_parameters_are_kept_as_plain_hashable_values(value, kept):
    assert plain({"p": value}) == (("p", kept),)
    hash(plain({"p": value}))


def test_programs_and_functions_in_parameters_are_left_out():
    assert plain({"jaxpr": jax.make_jaxpr(lambda x: x)(1.0), "call": print, "n": 1}) == (("n", 1),)


def test_parameters_are_sorted_by_name():
    assert plain({"b": 1, "a": 2}) == (("a", 2), ("b", 1))
