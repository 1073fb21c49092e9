"""The spiral MLP by micrograd's arithmetic: a node for every single number, all of which are there to be read."""

from __future__ import annotations

import math
from typing import Any

from micrograd.engine import Value

from benchmarks.workloads import Workload

RATE = 0.1


def _tanh(x: Value) -> Value:
    """micrograd has no tanh: out of what it has, as one would add it."""
    bent = Value(math.tanh(x.data), (x,), "tanh")

    def backward() -> None:
        x.grad += (1 - bent.data**2) * bent.grad

    bent._backward = backward
    return bent


def _exp(x: Value) -> Value:
    raised = Value(math.exp(x.data), (x,), "exp")

    def backward() -> None:
        x.grad += raised.data * raised.grad

    raised._backward = backward
    return raised


def _log(x: Value) -> Value:
    found = Value(math.log(x.data), (x,), "log")

    def backward() -> None:
        x.grad += found.grad / x.data

    found._backward = backward
    return found


class Step:
    """A training step; it records every number because it can't do otherwise."""

    def __init__(self, name: str, workload: Workload) -> None:
        self.layers = [
            ([[Value(float(w)) for w in row] for row in layer["w"]], [Value(float(b)) for b in layer["b"]])
            for layer in workload.params
        ]
        self.x, self.y = (part.tolist() for part in workload.batch)

    @property
    def parameters(self) -> list[Value]:
        """All of them."""
        return [value for rows, biases in self.layers for row in (*rows, biases) for value in row]

    def _scores(self, example: list[float]) -> list[Value]:
        units: list[Any] = list(example)
        for place, (rows, biases) in enumerate(self.layers):
            columns = zip(*rows, strict=True)
            sums = [
                sum((w * x for w, x in zip(own, units, strict=True)), b) for own, b in zip(columns, biases, strict=True)
            ]
            units = [_tanh(each) for each in sums] if place < len(self.layers) - 1 else sums
        return units

    def loss(self) -> float:
        """The loss now."""
        return float(self._loss().data)

    def _loss(self) -> Value:
        parts = []
        for example, label in zip(self.x, self.y, strict=True):
            scores = self._scores(example)
            parts.append(_log(sum((_exp(score) for score in scores), Value(0.0))) - scores[label])
        return sum(parts, Value(0.0)) * (1 / len(parts))

    def __call__(self) -> Any:
        """Take it."""
        loss = self._loss()
        for parameter in self.parameters:
            parameter.grad = 0
        loss.backward()
        for parameter in self.parameters:
            parameter.data -= RATE * parameter.grad
        return loss
