"""The two threads of a page: one does what is asked for in turn, another what takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any


class Crew:
    """Guarded work: whatever goes wrong in a job is told, and the next one is done all the same."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="page")
        self._aside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")
        self._closed = False
        self._asked = 0
        self._lock = threading.Lock()
        self._called = threading.Event()

    @property
    def waiting(self) -> bool:
        """Whether something was asked for that nobody has begun with."""
        return self._asked > 0

    def rest(self, seconds: float) -> None:
        """Do nothing for so long, or until something is asked for."""
        self._called.clear()
        if seconds > 0 and not self.waiting and not self._closed:
            self._called.wait(seconds)

    def do(self, job: Callable[[], Any]) -> None:
        """Do a job at once."""
        try:
            job()
        except Exception as error:  # noqa: BLE001 - the outermost edge of a page: a bug must not leave it silent
            if not self._closed:
                self._failed(error)

    def ask(self, job: Callable[[], Any]) -> bool:
        """Do a job after those that were asked for before; whether it will be."""
        self._count(1)
        return self._submit(self._worker, partial(self._begin, job))

    def wait(self, job: Callable[[], Any]) -> Any:
        """Do a job after those that were asked for before, and return what it does; what goes wrong is raised here."""
        return self._worker.submit(job).result()

    def beside(
        self, job: Callable[[], Any], then: Callable[[Any], None], otherwise: Callable[[], Any] = lambda: None
    ) -> None:
        """Do a long job aside, and then something with its result as if that had been asked for.

        Args:
            job: what takes long.
            then: takes its result.
            otherwise: is done instead where it fails, which is told in any case; nobody need wait for ever.
        """
        self._submit(self._aside, partial(self._go, job, then, otherwise))

    def close(self) -> None:
        """Finish nothing more."""
        self._closed = True
        self._called.set()
        for pool in (self._worker, self._aside):
            pool.shutdown(wait=False, cancel_futures=True)

    def _go(self, job: Callable[[], Any], then: Callable[[Any], None], otherwise: Callable[[], Any]) -> None:
        found: list[Any] = []
        self.do(lambda: found.append(job()))
        self.ask(partial(then, *found) if found else otherwise)

    def _begin(self, job: Callable[[], Any]) -> None:
        self._count(-1)
        job()

    def _count(self, more: int) -> None:
        with self._lock:
            self._asked += more
        if more > 0:
            self._called.set()

    def _submit(self, pool: ThreadPoolExecutor, job: Callable[[], Any]) -> bool:
        try:
            pool.submit(self.do, job)
            return True
        except RuntimeError:
            if not self._closed:  # else nobody is left to see what comes of it
                raise
            return False
