"""What ``explorer.show`` returns: a graph view as one sees it from Python, beside the one in the notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from engine.errors import EngineError
from engine.graph import Graph, Node
from engine.health import Finding
from engine.reading import Reading
from explorer import folding, inspecting
from explorer.crew import Crew
from explorer.drawn import Drawn
from explorer.errors import ExplorerError
from explorer.folding import Folding
from explorer.inspecting import Inspecting
from explorer.room import DIALS
from explorer.session import Session
from explorer.steps import PHASES, Stop

Array = Any
Message = dict[str, Any]


class Direct:
    """What is sent to a widget is sent at once: Jupyter's own queue brings it to the browser, from any thread."""

    def later(self, does: Callable[..., None], **arguments: Any) -> None:
        """Do it."""
        does(**arguments)

    def newest(self, key: str, shows: Callable[..., None], **arguments: Any) -> None:
        """Do it; nothing ever waits."""
        shows(**arguments)


class View:
    """A function's pass in a notebook. What one clicks there can be read here, and what is set here moves the view.

    Everything is done by one worker, one thing after the other, whether a click asks for it or Python.
    """

    def __init__(self, session: Session, make: Callable[[Callable[[Message], None]], Any]) -> None:
        """Take the step to show.

        Args:
            session: what is shown.
            make: makes the widget, given what takes its messages.
        """
        self._session = session
        self._crew = Crew(self._failed)
        self.widget = make(self.received)
        self._drawn = Drawn(self._known, Direct(), self.widget)
        self._folding = Folding(self._known, self._push, self._drawn.along, self._drawn.reply)
        self._inspecting = Inspecting(self._known, self._crew.beside, self._push, self._drawn.reply)
        self._drawn.supposed = self._inspecting.supposed
        self._opened = False
        self._proving: Any = None
        self._parts: Mapping[str, Callable[[Message], None]] = {
            "train": lambda message: self._train(1),
            "export": self._export,
            "prove": self._prove,
            **dict.fromkeys(folding.MESSAGES, self._folding.received),
            **dict.fromkeys(inspecting.MESSAGES, self._inspecting.received),
        }
        session.take(session.begin())
        self._push()

    def __repr__(self) -> str:
        return f"View({self.graph.name}: {len(self.graph.nodes)} nodes, {self.at})"

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The live view, and a picture for where nothing is alive: on GitHub, in a saved notebook, on paper."""
        data, metadata = self.widget._repr_mimebundle_(**options) or ({}, {})
        return data | {"text/plain": repr(self), "image/svg+xml": self.svg()}, metadata

    def close(self) -> None:
        """Take the view away."""
        self._crew.close()
        self.widget.close()

    # ---- what is seen ---------------------------------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        """The compute graph."""
        return self._session.graph

    @property
    def selected(self) -> Node | None:
        """The node that is selected; set it to a node, a name or an id, and what it is folded into opens."""
        return self.graph.node(self.widget.node) if self.widget.node else None

    @selected.setter
    def selected(self, key: Node | str | None) -> None:
        if key is None:
            self.widget.node = ""
            return
        found = self.graph.node(key.id if isinstance(key, Node) else key)
        self._crew.wait(partial(self._reveal, found.id))
        self.widget.node = found.id

    @property
    def playhead(self) -> int:
        """How many stops the playhead has passed; set it to a number, to -1 for the end, or to a phase."""
        return min(self.widget.position, len(self.stops))

    @playhead.setter
    def playhead(self, place: int | str) -> None:
        self.widget.position = self._position(place)
        if stop := self.stop:
            self.widget.node = self._shows(stop)

    @property
    def stops(self) -> tuple[Stop, ...]:
        """Every position of the playhead but the start, as the graph is folded."""
        return self._session.scene.stops

    @property
    def stop(self) -> Stop | None:
        """Where the playhead is: a phase and a box; ``None`` at the start."""
        return self.stops[self.playhead - 1] if self.playhead else None

    @property
    def at(self) -> str:
        """Where the playhead is, in words: ``Backward · dense/tanh``."""
        stop = self.stop
        return f"{stop.phase} · {self.graph.node(self._shows(stop)).name}" if stop else "Start · the inputs"

    # ---- numbers --------------------------------------------------------------------------------------------------

    @property
    def reading(self) -> Reading:
        """Values, gradients and contributions of the step that is shown, or of what was changed in it."""
        return self._crew.wait(lambda: self._session.numbers.reading)

    @property
    def loss(self) -> float:
        """The loss of the step that is shown."""
        return float(self._session.step.loss)

    @property
    def grads(self) -> Any:
        """The gradient with respect to the first argument."""
        return self._session.step.grads[0]

    def sentence(self, key: str, index: Iterable[int] | None = None) -> str:
        """The chain rule in numbers, for one entry of a node; left out, for the one with the largest gradient.

        Raises:
            EngineError: there is no such node, or no gradient to read.
            ExplorerError: it has no such entry.
        """
        node, place = self.graph.node(key).id, None if index is None else tuple(index)
        return str(self._crew.wait(lambda: self._session.explain(node, place)["text"]))

    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the training so far."""
        return self._crew.wait(lambda: self._session.room.findings(self._session.step))

    def svg(self, look: str = "light") -> str:
        """The picture at the playhead, or of the whole pass from its start, as SVG text."""
        return self._crew.wait(lambda: self._session.picture(self.playhead or len(self.stops), look))

    # ---- what is done ---------------------------------------------------------------------------------------------

    def unfold(self, scope: str = "") -> None:
        """Open a scope; without one, every operation is shown.

        Raises:
            UnknownNodeError: there is no such scope.
        """
        self._crew.wait(partial(self._turn, scope, True))

    def fold(self, scope: str = "") -> None:
        """Fold a scope; without one, only the layers are shown.

        Raises:
            UnknownNodeError: there is no such scope.
        """
        self._crew.wait(partial(self._turn, scope, False))

    def suppose(self, key: str, index: Iterable[int], value: float) -> None:
        """Put another number at an entry, and run the whole pass again.

        Raises:
            WhatIfError: there is no such entry, or the node can't be changed.
        """
        node, place = self.graph.node(key).id, tuple(index)
        self._crew.wait(partial(self._suppose, node, place, value))

    def undo(self) -> None:
        """Go back to the real step."""
        self._crew.wait(lambda: self._inspecting.received({"type": "undo"}))

    def train(self, steps: int = 1, **dials: Any) -> None:
        """Take training steps, and show the last pass with its update.

        Args:
            steps: how many.
            **dials: ``rate``, ``optimizer``, ``clip`` and what else may change while training runs, from this step on.

        Raises:
            SettingsError: one of them can't be.
            ExplorerError: it is none of these.
        """
        if unknown := sorted(set(dials) - set(DIALS)):
            raise ExplorerError(f"train takes {', '.join(DIALS)}, and not {unknown[0]!r}.")
        self._crew.wait(partial(self._train, steps, **dials))

    def rewind(self, step: int) -> None:
        """Show the pass of an earlier step; training goes on from there."""
        self._crew.wait(partial(self._rewind, step))

    # ---- by the worker --------------------------------------------------------------------------------------------

    def received(self, message: Message) -> None:
        """Do what a message of the browser asks, after what was asked before."""
        if message.get("type") in self._parts:
            self._opened = True
            self._crew.ask(partial(self._parts[message["type"]], message))

    def _known(self) -> Session:
        return self._session

    def _failed(self, error: Exception) -> None:
        expected = isinstance(error, (ExplorerError, EngineError))
        self._drawn.reply(type="failed", text=str(error) if expected else f"Something went wrong: {error}")

    def _push(self) -> None:
        self._drawn.passing()
        self._inspecting.read_on()
        if self._opened and not self._session.supposes:
            self._prove({})

    def _prove(self, message: Message) -> None:
        prove = self._session.proof(str(message.get("box", "")))
        self._proving = prove
        self._crew.beside(lambda: prove() if self._proving is prove else {}, self._drawn.proved)

    def _export(self, message: Message) -> None:
        text = self._session.picture(int(message["position"]), "dark" if message.get("theme") == "dark" else "light")
        self._drawn.reply(type="saved", name=f"{self.graph.name}.svg", text=text)

    def _turn(self, scope: str, opens: bool) -> None:
        if not scope:
            self._session.set_granularity("operation" if opens else "layer")
        elif (self.graph.scope(scope).id in self._session.opened) != opens:
            self._session.toggle(scope)
        self._push()

    def _reveal(self, node: str) -> None:
        if node not in {box.node for box in self._session.scene.boxes}:
            self._session.reveal(node)
            self._push()

    def _suppose(self, node: str, index: tuple[int, ...], value: float) -> None:
        edits = self._session.edits
        edits.put(node, index, value)
        if not edits.ready:
            edits.compile(box.shows for box in self._session.folded.boxes)
        self._session.suppose()
        self._push()

    def _train(self, steps: int, **dials: Any) -> None:
        if dials:
            self._session.choose(**dials)
        if steps > 1:
            self._session.advance(steps - 1)
            self._session.catch_up()
        self._session.train()
        self._drawn.told["run"] += 1
        self._push()

    def _rewind(self, step: int) -> None:
        self._session.rewind(step)
        self._push()

    def _shows(self, stop: Stop) -> str:
        """The node that stands for a stop."""
        return next(box.node for box in self._session.scene.boxes if box.id == stop.box)

    def _position(self, place: int | str) -> int:
        last = len(self.stops)
        if isinstance(place, str):
            found = [index for index, stop in enumerate(self.stops, 1) if stop.phase == place.capitalize()]
            if not found:
                raise ExplorerError(f"{place!r} is no phase of this pass; it has {', '.join(PHASES)}.")
            return found[0]
        if not -1 <= place <= last:
            raise ExplorerError(f"The playhead goes from 0 to {last}; {place} is none of them.")
        return last if place == -1 else place
