"""The catalogues: every text of the interface is in each of them, and nothing else."""

from __future__ import annotations

import ast
import itertools
import re
import statistics
from collections.abc import Iterable
from functools import cache

import pytest

from engine.ops import OPS
from engine.tasks.settings import TASKS
from explorer import assets
from explorer.form import LABELS
from tests import sources

pytestmark = pytest.mark.once

SPEAK = """
engine.explain engine.differences engine.tasks.settings engine.tasks.problem engine.tasks.table
engine.health.broken engine.health.units engine.health.scale engine.health.motion engine.health.remedies
engine.health.reach explorer.follow explorer.live
explorer.limits explorer.form explorer.app explorer.running explorer.place explorer.placing explorer.edits
explorer.figures explorer.slices explorer.layout explorer.uploads
"""
"""Modules whose sentences are shown on the page."""

OTHERS = [language for language in assets.LANGUAGES if language != "en"]
_CALL = re.compile(r'(?<![\w.$])t\(\s*"((?:[^"\\]|\\.)*)"')
_ANY_CALL = re.compile(r"(?<![\w.$])(?<!function )t\((?!\s*\")")
_MARKED = re.compile(r"<(\w+)[^>]* data-t[^>]*>([^<]*)<")
_LABEL = re.compile(r'aria-label="([^"]*)"')
_PLACE = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[a-z]{2,}")


def scripts() -> dict[str, str]:
    return {name: text for name, text in sources.assets().items() if name.endswith(".js")}


def written() -> set[str]:
    """The texts that stand in scripts and in the page itself."""
    found = {match.replace('\\"', '"') for text in scripts().values() for match in _CALL.findall(text)}
    page = sources.assets()["page.html"]
    return found | {text for _, text in _MARKED.findall(page)} | set(_LABEL.findall(page))


def pairs(text: str) -> list[str]:
    """Words that stand side by side in an entry, with no place between them; of a single word itself."""
    words = [said(piece).split() for piece in _PLACE.split(text)[::2]]
    found = [" ".join(two) for piece in words for two in itertools.pairwise(piece)]
    return found or [word for piece in words for word in piece]


@cache
def of_python() -> str:
    """Every string of the product, in a row; names of choices as people read them."""
    return "\n".join(said(text) for source in sources.product() for text in sorted(source.strings()))


def sentences(source: sources.Source) -> list[str]:
    """The texts of a module that are more than two words, with ``{x}`` for what is filled in."""
    hidden = {id(node.value) for node in source.all(ast.Expr)}
    inside = {id(part) for text in source.all(ast.JoinedStr) for part in ast.walk(text) if part is not text}
    found = [text for text in source.all(ast.Constant, ast.JoinedStr) if id(text) not in hidden | inside]
    texts = [_template(text) for text in found]
    return [text for text in texts if len(_WORD.findall(_PLACE.sub("", text))) > 2]


def _template(text: ast.AST) -> str:
    if isinstance(text, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{x}" for part in text.values)
    return text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""


def said(text: str) -> str:
    """The words of a text, without stops."""
    return " ".join(re.findall(r"[^\s.,:;%()·×_]+", text.lower()))


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_in_the_catalogue(language: str) -> None:
    assert sorted(written() - set(assets.catalogue(language))) == []


def test_a_text_stands_where_it_is_translated() -> None:
    assert {name: found for name, text in scripts().items() if (found := _ANY_CALL.findall(text))} == {}


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_in_the_catalogue_is_unused(language: str) -> None:
    """What isn't in a script is said in Python, where a sentence may be put together from pieces: most of it stands."""
    server, strings = set(assets.catalogue(language)) - written(), of_python()
    stands = lambda key: statistics.mean(pair in strings for pair in pairs(key))
    assert [key for key in sorted(server) if stands(key) < 0.5] == []


def test_what_stands_in_tables_is_in_the_catalogue() -> None:
    rules = {text for op in OPS.values() for text in (op.words, op.forward) if len(_WORD.findall(text)) > 1}
    form = {text for task in TASKS.values() for text in (task.title, task.words) if _WORD.search(text)}
    patterned = {f"y = {name} of the operands" for name in OPS}
    assert sorted((rules | form | set(LABELS.values())) - patterned - set(assets.catalogue(OTHERS[0]))) == []


@pytest.mark.parametrize("module", SPEAK.split())
def test_what_the_server_says_is_in_the_catalogue(module: str) -> None:
    """Most of each sentence: it may be put together from pieces."""
    known = {pair for key in assets.catalogue(OTHERS[0]) for pair in pairs(key)}
    (source,) = (source for source in sources.product() if source.module == module)
    assert [text for text in sentences(source) if statistics.mean(pair in known for pair in pairs(text)) < 0.6] == []


@pytest.mark.parametrize("language", OTHERS)
def test_places_agree(language: str) -> None:
    different = lambda pair: set(_PLACE.findall(pair[0])) != set(_PLACE.findall(pair[1]))
    assert list(filter(different, assets.catalogue(language).items())) == []


@pytest.mark.parametrize("language", OTHERS)
def test_an_entry_is_more_than_a_place(language: str) -> None:
    assert [key for key in assets.catalogue(language) if not _PLACE.sub("", key).strip()] == []


@pytest.mark.parametrize("language", OTHERS)
def test_entries_are_in_order(language: str) -> None:
    keys = re.findall(r'^  "((?:[^"\\]|\\.)*)": ', assets.text(f"texts/{language}.json"), re.M)
    assert keys == sorted(_unique(keys))


def test_the_catalogues_have_the_same_entries() -> None:
    first, *others = (set(assets.catalogue(language)) for language in OTHERS)
    assert [first ^ other for other in others] == [set()] * len(others)


def test_english_needs_no_catalogue() -> None:
    assert assets.catalogue("en") == {}


def test_a_page_holds_every_catalogue_without_ending_its_script() -> None:
    assert "</" not in assets.words()
    assert all(f'"{language}":' in assets.words() for language in OTHERS)


def _unique(keys: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(keys))
