"""The settings of a training run, and tables of what each of them can be."""

from __future__ import annotations

import dataclasses
from typing import Any

from engine.errors import EngineError
from engine.tasks.activations import ACTIVATIONS
from engine.tasks.initialisers import INITIALISERS
from engine.tasks.losses import LOSSES
from engine.tasks.models import MODELS
from engine.tasks.norms import NORMS
from engine.tasks.precision import PRECISIONS


class SettingsError(EngineError, ValueError):
    """A setting has a value that it can't have."""


@dataclasses.dataclass(frozen=True)
class Task:
    """One row of the choice of tasks."""

    title: str
    words: str
    things: str = "examples"
    """What its examples are called."""
    models: tuple[str, ...] = ()
    """Those that can read its examples, the usual one first."""
    losses: tuple[str, ...] = ()
    """Those that fit its answers, the usual one first."""
    own: tuple[str, ...] = ()
    """Settings of its data."""
    defaults: tuple[tuple[str, Any], ...] = ()
    """What the settings become when one comes to it."""

    @property
    def uses(self) -> tuple[str, ...]:
        """The settings that matter to it, in the order of a form."""
        return (*self.own, *TRAINED) if self.models else ("rate",)


TRAINED = (
    *("model", "depth", "width", "activation", "init", "norm", "residual", "dropout", "remat", "loss"),
    *("optimizer", "rate", "schedule", "clip", "clip_at", "decay", "l1", "l2", "precision", "scaling"),
    *("batch", "seed"),
)
"""What matters wherever a model is trained on examples."""

SCORES = ("cross_entropy", "mse", "mae", "huber")
VALUES = ("mse", "mae", "huber")
OVER_TIME = ("rnn", "gru", "lstm", "transformer")


def _plane(title: str, words: str, noise: float = 0.05, **defaults: Any) -> Task:
    usual = {"depth": 2, "width": 8, "rate": 0.3, "batch": 32, "noise": noise, **defaults}
    return Task(title, words, "points", ("mlp",), SCORES, ("noise",), tuple(usual.items()))


TASKS: dict[str, Task] = {
    "digits": Task(
        "Handwritten digits",
        "1,797 real images of 8 × 8 pixels; the network says which digit each one is.",
        "images",
        ("mlp", "conv", *OVER_TIME),
        SCORES,
        defaults=(("depth", 2), ("width", 16), ("rate", 0.5), ("batch", 32)),
    ),
    "spiral": _plane("Two spirals", "Points of two intertwined spirals in the plane; the network tells them apart."),
    "circles": _plane("Two circles", "A disc of points and a ring around it; no straight line tells them apart."),
    "moons": _plane("Two moons", "Two half circles of points that reach into one another.", 0.1),
    "xor": _plane("Exclusive or", "Points of four quarters, the opposite ones alike: what a single layer can't learn."),
    "gaussians": _plane("Two clouds", "Two round clouds of points; a single layer is enough.", depth=1, width=4),
    "regression": Task(
        "A curve",
        "Points on one and a half waves of a sine; the network draws the curve through them.",
        "points",
        ("mlp",),
        VALUES,
        ("noise",),
        (("depth", 2), ("width", 16), ("rate", 0.1), ("batch", 32), ("noise", 0.1)),
    ),
    "iris": Task(
        "Iris flowers",
        "Four lengths of 150 flowers, measured in 1935; the network names one of three species.",
        "flowers",
        ("mlp",),
        SCORES,
        defaults=(("depth", 1), ("width", 8), ("rate", 0.3), ("batch", 16)),
    ),
    "cancer": Task(
        "Breast cancer",
        "Thirty measures of the cell nuclei in 569 samples; the network says which are malignant.",
        "samples",
        ("mlp",),
        SCORES,
        defaults=(("depth", 1), ("width", 16), ("rate", 0.1), ("batch", 32)),
    ),
    "text": Task(
        "The next letter",
        "A short text on how backpropagation was found; the network says which letter comes next.",
        "pieces of text",
        ("transformer", "gru", "lstm", "rnn"),
        SCORES,
        ("length",),
        (("depth", 1), ("width", 32), ("optimizer", "adam"), ("rate", 0.003), ("batch", 32), ("length", 24)),
    ),
    "adding": Task(
        "Adding, far apart",
        "A row of numbers, two of them marked; the network must keep the first in mind until it can add the second.",
        "rows",
        ("gru", "lstm", "rnn", "transformer"),
        VALUES,
        ("length",),
        (("depth", 1), ("width", 32), ("optimizer", "adam"), ("rate", 0.01), ("batch", 64), ("length", 24)),
    ),
    "csv": Task(
        "A table of one's own",
        "A CSV file of numbers; the network finds the column named label or target, or else the last one.",
        "rows",
        ("mlp",),
        SCORES,
        defaults=(("depth", 1), ("width", 16), ("rate", 0.1), ("batch", 32)),
    ),
    "neuron": Task(
        "One neuron, one weight",
        "What a neuron makes of one number, compared with what it should: as small as learning can be.",
        defaults=(("rate", 0.05),),
    ),
    "chain": Task(
        "Three layers, one unit each",
        "A network so narrow that every number on the way back can be checked in one's head.",
        defaults=(("rate", 0.05),),
    ),
    "shared": Task(
        "f = (x + y) · x",
        "The smallest graph in which a value is used twice.",
        defaults=(("rate", 0.05),),
    ),
    "corners": Task(
        "Corners and steps",
        "A rounding, the same with a straight-through gradient, a kink and a choice: four ways to have no slope.",
        defaults=(("rate", 0.1),),
    ),
    "product": Task(
        "f = (x + y) · z",
        "The smallest graph with everything in it: a sum, a product, three inputs.",
        defaults=(("rate", 0.05),),
    ),
}
"""Every task, in the order of the choice."""

