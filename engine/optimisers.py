"""Optimisers as settings: what Optax compiles once, and the dials that turn while training runs.

``optimizer`` and ``clip`` decide what is compiled and what is remembered between steps. Everything else (rate, its
schedule, clip limit, weight decay, what is frozen) is an argument of the compiled step, so it changes from one step
to the next without a compilation, and what is remembered stays.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from engine.errors import EngineError

Array = Any
Make = Callable[[Any, Any], optax.GradientTransformation]

MOMENTUM = 0.9

HORIZON = 1000
"""Steps that a cosine takes from the full rate to its floor."""

ALGORITHMS: dict[str, Make] = {
    "sgd": lambda rate, decay: optax.chain(optax.add_decayed_weights(decay), optax.sgd(rate)),
    "momentum": lambda rate, decay: optax.chain(optax.add_decayed_weights(decay), optax.sgd(rate, MOMENTUM)),
    "nesterov": lambda rate, decay: optax.chain(
        optax.add_decayed_weights(decay), optax.sgd(rate, MOMENTUM, nesterov=True)
    ),
    "rmsprop": lambda rate, decay: optax.chain(optax.add_decayed_weights(decay), optax.rmsprop(rate)),
    "adam": lambda rate, decay: optax.chain(optax.add_decayed_weights(decay), optax.adam(rate)),
    "adamw": lambda rate, decay: optax.adamw(rate, weight_decay=decay),
    "lion": lambda rate, decay: optax.lion(rate, weight_decay=decay),
}
"""From rate and weight decay. AdamW and Lion shrink the weights beside the update, the others through the gradient."""

CLIPS: dict[str, Callable[[Any], optax.GradientTransformation]] = {
    "none": lambda limit: optax.identity(),
    "value": optax.clip,
    "norm": optax.clip_by_global_norm,
}

SCHEDULES: dict[str, optax.Schedule] = {
    "constant": optax.constant_schedule(1.0),
    "cosine": optax.cosine_decay_schedule(1.0, HORIZON, alpha=0.01),
    "warmup": optax.linear_schedule(0.01, 1.0, HORIZON // 10),
    "step": optax.exponential_decay(1.0, HORIZON // 4, 0.5, staircase=True),
}
"""What the rate is multiplied by, from the number of the step."""


def _at(schedule: optax.Schedule) -> Callable[[Array], Array]:
    return lambda step: jnp.asarray(schedule(step), jnp.result_type(float))


_FACTORS = [_at(schedule) for schedule in SCHEDULES.values()]


SCALINGS = ("none", "static", "dynamic")

STATIC = 2.0**10
"""What a static scaling multiplies the loss by."""

FIRST = 2.0**16
"""What a dynamic one begins with, and half of the largest number of float16."""

PATIENCE = 200
"""Steps without an overflow after which it is doubled. Usual are 2,000; runs on a page are shorter."""


class Guarded(NamedTuple):
    """What is remembered where the loss is scaled: the optimiser's memory, and the scaling's."""

    inner: Any
    factor: Array
    """What the loss of the next step is multiplied by."""
    steady: Array
    """Steps since it was changed last, or since a step was left out."""
    skipped: Array
    """How many steps were left out, because a gradient overflowed."""


def _guarded(inner: optax.GradientTransformation, kind: str) -> optax.GradientTransformation:
    """An optimiser that leaves a step out whose gradients aren't all finite; a dynamic scaling is halved there, and
    doubled where none was for long.
    """
    if kind == "none":
        return inner
    dynamic = kind == "dynamic"

    def init(params: Any) -> Guarded:
        none = jnp.zeros((), jnp.int32)
        return Guarded(inner.init(params), jnp.float32(FIRST if dynamic else STATIC), none, none)

    def update(grads: Any, state: Any, params: Any = None) -> tuple[Any, Guarded]:
        fine = jnp.all(jnp.array([jnp.all(jnp.isfinite(grad)) for grad in jax.tree.leaves(grads)]))
        moves, moved = inner.update(grads, state.inner, params)
        moves = jax.tree.map(lambda move: jnp.where(fine, move, jnp.zeros_like(move)), moves)
        kept = jax.tree.map(lambda new, old: jnp.where(fine, new, old), moved, state.inner)
        steady = jnp.where(fine, state.steady + 1, 0)
        grows = dynamic & (steady >= PATIENCE)
        change = jnp.where(fine, jnp.where(grows, 2.0, 1.0), 0.5 if dynamic else 1.0)
        factor = jnp.maximum(state.factor * change, 1).astype(jnp.float32)
        return moves, Guarded(kept, factor, jnp.where(grows, 0, steady), state.skipped + ~fine)

    return optax.GradientTransformation(init, update)


def factor(memory: Any) -> Array | None:
    """What the loss of the next step is multiplied by; ``None`` where it isn't scaled."""
    return memory.factor if isinstance(memory, Guarded) else None


