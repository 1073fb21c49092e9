"""``explorer.watch``: a training loop of one's own on the page, live, while it trains where it was started."""

from __future__ import annotations

import atexit
import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

import jax
import numpy as np

from engine import wire
from engine.errors import EngineError
from engine.grad import Asked
from engine.reading import Reading
from engine.sampling import Sample, Sampler
from explorer.errors import ExplorerError
from explorer.link import Link

Array = Any

START_SECONDS = 120.0
"""How long the page may take to be served."""


def watch(
    fun: Callable[..., Any] | None = None,
    *,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    every: int = 10,
    port: int = 5006,
    browser: bool = True,
) -> Watcher:
    """Watch a training loop of one's own: its steps are shown on a page, live, and nothing of them changes.

    In the loop, ``watcher.value_and_grad`` takes the place of ``jax.value_and_grad(fun)``, and ``watcher.jit`` that of
    ``jax.jit`` around the step. The page is served by a process of its own, on this machine alone; training goes on
    whatever becomes of it.

    Args:
        fun: the loss. It may be left out where the loop makes readings itself (:meth:`Watcher.record`).
        argnums: which positional arguments to differentiate.
        has_aux: whether ``fun`` returns a pair whose second part isn't differentiated.
        every: steps whose number is a multiple of this are read; of very short ones not all
            (:data:`engine.sampling.A_SECOND`).
        port: of the page, or the next one that is free.
        browser: whether it is opened in a browser.

    Returns:
        A :class:`Watcher`.

    Raises:
        SamplingError: ``every`` is no count of steps.
    """
    page = ["-m", "explorer.watch_page", str(port), "browser" if browser else "quiet"]
    return Watcher(fun, Asked(argnums, has_aux), every, functools.partial(Link, page))


class Watcher:
    """Reads every k-th step of a loop, and has it shown. Made by :func:`watch`."""

    def __init__(self, fun: Callable[..., Any] | None, asked: Asked, every: int, link: Callable[..., Link]) -> None:
        """Start the page.

        Args:
            fun: the loss, if the watcher differentiates it.
            asked: what is differentiated.
            every: how often to look.
            link: starts what shows it.
        """
        self._fun, self._asked = fun, asked
        self._sampler = Sampler(fun or _no_loss, asked, every, self._taken)
        self._sampler.full = True  # what is wrong with a training often shows in its first step
        self._url, self._known = "", threading.Event()
        self._link = link(wire.Writer(every).pieces, self._heard)
        atexit.register(self.close)

    # ---- in the loop ----------------------------------------------------------------------------------------------

    def value_and_grad(self, *args: Any, **kwargs: Any) -> Any:
        """What ``jax.value_and_grad(fun)(*args, **kwargs)`` returns: the value and the gradients.

        Called on the loss itself, with ``argnums`` and ``has_aux`` if one likes, it returns a function of the
        arguments, as ``jax.value_and_grad`` does.
        """
        if args[:1] and args[0] is self._fun:
            return functools.partial(self._differentiate, self._asked_for(*args[1:], **kwargs))
        return self._differentiate(self._asked, *args, **kwargs)

    def _asked_for(self, argnums: int | Sequence[int] | None = None, has_aux: bool | None = None) -> Asked:
        chosen = self._asked.argnums if argnums is None else argnums
        return Asked(chosen, self._asked.has_aux if has_aux is None else has_aux)

    def _differentiate(self, asked: Asked, *args: Any, **kwargs: Any) -> Any:
        return self._sampler.value_and_grad(asked, args, kwargs)

    def jit(self, fun: Callable[..., Any] | None = None, *, by: Callable[..., Any] = jax.jit, **options: Any) -> Any:
        """The step, compiled as ``jax.jit`` compiles it, and once more for the calls that are read.

        Args:
            fun: the step, in which :meth:`value_and_grad` is called; may be left out, as a decorator with options.
            by: what compiles: ``nnx.jit`` and ``eqx.filter_jit`` do, too.
            **options: for it, such as ``donate_argnums``.
        """
        if fun is None:
            return functools.partial(self.jit, by=by, **options)
        return self._sampler.jit(fun, by, options)

    def record(self, reading: Reading, loss: Array | None = None, step: int | None = None) -> None:
        """Show what a step of one's own has read.

        Args:
            reading: what ``engine.value_and_grad`` returned, full or of statistics.
            loss: of this step.
            step: its number; one more than that of the last call unless given.
        """
        active = tuple(id for id in reading.graph.inputs if id in reading.plan.active)
        self._sampler.record(np.nan if loss is None else loss, reading, step, active)

    # ---- the page -------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the page is; waits until it is served.

        Raises:
            ExplorerError: it isn't, and won't be.
        """
        if not self._known.wait(START_SECONDS) or not self._url:
            raise ExplorerError("The page of this loop could not be served; what went wrong was printed above.")
        return self._url

    @property
    def process(self) -> int:
        """Number of the process that serves it."""
        return self._link.process.pid

    @property
    def step(self) -> int:
        """How many steps were begun."""
        return self._sampler.step

    @property
    def alive(self) -> bool:
        """Whether steps are still read: the page is there, and the loss could be read."""
        return self._sampler.on

    @property
    def trouble(self) -> str:
        """Why the loss can't be read; empty if it can."""
        return self._sampler.trouble

    def close(self) -> None:
        """The loop has ended. The page goes on as long as it is open in a browser."""
        atexit.unregister(self.close)
        self._sampler.flush()
        self._sampler.stop()
        self._link.close()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        where = self._url or "a page that is being opened"
        return (
            f"Watcher(step {self.step}, every {self._sampler.every}, {where if self.alive else 'not shown any more'})"
        )

    # ---- from here to the page ------------------------------------------------------------------------------------

    def _taken(self, sample: Sample) -> None:
        self._link.offer(sample)

    def _heard(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "url":
            self._url = rest
            self._known.set()
        elif word == "full":
            self._sampler.full = True
        elif not word:
            self._sampler.stop()
            self._known.set()


def _no_loss(*args: Any, **kwargs: Any) -> Iterable[Any]:
    raise EngineError("This watcher was given no loss: write explorer.watch(loss).")
