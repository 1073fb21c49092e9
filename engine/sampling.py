"""One's own training loop, sampled: now and then a step is taken with a reading beside what it returns.

A step that is sampled is another program than one that isn't: what isn't is compiled exactly as without a watcher, so
it costs nothing and computes the same bits. Which program a call runs is known to JAX as part of what it compiles for
(:func:`jax.make_user_context`), so it holds in functions that were compiled inside the step as well.

Three ways lead here, and :meth:`Sampler.value_and_grad` finds out which:

- inside :meth:`Sampler.jit`, which counts the calls, the reading is one more output of the step. This is the cheapest.
- Inside a step that was compiled otherwise, or deeper in one's own, in a loop say, it leaves by a callback. In the
  steps between a callback without data counts, which every step pays for.
- Without any compilation the call itself is counted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np

from engine import magnitudes, profile
from engine.errors import EngineError
from engine.grad import Asked, run
from engine.graph import Graph
from engine.probe import Probe
from engine.reading import Reading
from engine.trace import is_array, program

Array = Any
Args = tuple[Any, ...]
Keywords = dict[str, Any]
Leaves = list[Any]

STATS, FULL, OFF = "stats", "full", "off"

WATCHED = 128
"""Nodes, besides the parameters, whose statistics are read of each sampled step, at most."""

ENTRIES = 4_000_000
"""Entries that a full reading takes at most, as it is to travel: of a larger program the largest arrays stay away."""

A_SECOND, AT_ONCE = 2.5, 100
"""Samples a second that are taken in the long run, and how many may follow each other faster: short steps by the
thousand would cost more to be looked at than anybody can see."""

_sampled = jax.make_user_context("")
"""What the step that is called now is sampled for; empty in between."""


class SamplingError(EngineError, ValueError):
    """A loop can't be watched like this."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """What was read of one step; arrays may still be on their way."""

    step: int
    """How many steps were taken before it."""
    loss: Array
    reading: Reading
    """Of the layers and parameters by statistics, or a full one."""
    parameters: tuple[str, ...]
    """Ids of the leaves that are differentiated."""
    moved: Array | None = None
    """‖Δw‖ of each, if the next step's parameters were seen."""
    after: Leaves | None = None
    """The parameters after the update, on the host: of a full reading, if they were seen."""


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class _Ids:
    """Ids of the parameters, as part of what a compiled step returns."""

    ids: tuple[str, ...]


_Found = tuple[Array, Reading, _Ids]


@dataclasses.dataclass(eq=False)
class _Tracing:
    """A step of :meth:`Sampler.jit` that is called, and may be traced meanwhile."""

    kind: str
    level: Any = None
    """Where the outputs of the step are at hand; in a loop inside of it they aren't."""
    inputs: dict[int, int] = dataclasses.field(default_factory=dict)
    """For each leaf of the step's arguments, by identity, its place."""
    found: list[_Found] = dataclasses.field(default_factory=list)
    places: list[int] | None = None
    """Where among the leaves the parameters are."""


_tracing: ContextVar[_Tracing | None] = ContextVar("tracing", default=None)
_UNREAD = _Tracing("")
"""A step that isn't read."""


