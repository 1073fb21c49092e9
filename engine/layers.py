"""Which nodes of a graph are its layers, and what lies on the way back from one to the one before.

A layer is an operation that multiplies by a parameter (a matrix product, a convolution, a look-up in a table), with
what is added to it at once: its bias, or another product of parameters, as in ``x @ wx + h @ wh + b``. Nothing is
asked of the code but that: a model need not be written in layers for its layers to be found.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache

from engine.flow import has_gradient, upstream
from engine.graph import Graph, Node

PRODUCTS = frozenset({"dot_general", "conv_general_dilated", "gather"})
"""Operations that multiply by a parameter; ``gather`` is the product with a one-hot matrix."""

_SUMS = frozenset({"add", "add_any", "sub"})


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer."""

    name: str
    """As the scopes call it: ``dense · layers.0``."""
    products: tuple[str, ...]
    """Ids of the operations that multiply by a parameter; more than one where their results are added up."""
    weights: tuple[str, ...]
    """For each product the id of the parameter leaf it multiplies by."""
    biases: tuple[str, ...]
    """Ids of the parameter leaves that are added."""
    output: str
    """Id of the node after the bias, before normalisation and activation."""
    axes: tuple[int, ...]
    """Which axes of the output its units lie along, counted from the end, as loops put theirs in front."""


@dataclasses.dataclass(frozen=True)
class Segment:
    """Part of the way between two layers: from a node that every path passes to the next such node."""

    start: str
    end: str
    inner: tuple[str, ...]
    """Ids of the nodes after ``start`` up to ``end``, in program order."""
    carry: bool = False
    """Whether it leads from the end of one iteration of a scan to the start of the next."""


@dataclasses.dataclass(frozen=True)
class Link:
    """The way from a layer's output to that of the next; inside a scan perhaps to its own one iteration later."""

    lower: Layer
    upper: Layer
    segments: tuple[Segment, ...]
    """In the order of the forward pass; the last is the product of the upper layer with its bias."""

    @property
    def recurrent(self) -> bool:
        """Whether it leads through time."""
        return any(segment.carry for segment in self.segments)


@dataclasses.dataclass(frozen=True)
class Structure:
    """The layers of a graph and how they follow each other."""

    layers: tuple[Layer, ...]
    """In program order."""
    links: tuple[Link, ...]
    """For each layer that has one before it, the way to the nearest."""
    recurrent: tuple[Link, ...]
    """For each layer inside a scan that receives what it made an iteration earlier, the way there."""
    trunk: tuple[Layer, ...]
    """From the first layer to the last, each linked to the next."""


@lru_cache(maxsize=16)
def structure(graph: Graph, parameters: tuple[str, ...]) -> Structure:
    """Find the layers of a traced function.

    Args:
        graph: the traced function.
        parameters: ids of the argument leaves that are trained.

    Returns:
        Its layers and the links between them; empty where nothing multiplies by a parameter.
    """
    ways = _Ways(graph, parameters)
    links = tuple(filter(None, map(ways.link, ways.layers)))
    recurrent = tuple(filter(None, map(ways.recurrent, ways.layers)))
    return Structure(ways.layers, links, recurrent, _trunk(graph, ways.layers, links))


def layers(graph: Graph, parameters: tuple[str, ...]) -> tuple[Layer, ...]:
    """The layers of a traced function, in program order (see :func:`structure`)."""
    return structure(graph, parameters).layers


def _trunk(graph: Graph, found: Sequence[Layer], links: Iterable[Link]) -> tuple[Layer, ...]:
    below = {link.upper: link.lower for link in links}
    alive = upstream(graph, graph.outputs[:1])
    heard = [layer for layer in found if layer.output in alive]
    trunk = heard[-1:]
    while trunk and trunk[0] in below:
        trunk.insert(0, below[trunk[0]])
    return tuple(trunk)


