"""The order in which a pass is told: which box is next, in Forward, Loss, Backward and Update."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from engine import ops
from engine.flow import has_gradient
from engine.fold import Box, Folded
from engine.graph import Graph

PHASES = ("Forward", "Loss", "Backward", "Update")


@dataclasses.dataclass(frozen=True, slots=True)
class Stop:
    """One position of the playhead: in a phase, at a box."""

    phase: str
    box: str


def stops(folded: Folded, parameters: Iterable[str]) -> tuple[Stop, ...]:
    """Every position of the playhead but the first, where only the inputs are known.

    Args:
        folded: what is seen.
        parameters: ids of the argument leaves that are differentiated.

    Returns:
        Forward in the order of the program; Loss: what comes after the last use of a parameter; Backward in reverse, a
        parameter right after the last of its consumers; Update: every box that holds parameters.
    """
    leaves = set(parameters)
    graph = folded.graph
    before = _before_last_use(folded, leaves)
    computed = [box for box in folded.boxes if not _given(graph, box)]
    late = [box for box in computed if box.id not in before] or computed[-1:]
    ends = {box.id for box in late}
    early = [box for box in computed if box.id not in ends]
    holders = [box for box in folded.boxes if not leaves.isdisjoint(box.members)]
    return (
        *(Stop("Forward", box.id) for box in early),
        *(Stop("Loss", box.id) for box in late),
        *(Stop("Backward", box.id) for box in _backward(folded, early + late, holders)),
        *(Stop("Update", box.id) for box in holders),
    )


def _given(graph: Graph, box: Box) -> bool:
    return graph.node(box.shows).op in ("input", "constant") and not box.scope


def _before_last_use(folded: Folded, leaves: set[str]) -> set[str]:
    """Boxes that use a parameter, and those that lead to such a box."""
    entering = set(leaves)
    for node in folded.graph.nodes:  # what a loop or a reshape passes on of a parameter is still the parameter
        same = node.kind in ("shared", "slice") or ops.is_plumbing(node.op)
        if same and not entering.isdisjoint(node.inputs):
            entering.add(node.id)
    box_of, nodes = folded.box_of, folded.graph.nodes
    found = {box_of[node.id] for node in nodes if not entering.isdisjoint(node.inputs)}
    leads = [(wire.source, wire.target) for wire in folded.wires]
    leads += [
        (box_of[node.id], box_of[place.owner]) for node in nodes for place in node.places if place.owner in box_of
    ]
    before = -1
    while before < len(found):  # the carry of a scan leads back to boxes already passed
        before = len(found)
        for source, target in reversed(leads):
            if target in found:
                found.add(source)
    return found


def _backward(folded: Folded, computed: list[Box], holders: list[Box]) -> list[Box]:
    graph = folded.graph
    readable = {
        box.id for box in folded.boxes if has_gradient(graph.node(box.shows)) and not graph.node(box.shows).note
    }
    given = {box.id: box for box in holders if _given(graph, box) and box.id in readable}
    left: dict[str, set[str]] = {id: set() for id in given}  # users that nothing has come back from yet
    users: dict[str, dict[str, None]] = {}
    for wire in folded.wires:
        if wire.source in given and wire.kind == "use":
            left[wire.source].add(wire.target)
            users.setdefault(wire.target, {})[wire.source] = None
    order = []
    waiting = [id for id in given if not left[id]]
    for box in reversed(computed):
        order += [box] if box.id in readable else []
        for id in users.get(box.id, ()):
            left[id].discard(box.id)
            waiting += [] if left[id] else [id]
        order += [given[id] for id in waiting]
        waiting = []
    return order
