"""The one walk over the structure of a program: every value gets an id, a name and a scope, every use an edge."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax.extend.core as jex
import numpy as np

from engine import calls, compat, ops, scopes
from engine.graph import OUTPUT, Edge, Graph, Literal, Node, Place, Scope, Source
from engine.names import Leaf, Names, after_parameters, plain
from engine.program import Block, Step

CUSTOM_NOTE = "It has a derivative rule of its own, and that rule is what runs; its body is shown forward only."
WHILE_NOTE = ops.describe("while").words + " Write lax.scan or fori_loop with a fixed number of steps to read it."


@dataclasses.dataclass(frozen=True)
class Around:
    """Where a program lies: prefix of its ids, scope, control flow, why it reads forward only, and whose it is."""

    prefix: str = "%"
    scope: str = ""
    places: tuple[Place, ...] = ()
    note: str = ""
    library: bool = False
    source: str = ""
    """The user's line that calls it; JAX keeps no stack of what it has traced before."""

    def within(self, prefix: str, scope: str, place: Place, note: str = "") -> Around:
        """One level of control flow further in."""
        return Around(prefix, scope, (*self.places, place), self.note or note)


def build(closed: jex.ClosedJaxpr, leaves: Sequence[Leaf], name: str) -> tuple[Block, Graph]:
    """Place every value of a traced function.

    Args:
        closed: its jaxpr.
        leaves: names of its arguments' leaves, one for each input of the jaxpr.
        name: the function's name.

    Returns:
        The placed program, and the graph that it is.
    """
    builder = _Builder(name, leaves)
    block = builder.root(closed)
    edges = tuple(dict.fromkeys(builder.edges))
    graph = Graph(
        nodes=tuple(builder.nodes),
        edges=edges,
        scopes=after_parameters(builder.scopes.values(), builder.nodes, edges, builder.parameters),
        inputs=tuple(source for source in block.inputs if isinstance(source, str)),
        outputs=tuple(source for source in block.outputs if isinstance(source, str)),
        name=name,
    )
    return block, graph