COMES_WITH: dict[str, dict[str, Any]] = {"transformer": {"norm": "layer", "residual": True}}
"""What else changes with a model. Every other one comes without normalisation and residual connections."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that decides a training run. Defaults are those of the first page."""

    task: str = "digits"
    model: str = "mlp"
    depth: int = 2
    """Number of hidden layers: for a transformer of blocks, for a network over time of layers one above another."""
    width: int = 16
    """Units in each hidden layer."""
    activation: str = "tanh"
    init: str = "lecun"
    """Where the weights start."""
    norm: str = "none"
    """What brings values back to one size in each layer."""
    residual: bool = False
    """Whether what comes into a layer is added to what goes out."""
    dropout: float = 0.0
    """Share of each layer's units that is dropped, others at each step."""
    remat: bool = False
    """Whether what a layer makes on the way forward is made again on the way back, rather than kept."""
    loss: str = "cross_entropy"
    optimizer: str = "sgd"
    rate: float = 0.5
    """Learning rate."""
    schedule: str = "constant"
    """How the rate goes on from there."""
    clip: str = "none"
    """Whether gradients are cut, each entry (``value``) or all of them together (``norm``)."""
    clip_at: float = 1.0
    decay: float = 0.0
    """Weight decay, which is the optimiser's."""
    l1: float = 0.0
    """Weight of the L1 penalty in the loss."""
    l2: float = 0.0
    """Weight of the L2 penalty in the loss."""
    precision: str = "float32"
    """What the model computes in; parameters, loss and update stay float32."""
    scaling: str = "none"
    """What the loss is multiplied by before gradients are computed, and these are divided by."""
    batch: int = 32
    """Examples in a step; all of them where there are no more."""
    seed: int = 0
    noise: float = 0.05
    """How far points lie from where they should, in the plane of ±1."""
    length: int = 24
    """Moments in an example that goes over time."""
    csv: str = ""
    """Path of the table."""

    def checked(self) -> Settings:
        """The same settings, or a sentence about the one that can't be.

        Raises:
            SettingsError: what came, and what is possible.
        """
        for field in dataclasses.fields(self):
            _check(field.name, getattr(self, field.name), field.default)
        if TASKS[self.task].models:
            _check_together(self)
        return self


