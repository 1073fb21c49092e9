"""What the inspector asks for: sentences, numbers changed by hand, gradients checked, optimisers side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from explorer import late

if TYPE_CHECKING:
    from explorer.session import Session

Message = dict[str, Any]


class Inspecting:
    """The inspector's part of one page. What takes long is done aside, and is looked at again when it comes back."""

    def __init__(
        self,
        known: Callable[[], Session],
        beside: Callable[..., None],
        push: Callable[[], None],
        reply: Callable[..., None],
    ) -> None:
        """Begin.

        Args:
            known: the page's session.
            beside: does a long job aside, then something with its result, or something else where it fails.
            push: sends what there is to see.
            reply: sends a message.
        """
        self._known, self._beside, self._push, self._reply = known, beside, push, reply
        self._compiling: Any = None
        self._heard = 0
        self._reading: list[str] = []
        """What is being read, and what is to be after it, in words."""
        self._looked: tuple[str, str, tuple[int, ...]] | None = None
        self._plain: tuple[Any, Any, dict[str, Any]] | None = None

    def received(self, message: Message) -> None:
        """Do what a message asks.

        Raises:
            EngineError: it can't be done; the message says why.
        """
        _DOES[str(message["type"])](self, message)

    # ---- what a box says --------------------------------------------------------------------------------------------

    def _explain(self, message: Message) -> None:
        index = message["index"]
        session, box = self._known(), str(message["box"])
        found = session.explain(str(message["node"]), None if index is None else tuple(map(int, index)))
        self._reply(type="explained", box=box, sentence=found)
        if session.listens is not None:  # from the next pass on it comes along
            session.listen(frozenset({box}))

    def _fetch(self, message: Message) -> None:
        session, node = self._known(), str(message["node"])
        if session.room.large and session.fetched(node) is None:
            self._read(f"Reading {session.graph.node(node).name} whole", session.arrays(node))
            return
        self._reply(type="fetched", box=message["box"], found=session.region(node))

    def read_on(self) -> None:
        """Have what is seen read, where a large graph's step left it out."""
        session = self._known()
        if nodes := session.unread():
            what = f"{len(nodes)} more boxes" if len(nodes) > 1 else "one more box"
            self._read(f"Reading {what}", session.statistics(nodes))

    def _read(self, what: str, job: Callable[[], Any]) -> None:
        """Have more of the shown step read, and show it."""
        self._reading.append(f"{what}: a program is compiled for it…")
        if len(self._reading) == 1:
            self._reply(type="busy", text=self._reading[0])
        self._beside(job, partial(self._took, self._known().step), self._read_next)

    def _read_next(self) -> None:
        """Say what is read now, one after the other."""
        self._reading.pop(0)
        self._reply(type="busy", text=self._reading[0] if self._reading else "")

    def _took(self, step: Any, reading: Any) -> None:
        if self._known().take_besides(step, reading):
            self._push()
        self._read_next()

    def _summary(self, message: Message) -> None:
        box = str(message["box"])
        self._beside(self._known().summary(box), lambda found: self._reply(type="summed", box=box, summary=found))

    # ---- what if --------------------------------------------------------------------------------------------------

    def supposed(self) -> dict[str, Any]:
        """What the graph view is told of the changes: ``whatif``, and the ``plain`` figures beside it."""
        session = self._known()
        told = session.edits.as_dict(session.folded.box_of)
        if not told:
            return {"whatif": {}, "plain": {}}
        ran, folded = session.edits.ran, session.folded
        assert ran is not None
        if self._plain is None or self._plain[0] is not ran.before or self._plain[1] is not folded:
            self._plain = ran.before, folded, session.plain_figures.as_dict()
        return {"whatif": told | {"heard": self._heard, "spoken": self._spoken()}, "plain": self._plain[2]}

    def _spoken(self) -> dict[str, Any]:
        """The sentence about the entry that is looked at, by box; the others are asked for when they are."""
        if not self._looked:
            return {}
        box, node, index = self._looked
        try:
            return {box: self._known().explain(node, index)}
        except late.load("engine.errors").EngineError:  # a label has no gradient
            return {}

    def _edit(self, message: Message) -> None:
        index = tuple(map(int, message["index"]))
        self._known().edits.put(str(message["node"]), index, float(message["value"]))
        self._changed(message)

    def _ablate(self, message: Message) -> None:
        self._known().edits.ablate(str(message["node"]), int(message["unit"]))
        self._changed(message)

    def _undo(self, message: Message) -> None:
        position = message.get("position")
        self._known().edits.undo(None if position is None else int(position))
        self._changed(message)

    def _changed(self, message: Message) -> None:
        """Run the pass with what is changed now; while its program is compiled, only the last change counts."""
        session = self._known()
        self._heard = int(message.get("number", self._heard))
        if "index" in message:
            self._looked = str(message["box"]), str(message["node"]), tuple(map(int, message["index"]))
        if session.edits.all and not session.edits.ready:
            self._prepare(message)
            return
        session.suppose()
        self._push()

    def _prepare(self, message: Message) -> None:
        """Have the step made changeable, and then run what is changed."""
        session = self._known()
        edits = session.edits
        if not edits.ready and self._compiling is not edits:
            self._compiling = edits
            seen = [box.shows for box in session.folded.boxes]
            self._reply(type="preparing", value=True)
            job = partial(edits.compile, seen)
            self._beside(job, lambda nothing: self._prepared(edits, True), lambda: self._prepared(edits, False))

    def _prepared(self, edits: Any, made: bool) -> None:
        """Run what is changed; where no program could be made for it, which is told, nothing is changed any more."""
        session = self._known()
        self._compiling = None
        self._reply(type="preparing", value=False)
        if session.waiting or edits is not session.edits:  # another step is shown meanwhile
            return
        if not made:
            edits.undo()
        elif edits.all:
            self._changed({})

    # ---- a gradient, looked at closer -----------------------------------------------------------------------------

    def _check(self, message: Message) -> None:
        session, box = self._known(), message["box"]
        index = message.get("index")
        place = None if index is None else tuple(map(int, index))
        job = partial(
            late.load("explorer.checking").differences, session.trainer, session.step, str(message["node"]), place
        )
        self._beside(job, lambda found: self._reply(type="checked", box=box, valley=found))

    def _moves(self, message: Message) -> None:
        session, box, node = self._known(), message["box"], str(message["node"])
        parameter = session.parameters.index(node)
        rate = session.room.run.controls.rate
        job = partial(late.load("explorer.checking").moves, rate, session.step, parameter)
        self._beside(job, lambda found: self._reply(type="moved", box=box, node=node, moves=found))


_DOES: Mapping[str, Callable[[Inspecting, Message], None]] = {
    "explain": Inspecting._explain,
    "fetch": Inspecting._fetch,
    "summary": Inspecting._summary,
    "edit": Inspecting._edit,
    "ablate": Inspecting._ablate,
    "undo": Inspecting._undo,
    "prepare": Inspecting._prepare,
    "check": Inspecting._check,
    "moves": Inspecting._moves,
}

MESSAGES = frozenset(_DOES)
"""Types of the messages that are the inspector's."""
