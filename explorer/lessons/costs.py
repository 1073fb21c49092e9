"""What a lesson can say of costs: counted and measured, of the run's own problem or of one with other settings."""

from __future__ import annotations

from functools import lru_cache

import engine
from engine.tasks import Problem, Settings, problem
from engine.tasks.settings import SettingsError

COUNTED = ("forward", "reverse", "forward_mode", "forward_modes", "written_out", "paths", "kept", "peak")
"""Parts of a cost: operations of the loss, of it with its gradient, of one pass of forward mode, of as many as there
are parameters, and of the chain rule written out, path by path; the number of paths; bytes kept, and alive at most."""

MEASURED = ("forward", "reverse", "forward_mode")

INSIDE = ("forward", "backward", "kept", "parameters")
"""Of a scope: operations, bytes, numbers that are trained."""

REPEATS = 30


@lru_cache(maxsize=128)
def counted(settings: Settings) -> engine.Cost:
    """What the problem with these settings costs.

    Raises:
        SettingsError: there is none.
    """
    own = problem(settings)
    return engine.cost(own.fun, *own.params, *own.batch(0), argnums=_trained(own))


@lru_cache(maxsize=32)
def measured(settings: Settings) -> engine.Timing:
    """How long it takes on this machine, in seconds; measured once, so that a lesson doesn't contradict itself.

    Raises:
        SettingsError: there is none.
    """
    own = problem(settings)
    return engine.measure(own.fun, *own.params, *own.batch(0), argnums=_trained(own), repeats=REPEATS)


def part(settings: Settings, name: str) -> int | float:
    """One of :data:`COUNTED`.

    Raises:
        SettingsError: there is no such part, or no such problem.
    """
    cost = counted(settings)
    found = {
        "forward": cost.forward.operations,
        "reverse": cost.reverse.operations,
        "forward_mode": cost.forward_mode.operations if cost.forward_mode else 0,
        "forward_modes": cost.forward_modes or 0,
        "written_out": cost.written_out,
        "paths": cost.expansion.paths,
        "kept": cost.kept,
        "peak": cost.peak,
    }
    return found[_known(name, COUNTED)]


def milliseconds(settings: Settings, name: str) -> float:
    """One of :data:`MEASURED`.

    Raises:
        SettingsError: there is no such part, or no such problem.
    """
    return 1e3 * (getattr(measured(settings), _known(name, MEASURED)) or 0.0)


def inside(settings: Settings, scope: str, name: str) -> int:
    """One of :data:`INSIDE` of a scope.

    Raises:
        SettingsError: there is no such part, or no such problem.
        UnknownNodeError: there is no such scope.
    """
    return int(getattr(counted(settings).scope(scope), _known(name, INSIDE)))


def _trained(own: Problem) -> tuple[int, ...]:
    return tuple(range(len(own.params)))


def _known(name: str, parts: tuple[str, ...]) -> str:
    if name not in parts:
        raise SettingsError(f"There is no part {name!r} of a cost; there are {', '.join(parts)}.")
    return name
