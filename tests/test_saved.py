"""A saved page: one file, in which nothing points outside and nobody's text is markup."""

from __future__ import annotations

import base64
import gzip
import json
import re

import pytest

from explorer import saved

pytestmark = pytest.mark.once

RECORD = {"title": "<script>alert(1)</script>", "passes": []}


@pytest.fixture(scope="module")
def text():
    return saved.page(RECORD, 'of "one" & <all>')


def test_names_are_text(text):
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "of &quot;one&quot; &amp; &lt;all&gt;" in text


def test_the_record_is_in_it(text):
    found = re.search(r'id="record">([\w+/=]+)</script>', text)
    assert found
    assert json.loads(gzip.decompress(base64.b64decode(found[1]))) == RECORD


def test_every_place_is_filled(text):
    assert "{{ " not in text


def test_each_script_ends_where_it_should(text):
    assert text.count("<script") == text.count("</script>")


def test_nothing_points_outside(text):
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"', text) == []
    assert "default-src 'none'" in text


def test_a_page_holds_one_language(text):
    german = saved.page(RECORD, language="de")
    assert "Verlust" in german
    assert "Verlust" not in text
    assert '<html lang="de">' in german
