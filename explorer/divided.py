"""How a page's data-parallel room divides a step. The page itself trains on one device."""

from __future__ import annotations

import dataclasses
from typing import Any

from engine.divisible import divisible
from engine.more import is_large
from engine.shares import WHOLE, ParallelError
from engine.tasks import Problem
from explorer.form import DEVICES
from explorer.limits import NONE, Limits


class Divided:
    """What was chosen in that room; a part of the session."""

    problem: Problem
    _limits: Limits

    split = WHOLE
    tensor = ""
    """Name of the parameter that is shown element by element; the room's own choice if empty."""

    def divide(self, **changes: Any) -> None:
        """Divide a step otherwise; what is trained goes on as it is.

        Raises:
            ParallelError: it can't be.
        """
        split = dataclasses.replace(self.split, **changes).checked()
        if split.devices > 1 and self._limits == NONE:  # where many share a server, nothing is asked of devices
            self._check()
        if split.devices > max(DEVICES):
            raise ParallelError(f"devices is {split.devices}, and can be from 1 to {max(DEVICES)} on this page.")
        self.split = split

    def _check(self) -> None:
        if is_large(self.problem.graph):
            raise ParallelError(
                f"{self.problem.title} is too large for several devices that share one machine's memory."
            )
        divisible(self.problem)