class _Builder:
    """Collects nodes, edges and scopes while the program is walked."""

    def __init__(self, name: str, leaves: Sequence[Leaf]) -> None:
        self.name = name
        self.leaves = leaves
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.scopes: dict[str, Scope] = {}
        self.names = Names(reserved=[leaf.name for leaf in leaves])
        self.parameters: dict[str, Leaf] = {}
        self._opened: dict[tuple[str, Any], str] = {}

    # ---- whole programs -------------------------------------------------------------------------------------------

    def root(self, closed: jex.ClosedJaxpr) -> Block:
        """Place the traced function itself."""
        jaxpr = closed.jaxpr
        inputs = []
        for index, (var, leaf) in enumerate(zip(jaxpr.invars, self.leaves, strict=True)):
            inputs.append(self._add(_node(f"%{index}", var, "input"), leaf.name, taken=True))
        nested = next((leaf.argument for leaf in self.leaves if leaf.keys), None)
        pairs = zip(inputs, self.leaves, strict=True)
        self.parameters.update({id: leaf for id, leaf in pairs if leaf.keys and leaf.argument == nested})
        block = self.block(closed, inputs, Around())
        start = len(jaxpr.invars) + len(jaxpr.constvars) + len(jaxpr.eqns)
        outputs = []
        for index, (out, result) in enumerate(zip(block.outputs, jaxpr.outvars, strict=True)):
            number = isinstance(out, Literal)
            outputs.append(self._add(_node(f"%{start + index}", result, "constant"), "constant") if number else out)
        returns = (OUTPUT, *[""] * (len(outputs) - 1)) if outputs else ()
        self._return(outputs[:1], returns[:1], Around())
        return dataclasses.replace(block, outputs=tuple(outputs), returns=returns, entered=True)

    def block(self, closed: jex.ClosedJaxpr, inputs: Sequence[Source], around: Around) -> Block:
        """Place one program whose inputs are known."""
        jaxpr = closed.jaxpr
        env: dict[Any, Source] = dict(zip(jaxpr.invars, inputs, strict=True))
        for index, var in enumerate(jaxpr.constvars, start=len(inputs)):
            node = _node(f"{around.prefix}{index}", var, "constant", around)
            env[var] = self._add(node, _join(around.scope, "constant"))
        steps = []
        for index, (eqn, path, line) in enumerate(self._folds(jaxpr, env, around), start=len(env)):
            here = dataclasses.replace(around, scope=self._scope(path, around), source=line or around.source)
            step = self._step(eqn, f"{around.prefix}{index}", tuple(_read(env, var) for var in eqn.invars), here)
            env.update(zip(eqn.outvars, step.outs, strict=True))
            steps.append(step)
        constants = tuple(env[var] for var in jaxpr.constvars)
        outputs = tuple(_read(env, var) for var in jaxpr.outvars)
        return Block(closed, tuple(inputs), constants, tuple(steps), outputs)

    def _folds(
        self, jaxpr: jex.Jaxpr, env: dict[Any, Source], around: Around
    ) -> Iterator[tuple[jex.JaxprEqn, scopes.Path, str]]:
        """For each equation the folds around it, and the user's line that made it."""
        eqns = list(jaxpr.eqns)
        made = [calls.Made(compat.frames(eqn), eqn.primitive.name, self._parameter(eqn, env)) for eqn in eqns]
        hidden = [ops.is_plumbing(eqn.primitive.name) for eqn in eqns]
        paths = scopes.paths(calls.calls(made), [compat.name_stack(eqn) for eqn in eqns], hidden)
        return zip(eqns, paths, (calls.user_line(each.stack) for each in made), strict=True)

    def _parameter(self, eqn: jex.JaxprEqn, env: dict[Any, Source]) -> calls.Keys | None:
        """Path of the first parameter that an equation reads."""
        sources = (env.get(var) for var in eqn.invars if not isinstance(var, jex.Literal))
        found = (self.parameters.get(source) for source in sources if isinstance(source, str))
        return next((leaf.keys for leaf in found if leaf), None)

    # ---- one equation ---------------------------------------------------------------------------------------------

    def _step(self, eqn: jex.JaxprEqn, id: str, reads: tuple[Source, ...], around: Around) -> Step:
        step = _Equation(eqn, id, reads)
        form = compat.form(eqn)
        special = {"scan": self._scan, "cond": self._cond, "while": self._while, "custom": self._custom}
        if form in ("jit", "remat"):
            return self._call(step, around)
        if form in special:
            return special[form](step, around)
        if eqn.outvars:  # an effect alone, such as a print, is no consumer: it has no value to show
            self._use(reads, id, around)
        return step.placed(self._outs(step, around))

    def _call(self, step: _Equation, around: Around) -> Step:
        """A jitted or rematerialised function: its values are those of its body."""
        (closed,) = compat.bodies(step.eqn)
        title, file = compat.function_name(closed)
        form = compat.form(step.eqn)
        kind = "library" if form == "jit" and calls.is_library(file) else form
        title = str(step.eqn.params.get("name") or title or form).lstrip("_")
        title = form if title.startswith("<") else title
        library = around.library or kind == "library"
        inside = dataclasses.replace(around, prefix=f"{step.id}/", library=library)
        whole = around.scope == "" and title == self.name
        small = kind == "library" and (around.library or _operations(closed) < 2)
        if not whole and not small:
            inside = dataclasses.replace(inside, scope=self._open(around.scope, title, kind))
        block = self.block(closed, step.reads, inside)
        return step.placed(block.outputs, block)

    def _scan(self, step: _Equation, around: Around) -> Step:
        (closed,) = compat.bodies(step.eqn)
        parts = compat.scan_parts(step.eqn)
        title = _title(closed, "scan")
        scope = self._open(around.scope, title, "scan", label=f"{title} × {parts.length}")
        inside = around.within(f"{step.id}/", scope, Place("scan", step.id, parts.length))
        kinds = ["shared"] * parts.consts + ["carry"] * parts.carry
        kinds += ["slice"] * (len(step.reads) - len(kinds))
        block = self.block(closed, self._entries(closed, step.reads, kinds, inside), inside)
        outs = self._outs(dataclasses.replace(step, reads=()), around, scope, "loop", title)
        self._return(block.outputs, outs, around)
        carried = slice(parts.consts, parts.consts + parts.carry)
        for entry, output in zip(block.inputs[carried], block.outputs, strict=False):
            self._connect(output, entry, "carry")
        return step.placed(outs, dataclasses.replace(block, returns=outs, entered=True))

    def _cond(self, step: _Equation, around: Around) -> Step:
        self._use(step.reads[:1], step.id, around)
        scope = self._open(around.scope, "cond", "cond")
        branches = compat.bodies(step.eqn)
        blocks = []
        for index, closed in enumerate(branches):
            label = ("if false", "if true")[index] if len(branches) == 2 else f"branch {index}"
            branch = self._open(scope, label.replace(" ", "_"), "branch", label=label)
            inside = around.within(f"{step.id}/{index}/", branch, Place("branch", step.id, index))
            blocks.append(self.block(closed, step.reads[1:], inside))
        outs = self._outs(dataclasses.replace(step, reads=()), around, scope, "branch", "cond")
        for block in blocks:
            self._return(block.outputs, outs, around)
        return step.placed(outs, *(dataclasses.replace(block, returns=outs) for block in blocks))

    def _while(self, step: _Equation, around: Around) -> Step:
        self._use(step.reads, step.id, around)
        scope = self._open(around.scope, "while", "while", note=WHILE_NOTE)
        shared = compat.while_parts(step.eqn)
        carry = step.reads[sum(shared) :]
        operands = (step.reads[: shared[0]] + carry, step.reads[shared[0] : sum(shared)] + carry)
        blocks = []
        for index, closed in enumerate(compat.bodies(step.eqn)):
            inside = around.within(f"{step.id}/{index}/", scope, Place("while", step.id), WHILE_NOTE)
            kinds = ["shared"] * shared[index] + ["while"] * len(carry)
            block = self.block(closed, self._entries(closed, operands[index], kinds, inside), inside)
            blocks.append(dataclasses.replace(block, entered=True))
        outs = self._outs(step, around, scope, "while", "while")
        self._return(blocks[1].outputs, outs, around.within("", scope, Place("while", step.id), WHILE_NOTE))
        return step.placed(outs, *blocks)

    def _custom(self, step: _Equation, around: Around) -> Step:
        self._use(step.reads, step.id, around)
        (closed,) = compat.bodies(step.eqn)
        title = _title(closed, step.eqn.primitive.name)
        scope = self._open(around.scope, title, "custom", note=CUSTOM_NOTE)
        inside = around.within(f"{step.id}/", scope, Place("custom", step.id), CUSTOM_NOTE)
        block = self.block(closed, step.reads, dataclasses.replace(inside, library=True))
        outs = self._outs(step, around, scope, "custom", title)
        self._return(block.outputs, outs, inside)
        return step.placed(outs, block)

    # ---- nodes, edges, scopes -------------------------------------------------------------------------------------

    def _entries(
        self, closed: jex.ClosedJaxpr, reads: Sequence[Source], kinds: Sequence[str], around: Around
    ) -> list[Source]:
        """Nodes for what the body of a loop receives."""
        entries: list[Source] = []
        titles = _argument_names(closed, kinds)
        for index, (var, read, kind, title) in enumerate(zip(closed.jaxpr.invars, reads, kinds, titles, strict=True)):
            node = dataclasses.replace(
                _node(f"{around.prefix}{index}", var, kind, around), op="input", operands=(read,)
            )
            entry = self._add(node, _join(around.scope, title))
            self._use((read,), entry, around)
            if isinstance(read, str) and read in self.parameters:
                self.parameters[entry] = self.parameters[read]
            entries.append(entry)
        return entries

    def _outs(
        self, step: _Equation, around: Around, scope: str | None = None, kind: str = "op", label: str = ""
    ) -> tuple[str, ...]:
        """Nodes for what an equation computes, in ``scope`` but named as seen from around it."""
        op = step.eqn.primitive.name
        named = str(step.eqn.params["name"]) if op == "name" else ""
        inside = around if scope is None else dataclasses.replace(around, scope=scope)
        params = plain(step.eqn.params)
        if kind == "custom":
            params += (("origin", "library" if _is_library(step.eqn) else "user"),)
        made = []
        for index, var in enumerate(step.eqn.outvars):
            node = _node(step.id + (f".{index}" if index else ""), var, kind, inside)
            title = (named or label or op) + (f".{index}" if index else "")
            node = dataclasses.replace(
                node, op=op, operands=step.reads, params=params, label=title, source=around.source
            )
            made.append(self._add(node, named or _join(around.scope, title)))
            if (
                op == "convert_element_type" and isinstance(step.reads[0], str) and step.reads[0] in self.parameters
            ):  # the parameter, in another precision
                self.parameters[node.id] = self.parameters[step.reads[0]]
        return tuple(made)

    def _add(self, node: Node, name: str, taken: bool = False) -> str:
        name = name if taken else self.names.unique(name)
        self.nodes.append(dataclasses.replace(node, name=name, label=node.label or name.rpartition("/")[2]))
        return node.id

    def _use(self, reads: Iterable[Source], target: str, around: Around) -> None:
        for read in reads:
            self._connect(read, target, "look" if around.note else "use")

    def _connect(self, source: Source, target: Source, kind: str) -> None:
        if isinstance(source, str) and isinstance(target, str):
            self.edges.append(Edge(source, target, kind))

    def _return(self, outputs: Sequence[Source], outs: Sequence[str], around: Around) -> None:
        for output, out in zip(outputs, outs, strict=True):
            self._use((output,), out, around)

    def _scope(self, path: scopes.Path, around: Around) -> str:
        """Id of the scope for a path of folds; scopes are opened as their first equation comes."""
        scope = around.scope
        for token in path:
            if around.library and token.kind == "library":
                continue
            key = (scope, token.key)
            if key not in self._opened:
                self._opened[key] = self._open(scope, token.name, token.kind)
            scope = self._opened[key]
        return scope

    def _open(self, parent: str, name: str, kind: str, label: str = "", note: str = "") -> str:
        name = name.replace("/", ".").lstrip("%") or kind
        count, own = 0, name
        while _join(parent, own) in self.scopes:
            count += 1
            own = f"{name}_{count}"
        scope = Scope(_join(parent, own), own, label or own, kind, parent, note)
        self.scopes[scope.id] = scope
        return scope.id


