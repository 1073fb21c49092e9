"""What one person at one page sees of a training in another process: part of it is shown, nothing of it is changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from engine.numbers import Numbers, short
from engine.training import Step
from explorer import frames
from explorer.dot_process import Engine, shared_engine
from explorer.extras import Extras, extras
from explorer.followed import Feed, Followed
from explorer.looking import Looking
from explorer.seen import told

WORDS = """This is a training loop of your own, and it trains where you started it. Every number here was read in one of
its own steps. Hold a step to look at it in peace: training goes on meanwhile, and isn't read any further than the
charts need."""

COMMANDED = """This training runs where a command has started it, in one process or in several that train as one. The
charts tell of its steps as they were taken; the graph is the pass at the parameters of the step that is named. Hold a
step to look at it in peace: training goes on meanwhile."""


class Follow(Looking):
    """The pass that was read last, or one that is held."""

    waiting = False

    def __init__(self, feed: Feed, engine: Engine | None = None) -> None:
        """Begin with the latest pass.

        Args:
            feed: has got a whole pass already.
            engine: lays graphs out.
        """
        super().__init__(engine or shared_engine())
        assert feed.followed is not None
        self._feed = feed
        self.room: Followed = feed.followed
        self.following = True
        """Whether the latest pass is shown whenever there is a new one."""
        self._shown = self.room.passes[-1]
        self._spread_out(self.room.graph, self.room.parameters)

    @property
    def step(self) -> Step:
        """The step that is shown."""
        return self._shown

    @cached_property
    def numbers(self) -> Numbers:
        """Its numbers."""
        return Numbers(self.step.reading.over(self.graph))

    # ---- which step ------------------------------------------------------------------------------------------------

    def renew(self) -> bool:
        """Show the latest pass, unless one is held; whether it is another one."""
        if self.following:
            self._feed.want()
        latest = self.room.passes[-1]
        if not self.following or latest is self._shown:
            return False
        self._show(latest)
        return True

    def hold(self, on: bool) -> None:
        """Stay with the pass that is shown, or go on with the latest."""
        self.following = not on
        self.renew()

    def rewind(self, step: int) -> None:
        """Hold the pass that was read last before a step, or at it."""
        with self._feed.lock:
            self._show(self.room.pass_at(step))
        self.following = False

    def _show(self, step: Step) -> None:
        self._forget("numbers", "figures")
        self._shown = step

    # ---- what is seen ----------------------------------------------------------------------------------------------

    def frame(self) -> dict[str, Any]:
        """The training as columns of steps."""
        with self._feed.lock:
            return frames.of_run(self.room, self.step.before.step)

    def comparison(self) -> dict[str, Any]:
        """Nothing is compared."""
        return {}

    def extras(self) -> Extras:
        """What the pass that is shown has besides its graph."""
        with self._feed.lock:
            return extras(self.room, self.step, None)

    def findings(self) -> list[dict[str, Any]]:
        """What is wrong with the training, as plain data."""
        with self._feed.lock:
            return told(self.room.findings())

    def proof(self, box: str = "") -> Callable[[], dict[str, Any]]:
        """Nothing is proved here: the function is elsewhere."""
        return dict

    def form(self) -> dict[str, Any]:
        """There is nothing to set."""
        return {"fields": [], "words": " ".join((WORDS if self.room.every else COMMANDED).split()), "error": ""}

    def status(self) -> dict[str, Any]:
        """The training as text and numbers."""
        known = self.step.after is not self.step.before
        return {
            "title": self.room.title,
            "granularity": self.granularity,
            "plumbing": self.plumbing,
            "step": self.step.before.step,
            "trained": False,
            "before": short(float(self.step.loss)),
            "after": "",
            "on": "its own batch",
            "measure": "loss",
            "rate": "",
            "updates": self._updates() if known else {},
            "proves_all": True,
            "follows": {"every": self.room.every, "ended": self._feed.ended},
        }
