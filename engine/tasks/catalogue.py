"""The tasks one can choose, and what a choice of settings becomes: a loss, its parameters, and its batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.tasks import data
from engine.tasks.losses import accuracy, cross_entropy
from engine.tasks.models import ACTIVATIONS, init_mlp, mlp

Array = Any


class SettingsError(EngineError, ValueError):
    """A setting has a value that it can't have."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that decides a training run. Defaults are those of the first page."""

    task: str = "digits"
    depth: int = 2
    """Number of hidden layers."""
    width: int = 16
    """Units in each hidden layer."""
    activation: str = "tanh"
    rate: float = 0.5
    """Learning rate."""
    batch: int = 32
    """Examples in a step."""
    seed: int = 0

    def checked(self) -> Settings:
        """The same settings, or a sentence about the one that can't be.

        Raises:
            SettingsError: what came, and what is possible.
        """
        for name, allowed in (("task", TASKS), ("activation", ACTIVATIONS)):
            if getattr(self, name) not in allowed:
                raise SettingsError(f"{name} {getattr(self, name)!r} isn't one of {', '.join(allowed)}.")
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} is {value}, and can be from {low} to {high}.")
        return self


LIMITS: dict[str, tuple[float, float]] = {
    "depth": (0, 32),
    "width": (1, 256),
    "rate": (0.0, 1e6),
    "batch": (1, 512),
    "seed": (0, 2**31 - 1),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A loss with what it is called on: ``fun(*params, *batch(step))``; the parameters come first."""

    title: str
    fun: Callable[..., Any]
    params: tuple[Any, ...]
    examples: tuple[Any, ...]
    """The whole training set, arrays with one first axis; for functions of one's own the remaining arguments."""
    rows: Callable[[int], Any]
    """Which examples a step is taken on, as int32; ``None``: the examples as they are."""
    noisy: bool = False
    """Whether ``fun`` takes the number of the step last, and draws its dropout from it."""
    rate: float = 0.1
    note: str = ""
    """What one step is taken on: ``32 of 1,797 images``."""
    image: tuple[int, int] | None = None
    measure: str = "loss"
    """What the number is called that gets smaller."""
    held_out: tuple[Any, ...] = ()
    """The test set, like ``examples``; empty where there is none."""
    predict: Callable[..., Any] | None = None
    """``predict(params, x)``: scores or values, without dropout."""
    accuracy: Callable[..., Any] | None = None
    """``accuracy(params, x, y)``: share of right answers."""
    classes: tuple[str, ...] = ()

    def batch(self, step: int) -> tuple[Any, ...]:
        """What the loss is called on in a step, besides its parameters."""
        rows = self.rows(step)
        taken = self.examples if rows is None else tuple(np.take(part, rows, axis=0) for part in self.examples)
        return (*taken, np.int32(step)) if self.noisy else taken


@dataclasses.dataclass(frozen=True)
class Task:
    """One row of the choice of tasks."""

    title: str
    words: str
    build: Callable[[Settings], Problem]
    uses: tuple[str, ...] = ("depth", "width", "activation", "rate", "batch", "seed")
    """The settings that matter to it."""
    defaults: tuple[tuple[str, Any], ...] = ()
    """What the settings become when one comes to it."""


def product(x: Array, y: Array, z: Array) -> Array:
    """The smallest graph with a sum and a product."""
    return (x + y) * z


def _product(settings: Settings) -> Problem:
    start = tuple(np.float32(value) for value in (-2.0, 5.0, -4.0))
    note = "x = −2, y = 5, z = −4 at the start"
    return Problem("f = (x + y) · z", product, start, (), lambda step: None, rate=settings.rate, note=note, measure="f")


def _classifier(settings: Settings, given: data.Data, title: str, things: str) -> Problem:
    sizes = (given.x.shape[1], *[settings.width] * settings.depth, given.y.shape[1])
    activation = ACTIVATIONS[settings.activation]

    def loss(params: Any, x: Array, y: Array) -> Array:
        return cross_entropy(mlp(params, x, activation), y)

    @lru_cache(maxsize=2)
    def order(epoch: int) -> Array:
        return np.random.default_rng((settings.seed, epoch)).permutation(len(given)).astype(np.int32)

    def rows(step: int) -> Array:
        epoch, start = divmod(step * settings.batch, len(given))
        return np.take(order(epoch), range(start, start + settings.batch), mode="wrap")

    def right(params: Any, x: Array, y: Array) -> Array:
        return accuracy(mlp(params[0], x, activation), y)

    return Problem(
        title,
        loss,
        (init_mlp(sizes, settings.seed),),
        (given.x, given.y),
        rows,
        rate=settings.rate,
        note=f"{settings.batch} of {len(given):,} {things}",
        image=given.image,
        predict=lambda params, x: mlp(params[0], x, activation),
        accuracy=right,
        classes=given.classes,
    )


def _digits(settings: Settings) -> Problem:
    return _classifier(settings, data.digits(), "Handwritten digits", "images")


def _spiral(settings: Settings) -> Problem:
    return _classifier(settings, data.spiral(seed=settings.seed), "Two spirals", "points")


TASKS: dict[str, Task] = {
    "digits": Task(
        "Handwritten digits",
        "1,797 real images of 8 × 8 pixels; the network says which digit each one is.",
        _digits,
        defaults=(("depth", 2), ("width", 16), ("rate", 0.5), ("batch", 32)),
    ),
    "spiral": Task(
        "Two spirals",
        "Points of two intertwined spirals in the plane; the network tells them apart.",
        _spiral,
        defaults=(("depth", 2), ("width", 8), ("rate", 0.3), ("batch", 32)),
    ),
    "product": Task(
        "f = (x + y) · z",
        "The smallest graph with everything in it: a sum, a product, three inputs.",
        _product,
        uses=("rate",),
        defaults=(("rate", 0.05),),
    ),
}


def problem(settings: Settings) -> Problem:
    """The training problem that the settings describe.

    Raises:
        SettingsError: a setting is out of its range.
    """
    return TASKS[settings.checked().task].build(settings)
