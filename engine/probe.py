"""What to watch of a program: chosen by the user as a :class:`Probe`, resolved on a graph to a :class:`Plan`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from functools import partial

from engine import compat, exposure, kernel
from engine.errors import EngineError
from engine.flow import blocked, downstream, has_gradient, senders, upstream
from engine.graph import OUTPUT, Graph, Node
from engine.sources import Handed, Handing, Key, Whole, arrived, measured, passed, written

_PARTS = ("value", "grad", "contributions")
_WAYS = ("full", "stats")


class ProbeError(EngineError, ValueError):
    """The probe asks for something that there isn't."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """What a watched step returns. Hashable: a step is compiled for its probe.

    Attributes:
        nodes: ids, names or scopes to watch; ``None`` for every node.
        what: any of ``"value"``, ``"grad"`` and ``"contributions"`` (what each consumer sends back).
        how: ``"full"`` arrays, or ``"stats"``: seven numbers an array.
    """

    nodes: tuple[str, ...] | None = None
    what: tuple[str, ...] = _PARTS
    how: str = "full"

    def __post_init__(self) -> None:
        given: tuple[object, ...] = (self.nodes, self.what)
        if any(isinstance(part, str) for part in given):
            raise ProbeError("Probe takes tuples: write Probe(nodes=('h',), what=('value', 'grad')).")
        object.__setattr__(self, "nodes", None if self.nodes is None else tuple(self.nodes))
        object.__setattr__(self, "what", tuple(self.what))
        unknown = [part for part in self.what if part not in _PARTS]
        if unknown:
            raise ProbeError(f"Probe can't record {unknown[0]!r}; what it can: {', '.join(_PARTS)}.")
        if self.how not in _WAYS:
            raise ProbeError(f"Probe can't record {self.how!r}; write how='full' or how='stats'.")


FULL = Probe()
STATS = Probe(what=("value", "grad"), how="stats")


def as_probe(probe: str | Probe) -> Probe:
    """A probe from its short form, ``"full"`` or ``"stats"``."""
    if isinstance(probe, Probe):
        return probe
    short = {"full": FULL, "stats": STATS}
    if probe not in short:
        raise ProbeError(f"probe={probe!r} is neither 'full' nor 'stats' nor an engine.Probe(...).")
    return short[probe]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A probe, resolved: which nodes and uses are recorded, and where the backward pass must not go."""

    values: frozenset[str]
    grads: frozenset[str]
    uses: frozenset[str]
    """Keys (:func:`use`) of the uses that have a tap of their own."""
    how: str
    active: frozenset[str]
    """Nodes that depend on an argument that is differentiated."""
    still: frozenset[str] = frozenset()
    """Of statistics: nodes that nothing comes back to, because no way of derivatives leads on to the loss."""
    given: frozenset[str] = frozenset()
    """Nodes that other numbers stand in for, so that what is before them has none of theirs."""
    handed: tuple[tuple[Key, Handed | Whole], ...] = ()
    """Of statistics: what isn't measured, because an iteration hands it on to the next, where it is, or has a part."""
    again: tuple[tuple[Key, str], ...] = ()
    """Of whole arrays: what has the numbers of another node's, which is recorded, in the same order."""
    cut: frozenset[str] = frozenset()
    """Equations without a derivative whose operands don't depend on such an argument: nothing is sent into them."""
    later: frozenset[str] = frozenset()
    """Of statistics: nodes outside loops and branches, whose arrays are measured at the end of the step, together."""
    inside: frozenset[str] = frozenset()
    """Of statistics: nodes measured where they are made. The rest of those in loops are stacked, and measured then."""
    held: frozenset[str] = frozenset()
    """Of statistics made by :mod:`engine.kernel`: values in memory, so that sums of them needn't be (`engine.sums`)."""
    bare_values: frozenset[str] = frozenset()
    bare_gradients: frozenset[str] = frozenset()
    """What leaves the step without a copy (:mod:`engine.exposure`)."""

    @property
    def graded(self) -> frozenset[str]:
        """Nodes whose gradient is read, or is another's that is."""
        return self.grads.union(id for (what, id), _ in self.again if what == "grad")

    def forward_only(self) -> Plan:
        """The same values, no gradients."""
        return dataclasses.replace(self, grads=frozenset(), uses=frozenset(), again=())


