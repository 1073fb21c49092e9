"""The problems of this process: who asks for the same set-up gets the same one, with what was compiled for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from engine.tasks import Problem, Settings, problem
from explorer.room import own_problem
from explorer.target import Target

RECENT = 6
"""Problems of tasks that are kept when nobody trains them, besides one's own function: who comes next most likely
begins with one of them."""


class Problems:
    """Every problem that somebody trains, by what it was made of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: WeakValueDictionary[Any, Problem] = WeakValueDictionary()
        self._recent: deque[Problem] = deque(maxlen=RECENT)
        self._own: Problem | None = None

    def find(self, settings: Settings, target: Target | None = None) -> Problem:
        """The problem of some settings, or of one's own function.

        Raises:
            SettingsError: the settings can't be.
        """
        chosen = settings.checked()
        if target:
            self._own = self._shared(target, lambda: own_problem(target))
            return self._own
        if chosen.csv:  # the file may be another one by now
            return problem(chosen)
        found = self._shared(chosen, lambda: problem(chosen))
        with self._lock:
            if found not in self._recent:
                self._recent.append(found)
        return found

    def _shared(self, key: Any, make: Callable[[], Problem]) -> Problem:
        with self._lock:
            found = self._known.get(key)
            if found is None:
                found = self._known[key] = make()
            return found


def alone(problem: Problem, work: Callable[[], Any]) -> Any:
    """Work that compiles, one at a time for each problem: who comes next finds it compiled."""
    with problem.once("compiling", threading.Lock):
        return work()


PROBLEMS = Problems()
"""Of this process."""
