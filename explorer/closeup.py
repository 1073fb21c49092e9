"""A closer look at the pass that is shown: what is read of it when asked for, what a scope costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from engine import cost
from engine.cost import Cost
from engine.errors import EngineError, UnknownNodeError
from engine.more import around
from engine.numbers import short
from engine.reading import Reading
from engine.text import amount
from engine.training import Step
from explorer.errors import ExplorerError
from explorer.looking import Looking
from explorer.room import Room

Job = Callable[[], Any]


class Closeup(Looking):
    """A pass of a function that is here, so that more of it can be read and counted."""

    room: Room
    _besides: tuple[Reading, ...] = ()
    """What was read of the pass that is shown besides what its step read."""
    _asked: set[str]
    """Nodes that were asked for so."""

    # ---- what is read when it is looked at ------------------------------------------------------------------------

    @property
    def _shown(self) -> tuple[str, ...]:
        """Ids of the nodes whose numbers the boxes show."""
        return tuple(dict.fromkeys(box.shows for box in self.folded.boxes))

    def unread(self) -> tuple[str, ...]:
        """Ids of the nodes that are seen and of which nothing was read, each told once; of a small graph none ever."""
        if not self.room.large or self.supposes:
            return ()
        found = tuple(id for id in self._shown if id not in self._asked and not self._known(id))
        self._asked.update(found)  # what can't be read is asked for once
        return found

    def _known(self, id: str) -> bool:
        try:
            return "value" in self.numbers.stats(id)  # a gradient may be known because another one's is the same
        except UnknownNodeError:
            return False
        except EngineError:  # it wasn't executed, say, and that is known
            return True

    def statistics(self, nodes: tuple[str, ...]) -> Callable[[], Reading]:
        """What reads statistics of these; takes long, and may be called in any thread."""
        return partial(self.room.more.statistics, self.step.before, nodes)

    def arrays(self, node: str) -> Callable[[], Reading]:
        """What reads all that the chain rule at a node speaks of; takes long, and may be called in any thread."""
        return partial(self.room.more.arrays, self.step.before, around(self.room.graph, node))

    def take_besides(self, step: Step, reading: Reading) -> bool:
        """Add what was read of a step, unless another one is shown meanwhile; whether it was added.

        Of arrays only those are kept that were asked for last.
        """
        if self.step is not step:
            return False
        kept = (each for each in self._besides if not each.plan.how == reading.plan.how == "full")
        self._besides = (reading, *kept)
        self._forget("numbers", "figures")
        return True

    def fetched(self, node: str) -> Reading | None:
        """What was read of a node in whole arrays, if anything was."""
        whole = (each for each in self._besides if each.plan.how == "full" and node in each.plan.graded)
        return next(whole, None)

    # ---- what a scope costs ---------------------------------------------------------------------------------------

    def summary(self, box: str) -> Callable[[], dict[str, list[str]]]:
        """What makes the summary of a folded box; counting takes a while, and may be done in any thread.

        Raises:
            ExplorerError: there is no such box.
        """
        found = {each.id: each for each in self.folded.boxes}.get(box)
        if found is None:
            raise ExplorerError(f"No box {box!r} is on the screen.")
        return partial(self._summary, found.members, self.step)

    def _summary(self, members: tuple[str, ...], step: Step) -> dict[str, list[str]]:
        """For each quantity how much it is, and which share of the whole program's."""
        whole = self._cost()
        squares = {id: norm**2 for id, norm in zip(self.parameters, step.gradient_norms, strict=True)}
        own, used = whole.among("", members), whole.used(frozenset(members))
        back = whole.reverse.operations - whole.forward.operations
        total = sum(squares.values())
        share = sum(squares[id] for id in used)
        return {
            "parameters": [f"{own.parameters:,}", _share(own.parameters, whole.entries)],
            "forward": [amount(own.forward, "FLOP"), _share(own.forward, whole.forward.operations)],
            "backward": [amount(own.backward, "FLOP"), _share(own.backward, back)],
            "kept": [amount(own.kept, "B"), _share(own.kept, whole.kept)],
            "gradient": [f"{short(share)} / {short(total)}", _share(share, total)],
        }

    def _cost(self) -> Cost:
        problem = self.room.problem
        argnums = tuple(range(len(problem.params)))
        return problem.once("cost", lambda: cost(problem.fun, *problem.params, *problem.batch(0), argnums=argnums))


def _share(part: float, whole: float) -> str:
    return f"{short(100 * part / whole)} %" if whole else "–"