def skipped(memory: Any) -> int:
    """How many steps were left out so far, because a gradient of the scaled loss overflowed."""
    return int(memory.skipped) if isinstance(memory, Guarded) else 0


class ControlsError(EngineError, ValueError):
    """A control of the optimiser has a value that it can't have."""


@dataclasses.dataclass(frozen=True)
class Method:
    """What a step is compiled for. Another method starts with an empty memory."""

    optimizer: str = "sgd"
    clip: str = "none"
    scaling: str = "none"

    def make(self, dials: Mapping[str, Any], step: Array) -> optax.GradientTransformation:
        """The optimiser of one step; the dials may be traced arrays."""
        factor = lax.switch(dials["schedule"], _FACTORS, step)
        algorithm = ALGORITHMS[self.optimizer](dials["rate"] * factor, dials["decay"])
        return _guarded(optax.chain(CLIPS[self.clip](dials["clip_at"]), algorithm), self.scaling)

    def empty(self) -> optax.GradientTransformation:
        """The same optimiser for the shape of its memory alone, which the dials don't change."""
        return _guarded(optax.chain(CLIPS[self.clip](1.0), ALGORITHMS[self.optimizer](1.0, 1.0)), self.scaling)


_TABLES: dict[str, Iterable[str]] = {"optimizer": ALGORITHMS, "clip": CLIPS, "schedule": SCHEDULES, "scaling": SCALINGS}


@dataclasses.dataclass(frozen=True)
class Fixed:
    """An optimiser of Optax as it is: no dial turns it."""

    transformation: optax.GradientTransformation

    def make(self, dials: Mapping[str, Any], step: Array) -> optax.GradientTransformation:
        """The optimiser."""
        return self.transformation

    def empty(self) -> optax.GradientTransformation:
        """The optimiser."""
        return self.transformation


