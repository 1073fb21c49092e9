"""Heads of HTTP messages, as bytes and as fields: what a front needs to know of what it hands on."""

from __future__ import annotations

import dataclasses
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

LONGEST = 1 << 16
"""Bytes of a head; a link alone may have 8,000 characters, and a token comes with the socket."""


class HeadError(ValueError):
    """What came is no head that would be handed on."""


@dataclasses.dataclass(frozen=True)
class Head:
    """The first line and the fields, in order."""

    first: str
    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """A field's value; empty without. Of several the last one counts, which was added nearest to here."""
        found = [value for own, value in self.fields if own.lower() == name.lower()]
        return found[-1] if found else ""

    def without(self, *names: str) -> Head:
        """The head without some fields; a name that ends in ``-`` stands for all that begin so."""
        lower = tuple(name.lower() for name in names)
        kept = [
            field
            for field in self.fields
            if not any(
                field[0].lower() == name or (name[-1] == "-" and field[0].lower().startswith(name)) for name in lower
            )
        ]
        return Head(self.first, tuple(kept))

    def having(self, **fields: str) -> Head:
        """The head with some fields instead of those of the same names: ``X_Real_Ip`` is ``X-Real-Ip``."""
        given = {name.replace("_", "-"): value for name, value in fields.items()}
        return Head(self.first, (*self.without(*given).fields, *given.items()))

    def adding(self, name: str, value: str) -> Head:
        """The head with one more field."""
        return Head(self.first, (*self.fields, (name, value)))

    def encoded(self) -> bytes:
        """As bytes, with the empty line after it."""
        lines = [self.first, *(f"{name}: {value}" for name, value in self.fields)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    # ---- of a request -----------------------------------------------------------------------------------------------

    @property
    def method(self) -> str:
        """``GET``, say."""
        return self.first.split(" ")[0]

    @property
    def path(self) -> str:
        """Without the query."""
        return urlsplit(self.first.split(" ")[1]).path

    def asked(self, name: str) -> str:
        """What the query gives for a name; empty without."""
        return parse_qs(urlsplit(self.first.split(" ")[1]).query).get(name, [""])[0]

    def cookie(self, name: str) -> str:
        """A cookie's value; empty without."""
        try:
            found = SimpleCookie(self.get("Cookie")).get(name)
        except CookieError:
            return ""
        return found.value if found else ""


def request(text: bytes) -> Head:
    """The head of a request.

    Raises:
        HeadError: it isn't one, or one of HTTP/1.1 that nobody honest sends.
    """
    head = _head(text)
    words = head.first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        raise HeadError("This is no request.")
    return head


def response(text: bytes) -> Head:
    """The head of a response."""
    return _head(text)


def _head(text: bytes) -> Head:
    first, *lines = text.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    fields = [line.partition(":") for line in lines]
    if any(not colon or not name or name != name.strip() or "\n" in value for name, colon, value in fields):
        raise HeadError("This is no head of HTTP.")
    return Head(first, tuple((name, value.strip()) for name, _, value in fields))
