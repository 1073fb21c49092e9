"""A user's function as text, JSON, DOT or SVG, without a page."""

from __future__ import annotations

import dataclasses
import json
import os

from engine import Graph, value_and_grad
from engine.errors import EngineError, NotScalarError
from engine.fold import Folded, fold, in_parts, layers, operations
from engine.fusing import compiled
from engine.grad import check_returned
from engine.graph import shape_text
from engine.numbers import Numbers
from engine.trace import program, trace
from explorer import dot, svg
from explorer.dot_process import engine
from explorer.figures import Figures, figures
from explorer.layout import Layouts, fitting, lay_out
from explorer.scene import scene, sizes
from explorer.steps import stops
from explorer.target import Target


def draw(target: Target, form: str, unfolded: bool, graphviz: str) -> str:
    """The graph of a function.

    Args:
        target: the function and its example arguments.
        form: ``text``, ``json``, ``dot`` or ``svg``.
        unfolded: whether every operation is shown, not only the layers.
        graphviz: which engine lays the picture out.
    """
    graph = trace(target.fun, *target.args)
    if form == "text":
        return as_text(graph)
    if form == "json":
        return json.dumps(as_dict(graph), indent=1, ensure_ascii=False)
    parameters = _parameters(graph)
    graph = in_parts(graph, hidden=parameters)
    opened = operations(graph) if unfolded else layers(graph, parameters)
    folded = fold(graph, opened, parameters)
    return dot.document(folded) if form == "dot" else _picture(target, folded, graphviz)


def doubt(target: Target) -> str:
    """Why a function that can be drawn is no loss; nothing if it is one."""
    try:
        check_returned(program(target.fun, target.args, {}), has_aux=False)
    except NotScalarError as error:
        return str(error)
    return ""


def _parameters(graph: Graph) -> tuple[str, ...]:
    return tuple(id for id in graph.inputs if "." in graph.node(id).name)


def _picture(target: Target, folded: Folded, graphviz: str) -> str:
    room = sizes(folded)
    with engine(graphviz) as running:
        layouts = Layouts(running)
        layout = fitting(lambda way: lay_out(folded, room, layouts, way), (1400.0, 900.0))
    drawn = scene(folded, layout, stops(folded, _parameters(folded.graph)), _parameters(folded.graph))
    return svg.render(drawn, _figures(target, folded))


def _figures(target: Target, folded: Folded) -> Figures | None:
    """The numbers, where the function is a loss; any other function is drawn without."""
    try:
        _, _, reading = compiled(value_and_grad(target.fun), folded.graph, *target.args)
    except EngineError:
        return None
    return figures(folded, Numbers(reading.over(folded.graph)))


def as_text(graph: Graph) -> str:
    """One line a node: id, name, operation, shape, what it reads, where it was made; scopes as headings."""
    lines = [f"{graph.name}: {len(graph.nodes)} nodes, {len(graph.edges)} edges, {len(graph.scopes)} scopes"]
    before = ""
    here = f"{os.getcwd()}{os.sep}"
    for node in graph.nodes:
        if node.scope != before:
            before = node.scope
            lines.append(f"\n{before or graph.name}  {graph.scope(before).label if before else ''}".rstrip())
        reads = ", ".join(map(str, node.operands))
        name = node.name.removeprefix(f"{before}/")
        made = node.source.removeprefix(here)
        lines.append(f"  {node.id:<8} {name:<28} {node.op:<20} {shape_text(node):<18} {reads:<24} {made}".rstrip())
    return "\n".join(lines)


def as_dict(graph: Graph) -> dict[str, object]:
    """The graph as plain data."""
    nodes = [
        {
            "id": node.id,
            "name": node.name,
            "op": node.op,
            "kind": node.kind,
            "shape": list(node.shape),
            "dtype": node.dtype,
            "scope": node.scope,
            "source": node.source,
            "inputs": list(node.inputs),
            "operands": [
                operand if isinstance(operand, str) else {"literal": str(operand)} for operand in node.operands
            ],
            "iterations": list(node.iterations),
            "note": node.note,
        }
        for node in graph.nodes
    ]
    return {
        "name": graph.name,
        "nodes": nodes,
        "edges": [dataclasses.asdict(edge) for edge in graph.edges],
        "scopes": [dataclasses.asdict(scope) for scope in graph.scopes],
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
    }
