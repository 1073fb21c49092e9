"""DOT text: whatever a user calls things, Graphviz gets it whole and gives it back unchanged."""

from __future__ import annotations

import html
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pygraphviz
import pytest

from explorer import dot
from explorer.dot_process import engine
from explorer.layout import Layouts
from tests.sheets import laid_out, sheet

HOSTILE = [
    'a"b',
    "back\\slash",
    "ends in \\",
    "\\N \\G \\l",
    "<b>bold</b>",
    "<b>",
    "a & b",
    "&amp; &#65;",
    "]; rm -rf",
    "} digraph {",
    "node",
    "strict",
    "%7/2",
    "a -> b",
    "// comment",
    "ünïcödé ∂L/∂w",
    "🧠👩‍🔬",
    "שלום עולם",
    "x" * 500,
    "'; DROP TABLE",
    "${HOME} `ls`",
]


@pytest.fixture(scope="module")
def running():
    with engine() as found:
        yield found


def named(name: str):
    """A function called so, with an argument called so, in a scope called so."""

    def fun(params):
        with jax.named_scope("scope"):
            return jnp.sin(params[name]) * params[name]

    fun.__name__ = name
    return sheet(fun, {name: np.float32(1.0)})


def shown(text: str) -> list[str]:
    """What Graphviz writes into its picture."""
    graph = pygraphviz.AGraph(string=text)
    picture = graph.draw(format="svg", prog="dot").decode()
    graph.close()
    return [html.unescape(found) for found in re.findall(r"<text[^>]*>(.*?)</text>", picture, re.DOTALL)]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_as_it_is(name):
    assert f"params.{name}" in shown(dot.document(named(name)))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_leaves_the_ids_alone(name, running):
    answer = json.loads(running.lay_out(dot.document(named(name))))
    assert [item["name"] for item in answer["objects"] if "pos" in item] == ["n0", "n1", "n2"]
    assert len(answer["edges"]) == 3


@pytest.mark.parametrize("name", ["digraph", 'quo"te', "back\\slash\\", '"', "<lambda>", "%3", "a & b"])
def test_a_hostile_function_name_is_one_quoted_word(name):
    first = dot.document(named(name)).splitlines()[0]
    assert re.fullmatch(r'digraph (\w+|"([^"\\]|\\.)*") \{', first)


@pytest.mark.parametrize(("text", "written"), [("a\x07b", "a�b"), ("\x1b[31m", "�[31m"), ("a\x00b", "a�b")])
def test_a_character_that_no_picture_holds_is_marked(text, written):
    assert f"params.{written}" in shown(dot.document(named(text)))


def test_a_line_break_in_a_name_is_a_space():
    assert "params.one two" in shown(dot.document(named("one\ntwo")))


@pytest.mark.parametrize("character", ["\ud800", "\x00", "\x0b", "\uffff"])
def test_unwritable_characters_are_replaced(character):
    assert dot.writable(f"a{character}b") == "a\ufffdb"


def test_writable_text_stays_the_same():
    assert dot.writable("tab\t line\n 👩‍🔬 \u200f שלום") == "tab\t line\n 👩‍🔬 \u200f שלום"


class Listening:
    """An engine that remembers what it was asked."""

    def __init__(self, engine):
        self.engine = engine
        self.asked: list[str] = []

    def lay_out(self, text, limit):
        self.asked.append(text)
        return self.engine.lay_out(text, limit)

    def close(self): ...


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_reaches_the_layout_program(name, running):
    listening = Listening(running)
    laid_out(named(name), Layouts(listening))
    plain = Listening(running)
    laid_out(named("w" * len(name)), Layouts(plain))
    assert listening.asked == plain.asked


def test_equal_blocks_have_equal_texts(running):
    def block(w, x):
        return jnp.tanh(w * x) * x

    def twice(w, x):
        return block(w["b"], block(w["a"], x)) * 2.0

    listening = Listening(running)
    laid_out(sheet(twice, {"a": 1.0, "b": 2.0}, 3.0), Layouts(listening))
    assert len(listening.asked) == 2  # one for both blocks, one around them


def test_parallel_edges_are_one_with_a_count():
    def inner(x):
        return jnp.sin(x) * x

    text = dot.document(sheet(lambda x: inner(x) + 1.0, np.float32(3.0), granularity="none"))
    assert re.findall(r"n0 -> n1 \[.*\]", text) == ['n0 -> n1 [label="×2" style=solid]']


def test_the_document_is_read_by_pygraphviz_with_its_clusters():
    def inner(x):
        return jnp.sin(x) * x

    found = pygraphviz.AGraph(string=dot.document(sheet(lambda x: inner(x) + 1.0, np.ones((2, 3), np.float32))))
    assert next(node.attr["label"] for node in found.nodes()) == "x\\nfloat32 2×3"
    assert [cluster.graph_attr["label"] for cluster in found.subgraphs()] == ["inner"]
    found.close()


def test_carries_and_looks_have_lines_of_their_own():
    def loop(x):
        return jax.lax.scan(lambda c, _: (jnp.sin(c), None), x, None, length=3)[0]

    def endless(x):
        return x + jax.lax.while_loop(lambda v: v < 9, lambda v: v * v, jnp.float32(2.0))

    assert dot.document(sheet(loop, np.float32(1), granularity="all")).count("style=dashed") == 1
    assert dot.document(sheet(endless, np.float32(1), granularity="all")).count("style=dotted") >= 1


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_an_open_scope_docks_its_wires_on_two_sides(direction, running):
    def inner(x, y):
        return jnp.sin(x) * y + x

    listening = Listening(running)
    laid_out(sheet(lambda x, y: inner(x, y) * 2.0, 1.0, 2.0), Layouts(listening), direction)
    assert sorted(re.findall(r'PORT="(\w+)"', listening.asked[-1])) == ["i0", "i1", "o0"]
    assert f":o0:{'e' if direction == 'LR' else 's'} -> " in listening.asked[-1]
