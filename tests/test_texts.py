"""The catalogues: every text of the interface is in each of them, and nothing else."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Iterable
from functools import cache

import pytest

from explorer import assets
from tests import sources

OTHERS = [language for language in assets.LANGUAGES if language != "en"]
_CALL = re.compile(r'(?<![\w.$])t\(\s*"((?:[^"\\]|\\.)*)"')
_ANY_CALL = re.compile(r"(?<![\w.$])(?<!function )t\((?!\s*\")")
_MARKED = re.compile(r"<(\w+)[^>]* data-t[^>]*>([^<]*)<")
_LABEL = re.compile(r'aria-label="([^"]*)"')
_PLACE = re.compile(r"\{(\w+)\}")


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
