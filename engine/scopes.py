"""Folds for the equations of one program: calls, modules and named scopes, in the order in which they nest.

Call stacks say in which calls an equation was made, JAX's name stack in which named scopes. Nothing says how the two
nest; their extents do: what contains more of the program is further out.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Hashable, Sequence

from engine.calls import Call


@dataclasses.dataclass(frozen=True)
class Token:
    """One level of folding around an equation, before it has a name of its own."""

    name: str
    kind: str
    key: Hashable
    """Equal for equations in the same instance of the fold."""


Path = tuple[Token, ...]


def paths(called: Sequence[tuple[Call, ...]], stacks: Sequence[str], hidden: Sequence[bool]) -> list[Path]:
    """For each equation of one program, the folds around it, outermost first.

    Args:
        called: for each equation the calls it was made in.
        stacks: for each equation JAX's name stack.
        hidden: for each equation whether it is plumbing, which alone doesn't make a fold worth opening.

    Returns:
        One path of tokens for each equation.
    """
    names = [_scope_names(stack) for stack in stacks]
    inner = [[Token(call.name, call.kind, call) for call in own] for own in called]
    own_names = [_absorb(tokens, name) for tokens, name in zip(inner, names, strict=True)]
    found = _merged(_insert(inner, own_names))
    worth = Counter(path[-1].key for path, plain in zip(found, hidden, strict=True) if path and not plain)
    return [_pruned(path, worth) for path in found]


def _scope_names(stack: str) -> tuple[str, ...]:
    """``vmap(eqx.nn.MLP)/Dense_0`` -> ``("MLP", "Dense_0")``: without what transformations wrapped around them."""
    entries = (re.sub(r"^(?:\w+\()*|\)*$", "", entry) for entry in stack.split("/"))
    return tuple(entry.removeprefix("eqx.nn.") for entry in entries if entry)


def _absorb(tokens: list[Token], names: tuple[str, ...]) -> tuple[str, ...]:
    """Name the calls that a named scope stands for (a module's ``__call__``), and return the names left over."""
    left, start = [], 0
    for name in names:
        base = re.sub(r"_\d+$", "", name)
        match = next((i for i in range(start, len(tokens)) if tokens[i].name in (name, base)), None)
        if match is None:
            left.append(name)
        else:
            tokens[match] = dataclasses.replace(tokens[match], name=name, kind="module")
            start = match + 1
    return tuple(left)


def _insert(inner: list[list[Token]], names: list[tuple[str, ...]]) -> list[Path]:
    """Put each named scope outside the calls that it contains whole, and inside those that reach beyond it."""
    extents = Counter(token.key for tokens in inner for token in tokens)
    found: list[list[Token]] = [list(tokens) for tokens in inner]
    for depth in range(max(map(len, names), default=0)):
        for start, stop in _runs(names, depth):
            token = Token(names[start][depth], "named", ("named", start, depth))
            around = _common(inner[start:stop])
            outside = sum(extents[other.key] > stop - start for other in around)
            for path in found[start:stop]:
                path.insert(outside + depth, token)
    return [tuple(path) for path in found]


def _runs(names: list[tuple[str, ...]], depth: int) -> list[tuple[int, int]]:
    """Stretches of equations that share their first ``depth + 1`` names."""
    runs, start = [], 0
    for index in range(1, len(names) + 1):
        if index == len(names) or names[index][: depth + 1] != names[start][: depth + 1]:
            if len(names[start]) > depth:
                runs.append((start, index))
            start = index
    return runs


def _common(paths: list[list[Token]]) -> list[Token]:
    first = paths[0]
    length = 0
    while length < len(first) and all(path[length : length + 1] == [first[length]] for path in paths):
        length += 1
    return first[:length]


def _merged(found: list[Path]) -> list[Path]:
    """Without the call of a module that fills a named scope: ``head`` around ``Dense`` is the module ``head``."""
    extents = Counter(token.key for path in found for token in path)

    def merge(path: Path) -> Path:
        kept: list[Token] = []
        for token in path:
            kinds = kept[-1].kind if kept else "", token.kind
            if kinds == ("named", "module") and extents[kept[-1].key] == extents[token.key]:
                kept[-1] = dataclasses.replace(kept[-1], kind="module")
            else:
                kept.append(token)
        return tuple(kept)

    return [merge(path) for path in found]


def _pruned(path: Path, worth: Counter[Hashable]) -> Path:
    """Without a library function around a single operation: the operation says as much."""
    if path and path[-1].kind == "library" and worth[path[-1].key] < 2:
        return path[:-1]
    return path