class Flow:
    """What is computed from what, and which of it from parameters alone."""

    def __init__(self, graph: Graph, parameters: tuple[str, ...]) -> None:
        self.graph = graph
        self.parameters = parameters
        self.position = {node.id: index for index, node in enumerate(graph.nodes)}
        self.alive = upstream(graph, graph.outputs[:1])

    @cached_property
    def _carried(self) -> dict[str, str]:
        return {edge.target: edge.source for edge in self.graph.edges if edge.kind == "carry"}

    @cached_property
    def _before(self) -> dict[str, tuple[str, ...]]:
        found = {node.id: dict.fromkeys(node.inputs) for node in self.graph.nodes}
        for edge in self.graph.edges:
            if edge.kind == "use" and edge.target in found:
                found[edge.target][edge.source] = None
        return {id: tuple(sources) for id, sources in found.items()}

    def carried(self, entry: str) -> str:
        """The node that an iteration ends with and the next one receives as this carry; empty for other nodes."""
        return self._carried.get(entry, "")

    def before(self, id: str) -> tuple[str, ...]:
        """Ids of the nodes a node is computed from, within one iteration of the loops around it."""
        return self._before[id]

    @cached_property
    def parametric(self) -> dict[str, tuple[str, ...]]:
        """For each node that is computed from parameters and single numbers alone, those parameters."""
        found: dict[str, tuple[str, ...]] = {id: (id,) for id in self.parameters}
        for node in self.graph.nodes:
            sources = self.before(node.id)
            own = [source for source in sources if source in found]
            if (
                own
                and node.kind not in ("carry", "while", "loop")
                and all(source in found or self._is_number(source) for source in sources)
            ):
                found[node.id] = tuple(dict.fromkeys(leaf for source in own for leaf in found[source]))
        return found

    def _is_number(self, id: str) -> bool:
        """Whether a node is one number, or that number repeated."""
        node = self.graph.node(id)
        return math.prod(node.shape) == 1 or (not self.before(id) and node.op not in ("input", "constant"))


class _Ways(Flow):
    """Finds layers, and the ways between them."""

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        groups = self._groups()
        outputs = dict.fromkeys(groups.values())
        made = [self._layer(output, [id for id in groups if groups[id] == output]) for output in outputs]
        made.sort(key=lambda layer: self.position[layer.output])
        return tuple(_named(self.graph, made))

    @cached_property
    def _at(self) -> dict[str, Layer]:
        return {layer.output: layer for layer in self.layers}

    def _is_product(self, node: Node) -> bool:
        if node.op not in PRODUCTS or node.note or not has_gradient(node) or node.id in self.parametric:
            return False
        operands = node.inputs[: 1 if node.op == "gather" else 2]
        return any(operand in self.parametric for operand in operands)

    def _groups(self) -> dict[str, str]:
        """For each product the node that ends the sum it is part of."""
        home: dict[str, list[str]] = {}
        for node in self.graph.nodes:
            if self._is_product(node):
                home[node.id] = [node.id]
                continue
            sources = self.before(node.id)
            parts = [source for source in sources if source in home and len(self.graph.consumers(source)) == 1]
            rest = [source for source in sources if source not in parts]
            joins = node.op in _SUMS or node.op == "convert_element_type"
            if parts and joins and not node.note and all(source in self.parametric for source in rest):
                home[node.id] = [product for part in parts for product in home.pop(part)]
        return {product: output for output, products in home.items() for product in products}

    def _layer(self, output: str, products: Sequence[str]) -> Layer:
        chosen = [self._weight(self.graph.node(product)) for product in products]
        added = [leaf for id in self._between(products, output) for leaf in self.parametric.get(id, ())]
        first = self.graph.node(products[0])
        axes = _unit_axes(self.graph, first, 0 if first.inputs[0] in self.parametric else 1)
        return Layer("", tuple(products), tuple(chosen), tuple(dict.fromkeys(added)), output, axes)

    def _between(self, products: Sequence[str], output: str) -> Iterator[str]:
        """What is added between the products and the end of their sum."""
        waiting = [output]
        while waiting:
            id = waiting.pop()
            if id in self.parametric:
                yield id
            elif id not in products:
                waiting.extend(self.before(id))

    def _weight(self, product: Node) -> str:
        leaves = [leaf for operand in product.inputs for leaf in self.parametric.get(operand, ())]
        return max(leaves, key=lambda leaf: math.prod(self.graph.node(leaf).shape))

    # ---- the way between two layers -------------------------------------------------------------------------------

    def _data(self, layer: Layer) -> list[str]:
        products = [self.graph.node(product) for product in layer.products]
        return [
            id for node in products for id in self.before(node.id) if id not in self.parametric and id in self.alive
        ]

    def _back(self, starts: Iterable[str]) -> dict[str, None]:
        """Nodes upstream of ``starts`` up to the outputs of layers, these included."""
        seen: dict[str, None] = {}
        waiting = [id for id in starts if id in self.alive]
        while waiting:
            id = waiting.pop()
            if id in seen:
                continue
            seen[id] = None
            if id not in self._at:
                waiting.extend(source for source in self.before(id) if source in self.alive)
        return seen

    def link(self, upper: Layer) -> Link | None:
        """The way to a layer's output from that of the nearest layer before it."""
        seen = self._back(self._data(upper))
        hits = [self._at[id] for id in seen if id in self._at and self._at[id] is not upper]
        if not hits:
            return None
        lower = max(hits, key=lambda layer: self.position[layer.output])
        return Link(lower, upper, self._segments(lower.output, upper, seen))

    def recurrent(self, layer: Layer) -> Link | None:
        """The way to a layer's output from its own, one iteration earlier."""
        if not self.graph.node(layer.output).iterations:
            return None
        entries = [id for id in self._within(layer) if self.carried(id)]
        for entry in entries:
            ending = self.carried(entry)
            seen = self._back([ending])
            if layer.output in seen:
                first = self._chain(layer.output, ending, [*seen, ending])
                second = self._segments(entry, layer, self._within(layer))
                return Link(layer, layer, (*first, Segment(ending, entry, (entry,), carry=True), *second))
        return None

    def _within(self, layer: Layer) -> dict[str, None]:
        """What a layer's product is computed from within its own iteration."""
        inside = self.graph.node(layer.output).places
        return {id: None for id in self._back(self._data(layer)) if self.graph.node(id).places == inside}

    def _segments(self, start: str, upper: Layer, seen: Iterable[str]) -> tuple[Segment, ...]:
        inner = set(self._sum(upper))
        between = [id for id in seen if id == start or id not in self._at]
        chain = self._chain(start, upper.output, [*between, *inner])
        last = next(i for i, segment in enumerate(chain) if not inner.isdisjoint(segment.inner))
        product = tuple(id for segment in chain[last:] for id in segment.inner)
        return (*chain[:last], Segment(chain[last].start, upper.output, product))

    def _sum(self, layer: Layer) -> Iterator[str]:
        """The products of a layer and what adds them up."""
        waiting = [layer.output]
        while waiting:
            id = waiting.pop()
            yield id
            if id not in layer.products:
                waiting.extend(source for source in self.before(id) if source not in self.parametric)

    def _chain(self, start: str, end: str, among: Iterable[str]) -> tuple[Segment, ...]:
        """The nodes from ``start`` to ``end`` that every path passes, with what lies between each and the next."""
        allowed = set(among)
        reached = {start}
        order = sorted(allowed, key=self.position.__getitem__)
        for id in order:
            if not reached.isdisjoint(self.before(id)):
                reached.add(id)
        order = [id for id in order if id in reached]
        place = {id: index for index, id in enumerate(order)}
        reach = [0] * len(order)
        for id in order:
            for source in self.before(id):
                if source in place:
                    reach[place[source]] = max(reach[place[source]], place[id])
        segments, furthest, last, stop = [], 0, 0, place[end]
        for index in range(stop + 1):
            if index and furthest <= index:
                segments.append(Segment(order[last], order[index], tuple(order[last + 1 : index + 1])))
                last = index
            furthest = max(furthest, min(reach[index], stop))
        return tuple(segments)


