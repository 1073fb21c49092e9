"""A record -> one HTML file that needs no server, no Python and no network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from typing import Any

from explorer import assets
from explorer.recording import packed

VIEWS = {"graph": ("graphview/main.js", "graphview.css"), "room": ("room/main.js", "room.css")}
"""Of each view the entry of its module, and its style sheet."""

LESSON = "lesson/main.js", "lesson.css"
"""The same of a lesson's card, which lies over the page: so does its style."""


def page(record: Mapping[str, Any], about: str = "", language: str = "en") -> str:
    """The page.

    Args:
        record: of a session (:func:`explorer.recording.record`).
        about: a sentence on what it is, beside the title.
        language: of its own texts.
    """
    shown = {
        "language": language,
        "title": escape(record["title"]),
        "about": escape(about),
        "words": assets.words((language,)),
        "page_css": assets.variables()
        + assets.text("page.css")
        + (assets.text(LESSON[1]) if "beats" in record else ""),
        "record": base64.b64encode(packed(record)).decode("ascii"),
        "styles": _inline(json.dumps({name: _sheets(sheet) for name, (_, sheet) in VIEWS.items()})),
        "modules": "\n".join(map(_module, [*_views(record), assets.module("saved/start.js")])),
    }
    return _filled(assets.text("saved.html"), shown)


def _views(record: Mapping[str, Any]) -> list[str]:
    """Modules, each of which leaves its way in where the last one finds it: they share no names."""
    entries = {name: entry for name, (entry, _) in VIEWS.items()} | ({"lesson": LESSON[0]} if "beats" in record else {})
    return [f"{assets.module(entry)}\nglobalThis.backpropViews.{name} = render;" for name, entry in entries.items()]


def _own_sheets(record: Mapping[str, Any]) -> tuple[str, ...]:
    return (LESSON[1],) if "beats" in record else ()


def _sheets(name: str) -> list[str]:
    return [assets.variables(), assets.text(name), assets.text("saved.css")]


def _module(text: str) -> str:
    return f'<script type="module">\n{_inline(text)}\n</script>'


def _inline(text: str) -> str:
    """Nothing in a script may look like its end."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Each place filled once: what is put in is not looked into."""
    parts = template.split("{{ ")
    found = [parts[0]]
    for part in parts[1:]:
        name, _, rest = part.partition(" }}")
        found += [values[name], rest]
    return "".join(found)