@dataclasses.dataclass(frozen=True)
class Controls:
    """Everything about the optimiser that can be changed while training runs; a record of plain values.

    Attributes:
        optimizer: a key of :data:`ALGORITHMS`.
        clip: a key of :data:`CLIPS`: gradients entry by entry, or the norm of all of them together.
        rate: learning rate, before the schedule.
        schedule: a key of :data:`SCHEDULES`; it counts the steps of the run.
        clip_at: the limit of ``clip``.
        decay: weight decay.
        scaling: one of :data:`SCALINGS`: what the loss is multiplied by while its gradients are computed.
        frozen: names of parameters, or of what they lie in (``params.layers.0``), that stay as they are.
    """

    optimizer: str = "sgd"
    clip: str = "none"
    rate: float = 0.1
    schedule: str = "constant"
    clip_at: float = 1.0
    decay: float = 0.0
    scaling: str = "none"
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "frozen", tuple(sorted(set(self.frozen))))

    @property
    def method(self) -> Method:
        """The part that a step is compiled for."""
        return Method(self.optimizer, self.clip, self.scaling)

    def checked(self) -> Controls:
        """The same controls, or a sentence about the one that can't be.

        Raises:
            ControlsError: what came, and what is possible.
        """
        for name, table in _TABLES.items():
            if getattr(self, name) not in table:
                raise ControlsError(f"{name} {getattr(self, name)!r} isn't one of {', '.join(table)}.")
        for name in ("rate", "clip_at", "decay"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ControlsError(f"{name} is {value}, and must be a finite number from 0 up.")
        return self

    def changed(self, **changes: Any) -> Controls:
        """Other controls, checked.

        Raises:
            ControlsError: there is no such control, or it can't be what was given.
        """
        fields = {field.name for field in dataclasses.fields(self)}
        unknown = sorted(set(changes) - fields)
        if unknown:
            raise ControlsError(f"There is no control {unknown[0]!r}; there are {', '.join(sorted(fields))}.")
        return dataclasses.replace(self, **changes).checked()

    def difference(self, after: Controls) -> str:
        """What changed, for people: ``rate 0.1 → 0.03``."""
        old, new = dataclasses.asdict(self), dataclasses.asdict(after)
        said = [f"{name} {_said(old[name])} → {_said(new[name])}" for name in old if old[name] != new[name]]
        if self.method != after.method:
            said.append("the optimiser's memory starts empty")
        return ", ".join(said)

    def dials(self, names: Iterable[str]) -> dict[str, Any]:
        """The dynamic arguments of a step over parameters of these names.

        Numbers stay Python's, so that they take the precision of what they meet.

        Raises:
            ControlsError: a frozen name is that of no parameter.
        """
        names = list(names)
        held = [[_within(name, outer) for name in names] for outer in self.frozen]
        unknown = [outer for outer, found in zip(self.frozen, held, strict=True) if not any(found)]
        if unknown:
            raise ControlsError(f"There is no parameter {unknown[0]!r} to freeze; there are {', '.join(names)}.")
        return {
            "rate": float(self.rate),
            "clip_at": float(self.clip_at),
            "decay": float(self.decay),
            "schedule": list(SCHEDULES).index(self.schedule),
            "frozen": np.any(np.asarray(held, bool).reshape(len(held), len(names)), axis=0),
        }


def controls(settings: object) -> Controls:
    """The controls among some settings: attributes of the same names; the others keep their defaults.

    Raises:
        ControlsError: one of them has a value that it can't have.
    """
    fields = [field.name for field in dataclasses.fields(Controls)]
    return Controls(**{name: getattr(settings, name) for name in fields if hasattr(settings, name)}).checked()


def make(settings: object, step: Array = 0) -> optax.GradientTransformation:
    """The optimiser that settings describe, as it is at one step of a run; freezing is :func:`update`'s.

    Raises:
        ControlsError: one of them has a value that it can't have.
    """
    chosen = dataclasses.replace(controls(settings), frozen=())
    return chosen.method.make(chosen.dials(()), step)


def update(
    chosen: Method | Fixed, dials: Mapping[str, Any], step: Array, state: tuple[Any, Any], grads: Any
) -> tuple[Any, Any]:
    """Move the parameters, and leave the frozen ones, and what is remembered of them, bit for bit.

    A frozen parameter's gradient counts as zero, so it has no part in a global norm either.

    Args:
        chosen: the optimiser.
        dials: its dynamic arguments (:meth:`Controls.dials`).
        step: number of the step, for the schedule.
        state: parameters and memory.
        grads: gradients, like the parameters, as JAX computes them.
    """
    params, memory = state
    tree: Any = jax.tree.structure(params)
    frozen = jax.tree.unflatten(tree, [dials["frozen"][leaf] for leaf in range(tree.num_leaves)])
    optimiser = chosen.make(dials, step)
    grads = jax.tree.map(lambda held, grad: jnp.where(held, jnp.zeros_like(grad), grad), frozen, steepest(grads))
    updates, moved = optimiser.update(grads, memory, params)
    after = jax.tree.map(jnp.where, frozen, params, optax.apply_updates(params, updates))
    return after, jax.tree.map(jnp.where, _held(chosen, memory, frozen), memory, moved)


def steepest(grads: Any) -> Any:
    """Gradients as optimisers want them: for a complex parameter JAX has the conjugate of where the loss rises most."""
    return jax.tree.map(lambda grad: jnp.conj(grad) if jnp.iscomplexobj(grad) else grad, grads)


def _held(chosen: Method | Fixed, memory: Any, frozen: Any) -> Any:
    """For each leaf of the memory whether it belongs to a frozen parameter; counts of steps belong to none."""
    return optax.tree_utils.tree_map_params(
        chosen.empty(), lambda _, held: held, memory, frozen, transform_non_params=lambda _: False
    )


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return " and ".join(value) or "nothing"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _within(name: str, outer: str) -> bool:
    return name == outer or name.startswith(f"{outer}.")
