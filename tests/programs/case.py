"""A case of the corpus, and the arrays that cases are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Case:
    """A loss and where to differentiate it."""

    name: str
    fun: Callable[..., Any]
    args: tuple[Any, ...]
    x64: bool = False
    slow: bool = False
    """Whether it takes more than a second to compile, and waits for the outer ring."""


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def positive(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(0.5, 2.0, size=shape).astype(np.float32)


CASES: list[Case] = []


def case(*args: Any, x64: bool = False, slow: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(fun: Callable[..., Any]) -> Callable[..., Any]:
        CASES.append(Case(fun.__name__, fun, args, x64, slow))
        return fun

    return add
