"""Classes on this server: what a teacher's page shows goes to those who follow it, and their answers come back.

A class holds plain text and knows no page and no socket. Each follower takes what is newest when it has taken what came
before: steps in between may be skipped, the last one arrives.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from explorer.errors import ExplorerError
from explorer.lessons.marks import typed
from explorer.plain import as_json

LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""What codes are made of: nothing that could be read as something else."""

CODE_LENGTH = 6
MOST_FOLLOWERS = 60
MOST_CLASSES = 20
MOST_MISSES = 12
"""Wrong codes in a minute that one address may try."""

MOST_ANSWERS = 4 * MOST_FOLLOWERS
LONGEST_ANSWER = 80
BARS = 10

Take = Callable[[bytes], Awaitable[None]]
"""Brings a text in UTF-8 to a follower; done when it is on its way."""


class Follower:
    """One who follows. It is told what has changed since it was last told."""

    def __init__(self, taught: Class, take: Take, me: str) -> None:
        self.taught, self._take, self.me = taught, take, me
        self._owed: set[str] = set(taught.texts)
        self._sending = False

    def owe(self, keys: Iterable[str]) -> None:
        """Remember what is to be told."""
        self._owed.update(keys)

    async def say(self, message: Mapping[str, Any]) -> None:
        """Tell this one follower something."""
        await self._take(as_json(message).encode())

    async def tell(self) -> None:
        """Tell what is owed, until nothing is; what changes meanwhile is told once, as it is then."""
        if self._sending:
            return
        self._sending = True
        try:
            while self._owed:
                keys, self._owed = frozenset(self._owed), set()
                await self._take(self.taught.news(keys))
        finally:
            self._sending = False


class Class:
    """A teacher, those who follow, and what they answered."""

    def __init__(self, changed: Callable[[], None], first: str = "") -> None:
        """Open, with nobody in it.

        Args:
            changed: told when somebody came, left or answered.
            first: what its code begins with.
        """
        self.code = first + "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH - len(first)))
        self.texts: dict[str, bytes] = {}
        """What there is to follow, by name, each as a member of a JSON object."""
        self._news: dict[frozenset[str], bytes] = {}
        self.followers: set[Follower] = set()
        self.asks: Callable[[Follower, dict[str, Any]], None] = lambda follower, message: None
        """Takes what a follower wants to know of the teacher's session."""
        self._changed = changed
        self._answers: dict[str, str] = {}
        self._question, self._open = "", False

    # ---- what is shown ----------------------------------------------------------------------------------------------

    def show(self, shown: Mapping[str, Any]) -> None:
        """Put what is to be followed, by name, as plain data; the followers are told by :meth:`tell`."""
        for key, value in shown.items():
            self.texts[key] = f"{json.dumps(key)}:{as_json(value)}".encode()
        self._news.clear()
        for follower in self.followers:
            follower.owe(shown)

    def news(self, keys: frozenset[str]) -> bytes:
        """What is of these names, as one JSON object: made once, however many are told."""
        if keys not in self._news:
            self._news[keys] = b"{" + b",".join(self.texts[key] for key in sorted(keys)) + b"}"
        return self._news[keys]

    async def tell(self) -> None:
        """Tell every follower what it has not been told."""
        await asyncio.gather(*(follower.tell() for follower in tuple(self.followers)))

    # ---- who follows ------------------------------------------------------------------------------------------------

    def join(self, take: Take, me: str) -> Follower:
        """Follow.

        Raises:
            ExplorerError: the class is full.
        """
        if len(self.followers) >= MOST_FOLLOWERS:
            raise ExplorerError(f"This class is full: {MOST_FOLLOWERS} people follow it already.")
        follower = Follower(self, take, me[:LONGEST_ANSWER])
        self.followers.add(follower)
        self._changed()
        return follower

    def leave(self, follower: Follower) -> None:
        """Follow no longer; what was answered stays."""
        self.followers.discard(follower)
        self._changed()

    # ---- what they answer -------------------------------------------------------------------------------------------

    def ask(self, question: str, answered: bool = False) -> None:
        """Ask something, or say that it is answered; answers to what was asked before are forgotten."""
        self._open = not answered
        if question != self._question:
            self._question, self._answers = question, {}
            self._changed()

    def answer(self, follower: Follower, value: str) -> bool:
        """Take an answer; the last one of each follower counts. Whether anything is still asked."""
        known = follower.me in self._answers or len(self._answers) < MOST_ANSWERS
        if not (self._question and self._open) or not known or not value.strip():
            return False
        self._answers[follower.me] = value.strip()[:LONGEST_ANSWER]
        self._changed()
        return True

    def told(self) -> dict[str, Any]:
        """How the class stands, for its teacher."""
        bars = histogram(list(self._answers.values()))
        return {"code": self.code, "followers": len(self.followers), "question": self._question, "bars": bars}


def histogram(answers: list[str]) -> list[tuple[str, int]]:
    """How often each answer was given: words by how often, numbers by size; many numbers by the span they lie in."""
    read = [(number, answer) for answer in answers if (number := typed(answer)) is not None]
    if len(read) < len(answers):
        return Counter(answers).most_common(BARS)
    numbers, written = (
        sorted(number for number, _ in read),
        dict(reversed(read)),
    )  # as whoever came first has written it
    if len(written) <= BARS:
        return [(written[number], count) for number, count in sorted(Counter(numbers).items())]
    low, high = numbers[0], numbers[-1]
    width = (high - low) / BARS
    places = Counter(min(int((number - low) / width), BARS - 1) for number in numbers)
    return [(f"{low + place * width:.3g} to {low + (place + 1) * width:.3g}", places[place]) for place in range(BARS)]


class Classes:
    """Every class of this server, by its code."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.first = ""
        """What codes begin with: where several processes serve, it says which one has the class."""
        self._open: dict[str, Class] = {}
        self._misses: dict[str, deque[float]] = {}

    def open(self, changed: Callable[[], None]) -> Class:
        """A new class.

        Raises:
            ExplorerError: there are too many.
        """
        if len(self._open) >= MOST_CLASSES:
            raise ExplorerError(f"{MOST_CLASSES} classes are open on this server; close one first.")
        made = Class(changed, self.first)
        self._open[made.code] = made
        return made

    def close(self, taught: Class) -> None:
        """End a class; who follows it is told by whoever closes it."""
        self._open.pop(taught.code, None)

    def find(self, code: str, address: str) -> Class:
        """The class of a code.

        Raises:
            ExplorerError: there is none, or too many wrong codes came from this address.
        """
        now = self._clock()
        for each in [each for each, times in self._misses.items() if now - times[-1] > 60]:
            del self._misses[each]
        misses = self._misses.get(address, deque(maxlen=MOST_MISSES))
        if len(misses) == MOST_MISSES and now - misses[0] < 60:
            raise ExplorerError("Too many wrong codes; wait a minute and try again.")
        found = self._open.get("".join(code.upper().split()))
        if found is None:
            self._misses[address] = misses
            misses.append(now)
            raise ExplorerError("No class has this code. Look at the teacher's screen: it may have ended.")
        return found


CLASSES = Classes()
"""Of this process."""