def resolve(
    graph: Graph,
    probe: Probe,
    arguments: Iterable[str],
    cut: frozenset[str] = frozenset(),
    given: frozenset[str] = frozenset(),
) -> Plan:
    """Which nodes a probe means on a graph.

    Args:
        graph: the traced function.
        probe: what to watch.
        arguments: ids of the argument leaves that are differentiated.
        cut: ids of equations that turned out to have no derivative.
        given: ids of nodes that other numbers stand in for.

    Raises:
        UnknownNodeError: the probe names a node that the graph doesn't have.
    """
    chosen = graph.nodes if probe.nodes is None else tuple(_chosen(graph, probe.nodes))
    active = downstream(graph, arguments)
    cut = cut | {node.id for node in graph.nodes if node.op == "while" and not active & set(node.inputs)}
    unread = blocked(graph, cut)
    ids = frozenset(node.id for node in chosen if node.kind != "reference")
    readable = _unhindered(graph, unread)
    floating = readable & {node.id for node in chosen}
    full = probe.how == "full"
    source = partial(written, allowed=ids) if full else measured
    live = upstream(graph, graph.outputs[:1])
    sending = senders(graph, live)
    arrival = partial(passed, allowed=floating) if full else partial(arrived, allowed=readable)
    found = {id: source(graph, graph.node(id), given=given) for id in ids} if "value" in probe.what else {}
    values = set(found.values())
    told = not full and "value" in probe.what  # a reading of nothing but zeros wouldn't say for how many examples
    still = frozenset() if not told else _filled(graph, floating - live)
    backward = not {"grad", "contributions"}.isdisjoint(probe.what)
    sent = {id: arrival(graph, graph.node(id), sending=sending, given=given) for id in floating - still if backward}
    arrivals = set(sent.values())
    handed = {} if full else _handed_on(Handing(graph, readable & live, sending, given), values, arrivals)
    shared = frozenset(_shared_uses(graph, floating)) if full else frozenset()
    held = exposure.held_values(graph)
    return Plan(
        values=frozenset(filter(None, values)),
        grads=frozenset(arrivals),
        uses=shared if "contributions" in probe.what else frozenset(),
        how=probe.how,
        active=active,
        given=given,
        handed=tuple(sorted(handed.items())),
        again=_said_again(graph, found, sent) if full else (),
        still=still if backward else frozenset(),
        cut=cut,
        later=frozenset(node.id for node in graph.nodes if not full and _runs_once(node)),
        inside=frozenset(node.id for node in graph.nodes if not full and not _stacks(node)),
        held=held if kernel.available() and not full else frozenset(),
        bare_values=exposure.bare_values(graph, held),
        bare_gradients=exposure.bare_gradients(graph, active, sending),
    )


def _handed_on(handing: Handing, values: set[str], arrivals: set[str]) -> dict[Key, Handed | Whole]:
    """What follows from other statistics, out of what was to be measured: it is taken away, and the others added."""
    found: dict[Key, Handed | Whole] = {}
    for what, ids, of in (("value", values, handing.value), ("grad", arrivals, handing.gradient)):
        left = list(filter(None, ids))
        while left:
            id = left.pop()
            node = handing.graph.node(id)
            handed = of(id) if _runs_once(node) or not _stacks(node) else None
            if handed:
                found[what, id] = handed
                ids.discard(id)
                left += set(handed.of) - ids
                ids |= set(handed.of)
    return found


def _said_again(graph: Graph, values: dict[str, str], gradients: dict[str, str]) -> tuple[tuple[Key, str], ...]:
    """What has another node's numbers. What a loop passes in has those from outside in any case."""
    passed_in = {id for id in values if graph.node(id).kind in ("shared", "slice")}
    found = [(("value", id), of) for id, of in values.items() if of not in ("", id) and id not in passed_in]
    return tuple(sorted(found + [(("grad", id), of) for id, of in gradients.items() if of != id]))


def _chosen(graph: Graph, keys: Iterable[str]) -> Iterable[Node]:
    scopes = {scope.id for scope in graph.scopes}
    for key in keys:
        if key in scopes and key not in graph:
            yield from graph.members(key)
        else:
            yield graph.node(key)


STACKED = 2**22
"""How many entries of a loop's iterations are kept to be measured together; of more, each iteration's are by itself."""

ONE_BY_ONE = 2**5
"""The same of the entries of one iteration, where measuring them costs less than keeping them: by `engine.kernel`, on a
CPU. A GPU takes longer to begin with it once more than to measure them."""

BRANCHED = 2**12
"""The same for what a branch or a while_loop hands out, which is copied on its way."""


def _unhindered(graph: Graph, unread: frozenset[str]) -> frozenset[str]:
    """Nodes whose gradient can be read."""
    return frozenset(node.id for node in graph.nodes if has_gradient(node) and not node.note) - unread


def _filled(graph: Graph, ids: Iterable[str]) -> frozenset[str]:
    """Those that have any entries."""
    return frozenset(id for id in ids if 0 not in (*graph.node(id).iterations, *graph.node(id).shape))


def _runs_once(node: Node) -> bool:
    return all(place.kind == "custom" for place in node.places)


def _stacks(node: Node) -> bool:
    """Whether the arrays of all iterations are few enough to be kept until they are measured."""
    moved = any(place.kind in ("branch", "while") for place in node.places)
    size = math.prod(node.shape)
    if _runs_once(node):
        return True
    if size > ONE_BY_ONE and compat.on_cpu() and kernel.available():
        return False
    return size * math.prod(node.iterations) <= (BRANCHED if moved else STACKED)


def use(source: object, consumer: object) -> str:
    """Key of the use of a node by one of its consumers."""
    return f"{source}>{consumer}"


def _shared_uses(graph: Graph, nodes: Iterable[str]) -> Iterable[str]:
    """Uses that need a tap of their own: with a single consumer the node's gradient is its contribution."""
    for id in nodes:
        consumers = graph.consumers(id)
        if len(consumers) > 1:
            yield from (use(id, consumer) for consumer in consumers if consumer != OUTPUT)