CHOICES: dict[str, tuple[str, ...]] = {
    "task": tuple(TASKS),
    "model": tuple(MODELS),
    "activation": tuple(ACTIVATIONS),
    "init": tuple(INITIALISERS),
    "norm": tuple(NORMS),
    "loss": tuple(LOSSES),
    "optimizer": ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "lion"),
    "schedule": ("constant", "cosine", "warmup", "step"),
    "clip": ("none", "value", "norm"),
    "precision": tuple(PRECISIONS),
    "scaling": ("none", "static", "dynamic"),  # of engine.optimisers
}

LIMITS: dict[str, tuple[float, float]] = {
    "depth": (0, 64),
    "width": (1, 512),
    "dropout": (0.0, 0.9),
    "rate": (0.0, 1e6),
    "clip_at": (0.0, 1e6),
    "decay": (0.0, 10.0),
    "l1": (0.0, 10.0),
    "l2": (0.0, 10.0),
    "batch": (1, 512),
    "seed": (0, 2**31 - 1),
    "noise": (0.0, 1.0),
    "length": (2, 200),
}

_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def brought(name: str, value: str) -> dict[str, Any]:
    """The settings that change along with this one: a task brings its defaults, a file the
    task of learning it, a model what it is usually built with.

    Args:
        name: of the setting that is chosen.
        value: what it becomes.

    Returns:
        All of them, itself included; only itself if it brings none, or isn't possible.
    """
    if name == "task" and value in TASKS:
        task = TASKS[value]
        usual = {"loss": task.losses[0], "optimizer": "sgd", **brought("model", task.models[0])} if task.models else {}
        return {name: value, **usual, **dict(task.defaults)}
    if name == "csv" and value:
        return {**brought("task", "csv"), name: value}
    if name == "model" and value in MODELS:
        return {"norm": "none", "residual": False, **COMES_WITH.get(value, {}), name: value}
    return {name: value}


def usual(task: str, **changes: Any) -> Settings:
    """The settings that one gets by coming to a task, choosing a model if one is named, and changing the rest.

    Args:
        task: name of the task.
        changes: settings by name.

    Raises:
        SettingsError: one of them can't be.
    """
    model = brought("model", changes["model"]) if "model" in changes else {}
    return dataclasses.replace(Settings(), **{**brought("task", task), **model, **changes}).checked()


def _check(name: str, value: Any, default: Any) -> None:
    """Whether one setting, by itself, is possible."""
    kind = type(default)
    if not (type(value) is kind or (kind is float and type(value) is int)):
        raise SettingsError(f"{name} must be {_KINDS[kind]}, and is {value!r}.")
    if name in CHOICES and value not in CHOICES[name]:
        raise SettingsError(f"{name} {value!r} isn't one of {', '.join(CHOICES[name])}.")
    low, high = LIMITS.get(name, (None, None))
    if low is not None and high is not None and not low <= value <= high:
        raise SettingsError(f"{name} is {value}, and can be from {low} to {high}.")


def _check_together(chosen: Settings) -> None:
    """Whether the settings fit one another."""
    task = TASKS[chosen.task]
    for name, fitting in (("model", task.models), ("loss", task.losses)):
        if getattr(chosen, name) not in fitting:
            asked = getattr(chosen, name)
            raise SettingsError(f"{name} {asked!r} doesn't fit the task {chosen.task!r}; choose {_either(fitting)}.")
    if chosen.model != "mlp" and chosen.depth < 1:
        raise SettingsError(
            f"depth is 0, and model {chosen.model!r} needs at least one layer: 1 to {LIMITS['depth'][1]}."
        )
    if chosen.norm == "batch" and chosen.batch < 2:
        raise SettingsError("norm 'batch' needs a batch of at least 2 examples, and batch is 1.")


def _either(names: tuple[str, ...]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
