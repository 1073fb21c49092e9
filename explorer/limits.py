"""What one page may ask of a server that many share: how large a network is, and how many steps a second it trains."""

from __future__ import annotations

import dataclasses
import math

from engine.tasks.settings import TASKS, Settings, SettingsError

_COSTS = {"conv": 500, "rnn": 2, "gru": 6, "lstm": 8, "transformer": 12}
"""Products for each pair of units and each example, about; for a network over time at each moment."""

_MOMENTS = {"text": "length", "adding": "length"}


@dataclasses.dataclass(frozen=True)
class Limits:
    """None at all, unless given."""

    sizes: tuple[tuple[str, int], ...] = ()
    """The highest value of some settings."""
    work: float = math.inf
    """Products that a forward pass may take, about."""
    steps: float = math.inf
    """A second."""
    at_once: int = 1_000_000_000
    """Steps that may be asked for with one click."""

    def checked(self, settings: Settings) -> Settings:
        """The same settings, or a sentence about what is too large.

        Raises:
            SettingsError: it is.
        """
        for name, high in self.sizes:
            if getattr(settings, name) > high:
                value = getattr(settings, name)
                raise SettingsError(f"{name} is {value}, and on this server, which many share, {high} at most.")
        if TASKS[settings.task].models and work(settings) > self.work:
            raise SettingsError(
                f"One step of this network takes {work(settings) / self.work:.1f} times as long as it may on this "
                "server, which many share: choose fewer layers, units or examples in a step."
            )
        return settings


NONE = Limits()


def work(settings: Settings) -> float:
    """Products that a forward pass takes, about."""
    moments = settings.length if settings.task in _MOMENTS else 8 if settings.model in ("rnn", "gru", "lstm") else 1
    each = _COSTS.get(settings.model, 1) * settings.width**2 * max(settings.depth, 1)
    return float(each * settings.batch * moments)


SHARED = Limits((("depth", 32), ("width", 256), ("batch", 256), ("length", 96)), work=1e8, steps=1000.0, at_once=1000)
"""For a server that many share: a step takes about a tenth of a second at most on a usual core."""