@dataclasses.dataclass(frozen=True)
class _Equation:
    """An equation whose operands are known and whose results aren't placed yet."""

    eqn: jex.JaxprEqn
    id: str
    reads: tuple[Source, ...]

    def placed(self, outs: Sequence[Source], *blocks: Block) -> Step:
        return Step(self.id, self.eqn, compat.form(self.eqn), self.reads, tuple(outs), blocks)


def _node(id: str, var: Any, kind: str, around: Around = Around()) -> Node:
    aval = var.aval
    op = kind if kind in ("input", "constant") else "input"
    if not compat.is_array(aval):
        kind = "reference"
    shape, dtype = tuple(getattr(aval, "shape", ())), str(getattr(aval, "dtype", aval))
    return Node(id, "", op, kind, shape, dtype, around.scope, places=around.places, note=around.note)


def _read(env: dict[Any, Source], var: Any) -> Source:
    if not isinstance(var, jex.Literal):
        return env[var]
    value = np.asarray(var.val)
    return Literal(value.item() if value.ndim == 0 and value.dtype.kind in "biufc" else str(var.val))


def _join(scope: str, name: str) -> str:
    return f"{scope}/{name}" if scope else name


def _is_library(eqn: jex.JaxprEqn) -> bool:
    return calls.is_library(compat.function_name(compat.bodies(eqn)[0])[1])


def _title(closed: jex.ClosedJaxpr, default: str) -> str:
    name = compat.function_name(closed)[0].lstrip("_")
    return name if name and not name.startswith("<") else default


def _argument_names(closed: jex.ClosedJaxpr, kinds: Sequence[str]) -> list[str]:
    """Names of what a loop's body receives, from its Python arguments where JAX kept them."""
    given = closed.jaxpr.debug_info.arg_names or ()
    missing = len(kinds) - len(given)
    titles = ["" for _ in range(missing)] + [re.sub(r"\W+", ".", str(name or "")).strip(".") for name in given]
    return [title or kind for title, kind in zip(titles[-len(kinds) :], kinds, strict=True)]


def _operations(closed: jex.ClosedJaxpr) -> int:
    """How many operations other than plumbing a program has, inner programs included."""
    count = 0
    for eqn in closed.jaxpr.eqns:
        inner = sum(map(_operations, compat.bodies(eqn)))
        count += inner if compat.form(eqn) == "jit" else max(inner, not ops.is_plumbing(eqn.primitive.name))
    return count
