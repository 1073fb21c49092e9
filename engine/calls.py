"""Which call of which function made each equation, told from the call stacks alone.

An equation carries the code objects of its call stack and the position in each, but not which *call* of a function it
was. Positions tell: Python only moves forward in a function, except where a loop jumps back. So a step back that no
loop of the function explains is a new call of it; where several loops could explain it, the parameters that the
equations use tell which of them advanced.
"""

from __future__ import annotations

import dataclasses
import dis
import importlib.util
import itertools
import os
import re
import sysconfig
from collections.abc import Hashable, Sequence
from functools import lru_cache
from types import CodeType

from engine.compat import Frame

_LIBRARIES = ("jax", "jaxlib", "numpy", "optax", "flax", "equinox", "haiku", "chex", "jaxtyping", "beartype", "einops")
_MODEL_LIBRARIES = ("flax", "equinox", "haiku")
_FORWARDERS = ("BoundMethod",)
_RENAMED = {"rewriting_take": "index", "rewriting_scatter": "set"}
_READABLE = ("function", "module")
_HERE = os.path.dirname(os.path.abspath(__file__))
_OWN = tuple(os.path.join(_HERE, name) for name in ("compat.py", "trace.py", "tape.py", "check.py"))


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a function. Two equations made in the same call hold equal ``Call`` objects."""

    name: str
    kind: str
    """``function`` (the user's), ``module`` (a layer of Flax or Equinox) or ``library`` (a public library function)."""
    number: int
    """Tells the calls of one program apart; in order of their first equation."""


Keys = tuple[str, ...]
"""Path of a parameter: ``("layers", "0", "w")``."""


@dataclasses.dataclass(frozen=True)
class Made:
    """What is known of the making of one equation."""

    stack: tuple[Frame, ...]
    primitive: str
    parameter: Keys | None
    """The parameter that the equation reads, if it reads one."""


def calls(equations: Sequence[Made]) -> list[tuple[Call, ...]]:
    """For each equation of one program, in its order, the calls it was made in, outermost first.

    The traced function itself is left out.
    """
    splits = [_split(made.stack) for made in equations]
    heads = [head for head, _ in splits]
    repeats = _repeats(heads, [(tail, made.primitive) for (_, tail), made in zip(splits, equations, strict=True)])
    evidence = _evidence([made.parameter for made in equations])
    counter = itertools.count()
    here = _Position((), (), ())
    found = []
    for (head, tail), repeated, rank in zip(splits, repeats, evidence, strict=True):
        kept = _kept(here.head, head, repeated, rank)
        numbers = here.numbers[:kept] + tuple(next(counter) for _ in head[kept:])
        same = head == here.head and not repeated and _public(tail) == here.leaf[:1]
        here = _Position(head, numbers, here.leaf if same else (*_public(tail), next(counter)))
        found.append(_named(here))
    return found


def _repeats(heads: Sequence[tuple[Frame, ...]], keys: list[Hashable]) -> list[bool]:
    """Where the same place of the program starts over.

    One library call makes several equations in one place, so sameness of the place alone says nothing; a stretch of
    equations that is one pattern, over and over, says that a loop went round.
    """
    found = [False] * len(heads)
    start = 0
    for _, group in itertools.groupby(heads):
        length = len(list(group))
        run = keys[start : start + length]
        period = next(p for p in range(1, length + 1) if length % p == 0 and run == run[:p] * (length // p))
        for index in range(start + period, start + length, period):
            found[index] = True
        start += length
    return found


@dataclasses.dataclass(frozen=True)
class _Position:
    """Where the walk over the equations is."""

    head: tuple[Frame, ...]
    """The stack down to the innermost function of the user or layer of a module."""
    numbers: tuple[int, ...]
    """Number of the call at each of its levels."""
    leaf: tuple[str | int, ...]
    """Name and number of the public library function called from there, if it is one."""


def _split(stack: tuple[Frame, ...]) -> tuple[tuple[Frame, ...], tuple[Frame, ...]]:
    """The stack down to the innermost readable function, and the library's frames below it."""
    start = 1 + next((i for i, frame in enumerate(stack) if origin(frame.code) != "hidden"), 0)
    stack = stack[start - 1 :]
    last = max((i for i, frame in enumerate(stack) if origin(frame.code) in _READABLE), default=0)
    return stack[: last + 1], stack[last + 1 :]


def _evidence(parameters: Sequence[Keys | None]) -> list[int]:
    """How far out the changed index of the parameter path lies between one equation's parameter and the next."""
    upcoming: list[Keys | None] = [None] * len(parameters)
    following: Keys | None = None
    for index in reversed(range(len(parameters))):
        following = parameters[index] or following
        upcoming[index] = following
    ranks, last = [], None
    for own, coming in zip(parameters, upcoming, strict=True):
        ranks.append(_changed_rank(last, coming))
        last = own or last
    return ranks


def _changed_rank(old: Keys | None, new: Keys | None) -> int:
    if old is None or new is None:
        return 1
    numbered = [(a, b) for a, b in itertools.zip_longest(old, new, fillvalue="") if re.search(r"\d", a + b)]
    changed = [index for index, (a, b) in enumerate(numbered) if a != b]
    return len(numbered) - changed[0] if changed else 1


def _kept(old: tuple[Frame, ...], new: tuple[Frame, ...], repeated: bool, rank: int) -> int:
    """How many levels of the new stack are still the calls that the old one was made in."""
    if old == new and not repeated:
        return len(new)
    shared = min(len(old), len(new))
    level = next((i for i in range(shared) if old[i] != new[i]), shared - 1)
    if level < 0:
        return 0
    before, after = old[level], new[level]
    if before.code is not after.code:
        return level
    if after.offset > before.offset or (after == before and old != new):
        return level + 1
    loops = _looping(new[: level + 1], before.offset)
    return loops[-min(rank, len(loops))] + 1 if loops else max(level, 1)


def _looping(stack: tuple[Frame, ...], last: int) -> list[int]:
    """Levels whose code is inside a loop; at the innermost one the loop must also reach the old position ``last``."""
    levels = []
    for index, frame in enumerate(stack):
        reach = last if index == len(stack) - 1 else frame.offset
        if any(start <= frame.offset and reach <= end for start, end in _loops(frame.code)):
            levels.append(index)
    return levels


@lru_cache(maxsize=4096)
def _loops(code: CodeType) -> tuple[tuple[int, int], ...]:
    """Byte ranges of the loops of a code object."""
    jumps = [step for step in dis.get_instructions(code) if "JUMP" in step.opname and isinstance(step.argval, int)]
    return tuple((step.argval, step.offset) for step in jumps if step.argval < step.offset)


@lru_cache(maxsize=4096)
def origin(code: CodeType) -> str:
    """``function`` (the user's), ``module`` (a layer's call), ``library``, or ``hidden`` (the engine's own)."""
    path = code.co_filename
    if path in _OWN:
        return "hidden"
    package = next((name for name, roots in _roots() if path.startswith(roots)), None)
    if package is None:
        return "library" if _standard(path) else "function"
    owner, _, method = code.co_qualname.rpartition(".")
    if package in _MODEL_LIBRARIES and method == "__call__" and owner.isidentifier():
        return "library" if owner.startswith("_") or owner in _FORWARDERS else "module"
    return "library"


@lru_cache(maxsize=1)
def _roots() -> tuple[tuple[str, tuple[str, ...]], ...]:
    found = []
    for name in _LIBRARIES:
        spec = importlib.util.find_spec(name)
        places = tuple(place + os.sep for place in (spec.submodule_search_locations or ())) if spec else ()
        if places:
            found.append((name, places))
    return tuple(found)


def is_library(path: str) -> bool:
    """Whether a source file belongs to a library rather than to the user."""
    return _standard(path) or any(path.startswith(roots) for _, roots in _roots())


def _standard(path: str) -> bool:
    paths = sysconfig.get_paths()
    return path.startswith((paths["stdlib"], "<frozen")) and "site-packages" not in path


def _named(here: _Position) -> tuple[Call, ...]:
    named = []
    for frame, number in zip(here.head[1:], here.numbers[1:], strict=True):
        kind, name = origin(frame.code), _name(frame.code)
        if kind in _READABLE and name:
            named.append(Call(name, kind, number))
    if len(here.leaf) == 2 and origin(here.head[-1].code) in _READABLE:
        public, own = here.leaf
        named.append(Call(str(public), "library", int(own)))
    return tuple(named)


@lru_cache(maxsize=4096)
def _name(code: CodeType) -> str:
    """What a reader calls the function: a class for its ``__call__``, nothing for a lambda or a comprehension."""
    parts = [part for part in code.co_qualname.split(".") if part != "<locals>"]
    if parts[-1] == "__call__" and len(parts) > 1:
        return parts[-2]
    return "" if parts[-1].startswith("<") else parts[-1]


def _public(tail: tuple[Frame, ...]) -> tuple[str, ...]:
    """Name of the public library function that the user called; none for an operator such as ``a + b``."""
    for frame in tail[:3]:  # operators and methods pass through at most two forwarders
        name = frame.code.co_qualname
        if name.isidentifier() and not name.startswith("_"):
            return (_RENAMED.get(name, name),)
    return ()


def user_line(stack: tuple[Frame, ...]) -> str:
    """``file:line`` of the innermost line of the user's own code, or nothing."""
    for frame in reversed(stack):
        if origin(frame.code) == "function":
            return f"{frame.code.co_filename}:{frame.line}"
    return ""
