"""A jaxpr with every value in it placed: which node it is, and what it reads.

The graph is a reading of a placed program, and so is each run of the tape.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import jax.extend.core as jex

from engine.graph import Source


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """One equation, placed."""

    id: str
    eqn: jex.JaxprEqn
    form: str
    reads: tuple[Source, ...]
    """For each operand the node (or number) that it is."""
    outs: tuple[Source, ...]
    """For each output the node that it is; those of a jitted call are nodes of its body."""
    blocks: tuple[Block, ...] = ()

    @property
    def transparent(self) -> bool:
        """Whether its values are those of its body: a jitted or rematerialised call."""
        return self.form in ("jit", "remat")

    @property
    def consumers(self) -> tuple[Source, ...]:
        """For each operand its consumer: the equation, the node that a loop's body receives it as, or nothing where
        the consumers are in the body.
        """
        if self.transparent:
            return ("",) * len(self.reads)
        if self.form == "scan":
            return self.blocks[0].inputs
        if self.form == "cond":
            return (self.id, *[""] * (len(self.reads) - 1))
        return (self.id,) * len(self.reads)


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """One program: the function itself, or one inside an equation."""

    closed: jex.ClosedJaxpr
    inputs: tuple[Source, ...]
    constants: tuple[Source, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Source, ...]
    returns: tuple[str, ...] = ()
    """For each output the consumer outside that it goes to; empty for programs whose outputs stay what they are."""
    entered: bool = False
    """Whether the inputs are nodes of its own, as of a loop's body; else they are what the caller passes."""

    @property
    def jaxpr(self) -> jex.Jaxpr:
        """The program without its constants."""
        return self.closed.jaxpr

    def walk(self) -> Iterator[tuple[Block, Step]]:
        """Every step with the program it stands in, those of inner programs right after the step that contains them."""
        for step in self.steps:
            yield self, step
            for block in step.blocks:
                yield from block.walk()

    def blocks(self) -> Iterator[Block]:
        """This program and every program inside it."""
        yield self
        for _, step in self.walk():
            yield from step.blocks

    def made(self) -> Iterator[tuple[str, Any]]:
        """Every node made in here, inner programs included, with its abstract value."""
        yield from _made(self.blocks())

    def direct(self) -> Iterator[tuple[str, Any]]:
        """Those of them that run whenever and as often as this program does: not those of loops and branches in it."""
        yield from _made(self._straight())

    def _straight(self) -> Iterator[Block]:
        yield self
        for step in self.steps:
            if step.transparent or step.form == "custom":
                for block in step.blocks:
                    yield from block._straight()

    def uses(self) -> Iterator[tuple[Source, Source]]:
        """Every use of a value in here, inner programs included, with its consumer."""
        for block in self.blocks():
            for step in block.steps:
                yield from zip(step.reads, step.consumers, strict=True)
            yield from zip(block.outputs, block.returns, strict=False)


def _made(blocks: Iterable[Block]) -> Iterator[tuple[str, Any]]:
    for block in blocks:
        entries = zip(block.inputs, block.jaxpr.invars, strict=True) if block.entered else ()
        constants = zip(block.constants, block.jaxpr.constvars, strict=True)
        outs = (
            (out, var) for s in block.steps if not s.transparent for out, var in zip(s.outs, s.eqn.outvars, strict=True)
        )
        numbers = (
            (o, v) for o, v in zip(block.outputs, block.jaxpr.outvars, strict=True) if isinstance(v, jex.Literal)
        )
        yield from ((id, var.aval) for id, var in (*entries, *constants, *outs, *numbers) if isinstance(id, str))
