"""Names for what has none: argument leaves by their path, scopes by the parameters they use, duplicates told apart."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from engine.graph import Edge, Node, Scope


@dataclasses.dataclass(frozen=True)
class Leaf:
    """An argument leaf: ``params.layers.0.w``."""

    name: str
    argument: str
    """The function's parameter that it belongs to: ``params``."""
    keys: tuple[str, ...]
    """Its path inside that argument: ``("layers", "0", "w")``; empty for a plain array."""


class Names:
    """Hands out unique names: ``h``, then ``h#2``."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self._seen = Counter(reserved)

    def unique(self, name: str) -> str:
        """The name itself, or with a number where it is taken. Names never look like ids (``%7``)."""
        wanted = "_" + name if name.startswith("%") else name
        candidate = wanted
        while self._seen[candidate]:
            self._seen[wanted] += 1
            candidate = f"{wanted}#{self._seen[wanted]}"
        self._seen[candidate] += 1
        return candidate


def function_name(fun: Callable[..., Any]) -> str:
    """What to call a function in a sentence."""
    inner = getattr(fun, "func", fun)  # functools.partial
    name = getattr(inner, "__name__", None) or type(inner).__name__
    return "the function" if name == "<lambda>" else str(name)


def leaves(fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[Leaf, Any]]:
    """Every leaf of the arguments, with its name, in flattening order."""
    titles = _parameters(fun, len(args))
    found = []
    for title, value in [*zip(titles, args, strict=True), *sorted(kwargs.items())]:
        for path, leaf in jax.tree_util.tree_flatten_with_path(value)[0]:
            keys = tuple(map(_key, path))
            found.append((Leaf(".".join((title, *keys)), title, keys), leaf))
    return found


def _parameters(fun: Callable[..., Any], count: int) -> list[str]:
    """Names of the first ``count`` positional parameters; ``*xs`` counts on as ``xs.0``, ``xs.1``."""
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):  # built-in functions have no signature
        parameters = []
    titles = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:count]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    missing = range(len(titles), count)
    return titles + [f"{rest}.{i - len(titles)}" if rest else f"arg{i}" for i in missing]


def _key(key: Any) -> str:
    """A step of a path, on one line: names stand in tables."""
    found = next((str(getattr(key, name)) for name in ("key", "idx", "name") if hasattr(key, name)), None)
    return " ".join((str(key).strip(".[]'\"") if found is None else found).splitlines())


def plain(params: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """A primitive's parameters as plain, hashable values; programs and functions in them are left out."""
    found = ((key, _plain(value)) for key, value in sorted(params.items()))
    return tuple((key, value) for key, value in found if value is not None)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | complex | str):
        return value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return tuple((field, _plain(getattr(value, field))) for field in value._fields)
    if isinstance(value, tuple | list):
        return tuple(map(_plain, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return tuple((field.name, _plain(getattr(value, field.name))) for field in dataclasses.fields(value))
    if isinstance(value, np.dtype):
        return value.name
    return str(value) if isinstance(value, np.generic) or (hasattr(value, "name") and hasattr(value, "value")) else None


def after_parameters(
    scopes: Iterable[Scope], nodes: Sequence[Node], edges: Iterable[Edge], used: dict[str, Leaf]
) -> tuple[Scope, ...]:
    """Scopes labelled with the parameters they use: ``dense_1`` becomes ``dense · layers.1``.

    Args:
        scopes: the scopes of a graph, outer ones first.
        nodes: its nodes.
        edges: its edges.
        used: the leaf behind a node's id, for argument leaves and what loops pass on of them.

    Returns:
        The scopes, relabelled where they share a part of the parameters' path.
    """
    known = {scope.id: scope for scope in scopes}
    place = {node.id: node.scope for node in nodes}
    prefixes: dict[str, tuple[str, ...]] = {}
    for edge in edges:
        leaf = used.get(edge.source)
        path = (leaf.argument, *leaf.keys) if leaf else ()
        for around in _outwards(place.get(edge.target, ""), known) if path else ():
            prefixes[around] = _common(prefixes[around], path) if around in prefixes else path
    return tuple(
        _labelled(scope, prefixes.get(scope.id, ()), prefixes.get(scope.parent, ())) for scope in known.values()
    )


def _outwards(scope: str, known: dict[str, Scope]) -> Iterable[str]:
    while scope:
        yield scope
        scope = known[scope].parent
    yield ""


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))
    return tuple(key for key, _ in same)


def _labelled(scope: Scope, prefix: tuple[str, ...], outer: tuple[str, ...]) -> Scope:
    keys = prefix[1:]
    if scope.kind not in ("function", "module", "named", "jit", "remat") or not keys or prefix == outer:
        return scope
    if keys[-1] == scope.name:
        return scope
    shown = keys if not keys[0].isdigit() else prefix
    base = scope.name.rstrip("0123456789").rstrip("_") or scope.name
    return dataclasses.replace(scope, label=f"{base} · {'.'.join(shown)}")
