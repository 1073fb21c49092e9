"""What to change: each remedy as data, chosen by what the run's settings are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.errors import EngineError
from engine.health.evidence import Evidence
from engine.health.finding import Remedy
from engine.numbers import short
from engine.profile import rms

GOOD_RATIO = 0.01
"""A step that moves weights by a hundredth of their size: ten times the usual advice of 1e-3 for long training, and
well below the tenth at which a step leaves the region where its gradient says anything."""

_PER_STEP = {"sgd": 1.0, "momentum": 10.0, "nesterov": 10.0}
"""How many gradients a step is worth in the long run, where the step is the gradient times the rate. All others bring
each entry's step to about the rate itself."""

_USUAL = {"sgd": 0.1, "momentum": 0.01, "nesterov": 0.01, "lion": 3e-4}
_USUAL_ADAPTIVE = 3e-3

_RECTIFIERS = ("relu", "leaky_relu", "gelu", "swish")

DEEP = 8
"""From this depth on an initialisation alone isn't relied upon: errors of its variance are multiplied so many times."""


def fitting_init(activation: str) -> str:
    """The initialiser made for an activation: He and others (2015) for rectifiers, else Glorot and Bengio (2010)."""
    return "he" if activation in _RECTIFIERS else "xavier"


def lower_rate(evidence: Evidence, label: str = "Learn more slowly") -> Remedy:
    """A rate whose first step moves the weights by a hundredth of their size, measured on this run."""
    return rate(evidence, label, at_most=float(evidence.setting("rate", math.inf)) / 3)


def rate(evidence: Evidence, label: str, at_most: float = math.inf) -> Remedy:
    """A rate that fits this run."""
    if evidence.setting("rate") is None:
        return Remedy(f"{label}: aim at updates of a hundredth of the weights' size", {})
    value = min(_fitting_rate(evidence), at_most)
    value = float(f"{value:.0e}")
    return Remedy(f"{label}: rate {short(value)}", {"rate": value})


def _fitting_rate(evidence: Evidence) -> float:
    optimizer = evidence.setting("optimizer", "sgd")
    found = sorted(_rates(evidence, optimizer))
    return statistics.median_low(found) if found else _USUAL.get(optimizer, _USUAL_ADAPTIVE)


def _rates(evidence: Evidence, optimizer: str) -> Iterator[float]:
    """For each weight of the first reading the rate at which it moves by :data:`GOOD_RATIO`."""
    reading = evidence.readings[0]
    for layer in evidence.structure.layers:
        for weight in layer.weights:
            try:
                size, gradient = rms(reading.value(weight)), rms(reading.grad(weight))
            except EngineError:
                continue
            step = gradient * _PER_STEP[optimizer] if optimizer in _PER_STEP else 1.0
            if size and step and np.isfinite(size / step):
                yield GOOD_RATIO * size / step


def clip() -> Remedy:
    """Steps of a bounded length: the direction stays."""
    return Remedy("Clip the gradient's norm at 1", {"clip": "norm", "clip_at": 1.0})


def scaling() -> Remedy:
    """The loss as large as its gradients bear."""
    return Remedy("Scale the loss, as far as its gradients bear", {"scaling": "dynamic"})


def bfloat16() -> Remedy:
    """As many bits, fewer of them digits."""
    return Remedy("Compute in bfloat16, which reaches as far as float32", {"precision": "bfloat16"})


def float32() -> Remedy:
    """Twice the bits."""
    return Remedy("Compute in float32", {"precision": "float32"})


def init(evidence: Evidence) -> Remedy:
    """The initialiser that fits the activation."""
    if evidence.own:
        return Remedy("Draw each weight at random with variance 2/(n + m); 2/n before a ReLU", {})
    return Remedy(*_init(str(evidence.setting("activation", "tanh"))))


def _init(activation: str) -> tuple[str, dict[str, Any]]:
    name = fitting_init(activation)
    title = {"he": "He", "xavier": "Glorot"}[name]
    return f"{title} initialisation", {"init": name}


def norm() -> Remedy:
    """Layer normalisation."""
    return Remedy("Normalise each layer", {"norm": "layer"})


def residual() -> Remedy:
    """Residual connections."""
    return Remedy("Add residual connections", {"residual": True})


def activation(evidence: Evidence, name: str) -> Remedy:
    """Another activation, with the initialisation made for it; in deep nets with normalisation."""
    title = {"relu": "ReLU", "leaky_relu": "leaky ReLU"}.get(name, name)
    if evidence.own:
        return Remedy(f"Use {title} with the initialisation made for it", {})
    _, change = _init(name)
    return Remedy(f"{title} with {_init(name)[0]}", {"activation": name, **change})


def fresh(evidence: Evidence, bent: str = "") -> Remedy:
    """Another start: the initialisation that fits. In deep nets also a way round each layer, which brings the gradient
    to the first one; an activation that bounds what each adds to it; a normalisation, so that what has added up doesn't
    saturate the next; and as the last layer sees the sum of all, whose mean square grows with their number, a rate
    divided by it.

    Args:
        evidence: of the run.
        bent: another activation, where the present one is the cause.
    """
    if len(evidence.structure.trunk) > DEEP:
        around = together(activation(evidence, "tanh"), residual(), norm())
        shared = _shared_rate(evidence)
        slower = f", and learn at rate {short(shared['rate'])}" if shared else ""
        return Remedy(around.label + slower, {**around.change, **shared})
    return activation(evidence, bent) if bent else init(evidence)


def _shared_rate(evidence: Evidence) -> dict[str, Any]:
    """The rate, divided by the number of layers; the usual one at least, unless it was lower already."""
    given, optimizer, depth = (
        evidence.setting("rate"),
        evidence.setting("optimizer", "sgd"),
        len(evidence.structure.trunk),
    )
    if given is None or optimizer not in _PER_STEP:
        return {}
    return {"rate": float(f"{max(given / depth, min(given, _USUAL[optimizer] / depth)):.0e}")}


def together(*remedies: Remedy) -> Remedy:
    """Several at once."""
    change: dict[str, Any] = {}
    for remedy in remedies:
        change |= remedy.change
    label = ", and ".join((remedies[0].label, *(r.label[0].lower() + r.label[1:] for r in remedies[1:])))
    return Remedy(label, change)


def effective(evidence: Evidence, *remedies: Remedy) -> tuple[Remedy, ...]:
    """Without those that ask for what the settings are already, nor the same twice. What changes what is no setting of
    this run, but somebody's own code, is advice.
    """
    kept: list[Remedy] = []
    for remedy in remedies:
        if any(evidence.setting(name) is None for name in remedy.change):
            remedy = Remedy(remedy.label, {})
        same = remedy.change and all(evidence.setting(name) == value for name, value in remedy.change.items())
        if not same and remedy.change not in [other.change for other in kept if other.change]:
            kept.append(remedy)
    return tuple(kept)