class _Allowance:
    """How many samples may be taken now."""

    def __init__(self) -> None:
        self._left, self._known = float(AT_ONCE), time.monotonic()

    def spend(self) -> bool:
        """Take one, if any is left."""
        now = time.monotonic()
        self._left, self._known = min(self._left + A_SECOND * (now - self._known), AT_ONCE), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Sampler:
    """Counts the steps of a loop, and has every k-th of them read. Not for several threads at a time."""

    def __init__(self, fun: Callable[..., Any], asked: Asked, every: int, take: Callable[[Sample], None]) -> None:
        """Begin before the first step.

        Args:
            fun: the loss.
            asked: what is differentiated; its probe isn't looked at.
            every: steps whose number is a multiple of this are read, if they don't come too fast (:data:`A_SECOND`).
            take: is given each sample; it must not wait for anything.

        Raises:
            SamplingError: ``every`` is no count of steps.
        """
        if every < 1:
            raise SamplingError(f"One can't look every {every} steps; give 1 or more.")
        self.fun, self.asked, self.every = fun, asked, int(every)
        self.step = 0
        """How many steps were begun."""
        self.full = False
        """Whether the next sample is to be a full reading; it is forgotten once it was."""
        self.on = True
        """Whether anybody listens; else nothing is sampled."""
        self.trouble = ""
        """Why the loss can't be read, if so."""
        self._take = take
        self._allowance = _Allowance()
        self._pending: tuple[int, _Found, Leaves | None] | None = None
        self._last = 0
        self._donated = self._foreign = False

    # ---- in place of jax ------------------------------------------------------------------------------------------

    def value_and_grad(self, asked: Asked, args: Args, kwargs: Keywords) -> tuple[Any, Any]:
        """What ``jax.value_and_grad`` returns; the step may be read meanwhile."""
        tracing = _tracing.get()
        if tracing is not None:
            return self._inside(tracing, asked, args, kwargs)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((args, kwargs))):
            return self._elsewhere(asked, args, kwargs)
        return self._eagerly(asked, args, kwargs)

    def jit(self, fun: Callable[..., Any], by: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
        """A compiled step that counts its calls, and has its reading taken where it is due."""
        seen: dict[str, list[int] | None] = {}
        bare, watched = by(fun, **options), by(_with_readings(fun, seen), **_for_two(options))

        @functools.wraps(fun)
        def step(*args: Any, **kwargs: Any) -> Any:
            if self._pending is not None:
                self._complete(_at(jax.tree.leaves((args, kwargs)), seen.get("places")))
            number, kind = self._begin()
            if not kind:  # most of the time: not a microsecond more than it takes
                token = _tracing.set(_UNREAD)
                try:
                    return bare(*args, **kwargs)
                finally:
                    _tracing.reset(token)
            with _within(_Tracing(kind)):
                leaves = jax.tree.leaves((args, kwargs))
                before = self._kept(_at(leaves, seen.get("places")))
                out, found = watched(*args, **kwargs)
            if found:
                self._pending = (number, found[-1], before or _at(leaves, seen.get("places")))
            return out

        return step

    def flush(self) -> None:
        """Hand on the last sample, though its update was never seen."""
        self._complete(None)

    def record(self, loss: Array, reading: Reading, step: int | None, parameters: tuple[str, ...]) -> None:
        """Hand on what a step of one's own has read; those in between are only counted."""
        number = self.step if step is None else step
        self.step = number + 1
        if self._due(number):
            self._take(Sample(number, loss, reading, parameters))

    # ---- which steps ----------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Nobody listens any more: from here on every step is as without a watcher."""
        self.on, self._pending = False, None
        if self._foreign:
            _sampled.set_global(OFF)

    def _begin(self) -> tuple[int, str]:
        """Number of the step that begins, and what it is sampled for."""
        number, self.step = self.step, self.step + 1
        return number, self._due(number)

    def _due(self, number: int) -> str:
        if not self.on or number % self.every or not self._allowance.spend():
            return ""
        self._last = number
        kind, self.full = FULL if self.full else STATS, False
        return kind

    def _kept(self, leaves: Leaves | None) -> Leaves | None:
        """Parameters that are still there after the step: one that is given its arguments for good eats them."""
        return leaves if leaves is None or not self._donated else [jnp.copy(leaf) for leaf in leaves]

    def _complete(self, after: Leaves | None) -> None:
        """Hand on the sample that waits, with the update that was made of it, if the parameters after it are known."""
        if self._pending is None:
            return
        number, (loss, reading, parameters), before = self._pending
        self._pending, moved, host = None, None, None
        if after is not None and before is not None:
            self._donated = self._donated or any(map(_gone, before))
            moved = None if any(map(_gone, before)) else _moves(before, after)
        if after is not None and reading.plan.how == FULL:
            host = [np.array(leaf) for leaf in after]
        self._take(Sample(number, loss, reading, parameters.ids, moved, host))

    # ---- the three ways -------------------------------------------------------------------------------------------

    def _inside(self, tracing: _Tracing, asked: Asked, args: Args, kwargs: Keywords) -> Any:
        read = self._read(tracing.kind, asked, args, kwargs) if tracing.kind else None
        if read is None:
            return self._plain(asked, args, kwargs)
        value, grads, found = read
        if jex.get_opaque_trace_state() != tracing.level:
            jax.debug.callback(functools.partial(self._arrived, False), found)
            return value, grads
        tracing.found.append(found)
        places = [tracing.inputs.get(id(leaf), -1) for leaf in _differentiated(asked, args)]
        tracing.places = None if -1 in places else places
        return value, grads

    def _elsewhere(self, asked: Asked, args: Args, kwargs: Keywords) -> Any:
        """In a step that somebody else compiles: it is compiled anew when what it is sampled for changes."""
        self._foreign = True
        kind = str(_sampled.value)
        read = self._read(kind, asked, args, kwargs) if kind in (STATS, FULL) else None
        if read is None:
            if self.on and kind != OFF:
                jax.debug.callback(self._counted)
            return self._plain(asked, args, kwargs)
        value, grads, found = read
        jax.debug.callback(functools.partial(self._arrived, True), found)
        return value, grads

    def _counted(self) -> None:
        """A step was taken that isn't read; perhaps the next one is."""
        self.step += 1
        if self.on and self.step % self.every == 0:
            _sampled.set_global(self._due(self.step))

    def _arrived(self, counts: bool, found: _Found) -> None:
        """A reading that came by a callback."""
        loss, reading, parameters = found
        number = self.step if counts else self._last
        if counts:
            self.step += 1
            _sampled.set_global("" if self.on else OFF)
        self._take(Sample(number, loss, reading, parameters.ids))

    def _eagerly(self, asked: Asked, args: Args, kwargs: Keywords) -> Any:
        leaves = _differentiated(asked, args)
        self._complete(leaves)
        number, kind = self._begin()
        read = self._read(kind, asked, args, kwargs) if kind else None
        if read is None:
            return self._plain(asked, args, kwargs)
        value, grads, found = read
        self._pending = (number, found, leaves)
        return value, grads

    # ---- reading --------------------------------------------------------------------------------------------------

    def _plain(self, asked: Asked, args: Args, kwargs: Keywords) -> Any:
        return jax.value_and_grad(self.fun, argnums=asked.argnums, has_aux=asked.has_aux)(*args, **kwargs)

    def _read(self, kind: str, asked: Asked, args: Args, kwargs: Keywords) -> tuple[Any, Any, _Found] | None:
        """Loss, gradients and the reading; nothing where the engine can't read this loss, which then isn't sampled."""
        try:
            traced = program(self.fun, args, kwargs)
            arrays, graph = traced.arguments.arrays, traced.graph
            ids = tuple(graph.inputs[arrays.index(place)] for place in _places(asked, args) if place in arrays)
            value, grads, reading = run(traced, args, dataclasses.replace(asked, probe=_probe(kind, graph, ids)))
        except EngineError as error:
            self.trouble = str(error)
            self.stop()
            return None
        return value, grads, (value[0] if asked.has_aux else value, reading, _Ids(ids))


@contextlib.contextmanager
def _within(tracing: _Tracing) -> Iterator[None]:
    """What is traced meanwhile is part of this step."""
    token = _tracing.set(tracing)
    try:
        with _sampled(tracing.kind):
            yield
    finally:
        _tracing.reset(token)


def _with_readings(fun: Callable[..., Any], found: dict[str, list[int] | None]) -> Callable[..., Any]:
    """A step that returns beside its results what was read in it; ``found["places"]`` is where its parameters came."""

    @functools.wraps(fun)
    def sampled(*args: Any, **kwargs: Any) -> Any:
        tracing = _tracing.get() or _Tracing(STATS)
        tracing.level = jex.get_opaque_trace_state()
        tracing.inputs = {id(leaf): place for place, leaf in enumerate(jax.tree.leaves((args, kwargs)))}
        out = fun(*args, **kwargs)
        found["places"] = tracing.places
        return out, tracing.found

    return sampled


def _for_two(options: dict[str, Any]) -> dict[str, Any]:
    """Options for a step that returns its readings, too."""
    return options | {"out_shardings": (options["out_shardings"], None)} if "out_shardings" in options else options


def _probe(kind: str, graph: Graph, parameters: tuple[str, ...]) -> Probe:
    if kind == STATS:
        nodes = dict.fromkeys([*parameters, *profile.told(graph, parameters, WATCHED)])
        return Probe(tuple(nodes), ("value", "grad"), STATS)
    return Probe(_small(graph, parameters))


def _small(graph: Graph, parameters: tuple[str, ...]) -> tuple[str, ...] | None:
    """The nodes that travel together: all of most programs; of a larger one those with the fewest entries."""
    sizes = {node.id: math.prod((*node.iterations, *node.shape)) for node in graph.nodes}
    if 2 * sum(sizes.values()) <= ENTRIES:
        return None
    first = {*parameters, *graph.outputs}
    order = sorted(sizes, key=lambda each: (each not in first, sizes[each]))
    taken = itertools.accumulate(2 * sizes[id] for id in order)
    return tuple(id for id, sum in zip(order, taken, strict=True) if sum <= ENTRIES)


def _places(asked: Asked, args: Args) -> list[int]:
    """Where among the leaves of all arguments those are that are differentiated."""
    starts = [0, *itertools.accumulate(len(jax.tree.leaves(arg)) for arg in args)]
    numbers = [asked.argnums] if isinstance(asked.argnums, int) else asked.argnums
    return [place for n in numbers for place in range(starts[n % len(args)], starts[n % len(args) + 1])]


def _differentiated(asked: Asked, args: Args) -> Leaves:
    leaves = jax.tree.leaves(args)
    return [leaves[place] for place in _places(asked, args) if is_array(leaves[place])]


def _at(leaves: Leaves, places: list[int] | None) -> Leaves | None:
    return None if places is None else [leaves[place] for place in places]


def _gone(leaf: Any) -> bool:
    """Whether an array was given away for good."""
    return isinstance(leaf, jax.Array) and leaf.is_deleted()


@jax.jit
def _moves(before: Leaves, after: Leaves) -> Array:
    """How far each parameter was moved: ``‖Δw‖``."""
    moved = [jnp.ravel(new - old) for old, new in zip(before, after, strict=True)]
    dtype = magnitudes.precision(before)
    return magnitudes.norms([(abs(one) if jnp.iscomplexobj(one) else one).astype(dtype) for one in moved])