def _unit_axes(graph: Graph, product: Node, weight: int) -> tuple[int, ...]:
    """Axes of a product along which a layer's units lie: those that come from the weight."""
    rank = len(product.shape)
    if product.op == "conv_general_dilated":
        layout = dict(product.param("dimension_numbers"))
        return (layout["out_spec"][1] - rank,)
    if product.op == "gather":
        return (-1,)
    contract, batch = product.param("dimension_numbers")
    free = len(graph.node(product.inputs[weight]).shape) - len(contract[weight]) - len(batch[weight])
    first = len(batch[0]) if weight == 0 else rank - free
    return tuple(range(first - rank, first - rank + free))


def _named(graph: Graph, found: Sequence[Layer]) -> Iterator[Layer]:
    """Layers with names: the label of their scope, or the path of their weight where a scope holds several."""
    homes = [graph.node(layer.products[-1]).scope for layer in found]
    crowd, seen = Counter(homes), Counter[str]()
    for layer, home in zip(found, homes, strict=True):
        path = graph.node(layer.weights[-1]).name.partition(".")[2] or graph.node(layer.weights[-1]).name
        label = graph.scope(home).label if home else ""
        if not home:
            owner = path.rpartition(".")[0] or path
            name = f"layer {owner}" if owner.isdecimal() else owner  # of a list of layers
        elif crowd[home] > 1:
            name = f"{label.partition(' · ')[0]} · {path}"
        else:
            name = label
        seen[name] += 1
        yield dataclasses.replace(layer, name=name if seen[name] == 1 else f"{name}#{seen[name]}")
