"""What a browser loads: ES modules and style sheets, read from the package."""

from __future__ import annotations

import json
import posixpath
import re
from functools import cache
from importlib.resources import files

from explorer import theme

LANGUAGES = {"en": "English", "de": "Deutsch", "zh": "中文"}
"""Codes, as in the address and in ``texts/``, and what each calls itself."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.\.?/[\w/]+\.js)";\n', re.MULTILINE)


@cache
def text(name: str) -> str:
    """A file of this folder."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def path(name: str) -> str:
    """Where a file of this folder lies, for a library that opens it by itself."""
    return str(files(__name__).joinpath(name))


@cache
def module(entry: str) -> str:
    """One ES module made of an entry file and everything that it imports, each once, in the order needed.

    Panel, a notebook and a saved page each take one text. The files only import each other's exports by name, and no
    two of them define the same name at their top level (a test holds that), so putting them in a row is enough.
    """
    seen: dict[str, str] = {}

    def collect(name: str) -> None:
        if name in seen:
            return
        seen[name] = ""
        source = text(name)
        folder = posixpath.dirname(name)
        for found in _IMPORT.finditer(source):
            collect(posixpath.normpath(posixpath.join(folder, found[1])))
        body = _IMPORT.sub("", source)
        del seen[name]  # again, at the end: after what it needs
        seen[name] = body if name == entry else body.replace("\nexport ", "\n")

    collect(entry)
    return "\n".join(seen.values())


@cache
def catalogue(language: str) -> dict[str, str]:
    """The texts of the interface in a language, by the English ones; for English itself there is nothing to look up."""
    return json.loads(text(f"texts/{language}.json")) if language != "en" else {}


@cache
def words(languages: tuple[str, ...] = tuple(LANGUAGES)) -> str:
    """A script that a page begins with: the catalogues, and the two functions that read them."""
    catalogues = {language: catalogue(language) for language in languages if language != "en"}
    held = json.dumps(catalogues, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    return f"var backpropTexts = {held};\n{text('texts.js').replace('export ', '')}"


def head() -> str:
    """What the head of every served page begins with: its name, its icon, its theme and its language."""
    return text("head.html").replace("[[languages]]", json.dumps(list(LANGUAGES)))


def page(name: str, **given: str) -> str:
    """A page of this folder with its ``[[places]]`` filled; its head and its words are known here."""
    found = text(name).replace("[[head]]", head())
    for place, filling in {"words": words(), **given}.items():
        found = found.replace(f"[[{place}]]", filling)
    return found


def variables() -> str:
    """The colours of both themes as CSS variables, for the page and for each component."""
    rules = []
    for name, ink in theme.INK.items():
        declared = "".join(f"--{key}: {colour};" for key, colour in ink.items())
        rules.append(f':root[data-theme="{name}"], .root[data-theme="{name}"] {{ {declared} }}')
    return "\n".join(rules)


def look() -> dict[str, object]:
    """What the view needs to draw numbers: palettes, colours, and the fixed scale."""
    scale = {"low": theme.LOW, "high": theme.HIGH, "levels": theme.LEVELS}
    return {"palettes": theme.PALETTES, "ink": theme.INK, "scale": scale}
