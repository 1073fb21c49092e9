"""What a browser loads: one ES module an entry, from the package alone, the same every time."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from importlib.resources import files

import pytest

from explorer import assets, theme

ENTRIES = ("graphview/main.js", "room/main.js", "graphview/setup.js", "graphview/notebook.js")
FOLDERS = ("graphview", "room")
SOURCES = sorted(
    f"{folder}/{item.name}"
    for folder in FOLDERS
    for item in files(assets).joinpath(folder).iterdir()
    if item.name.endswith(".js")
)
TOP_LEVEL = re.compile(
    r"^(?:export )?(?:async )?(?:function\*?|class|const|let|var) +(\{[^}]*\}|\[[^\]]*\]|[\w$]+)", re.M
)


@pytest.fixture(params=ENTRIES)
def module(request):
    return assets.module(request.param)


def test_it_is_one_module_without_imports(module):
    assert re.search(r"^\s*import\b|\bimport\(|\brequire\(", module, re.MULTILINE) is None


@pytest.mark.parametrize(
    ("entry", "exported"),
    [
        ("graphview/main.js", ["mount", "render"]),
        ("room/main.js", ["mount", "render"]),
        ("graphview/setup.js", ["render"]),
    ],
)
def test_it_exports_what_panel_and_a_saved_page_call_and_nothing_else(entry, exported):
    assert re.findall(r"^export function (\w+)", assets.module(entry), re.MULTILINE) == exported
    assert assets.module(entry).count("\nexport ") == len(exported)


def test_no_two_files_define_the_same_name(module):
    counted = Counter(name for found in TOP_LEVEL.findall(module) for name in re.findall(r"[\w$]+", found))
    assert counted
    assert [name for name, count in counted.items() if count > 1] == []


def test_it_loads_nothing_from_anywhere(module):
    addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`]*", re.sub(r"^\s*//.*$", "", module, flags=re.M))
    assert [address for address in addresses if "www.w3.org/" not in address] == []
    assert re.search(r"(?<![.\w])fetch\(|XMLHttpRequest|WebSocket|\beval\(|new Function", module) is None


def test_it_writes_no_markup_that_a_name_could_reach(module):
    assert re.search(r"\.innerHTML\s*=|\.outerHTML\s*=|insertAdjacentHTML|document\.write", module) is None


@pytest.mark.parametrize("name", ["page.css", "graphview.css", "setup.css", "room.css", "page.html"])
def test_styles_and_page_load_nothing_from_anywhere(name):
    text = assets.text(name)
    assert re.search(r"https?://|url\(\s*['\"]?//|@import", text.replace("http://www.w3.org/2000/svg", "")) is None


def test_every_file_is_used():
    whole = "\n".join(assets.module(entry) for entry in ENTRIES)
    assert [name for name in SOURCES if longest(name) not in whole] == []


def test_a_file_comes_after_what_it_imports(module):
    for name in SOURCES:
        own = longest(name)
        for imported in re.findall(r'from "([\w./]+\.js)"', assets.text(name)):
            first = longest(posixpath.normpath(f"{posixpath.dirname(name)}/{imported}"))
            assert own not in module or module.index(first) < module.index(own)


def longest(name: str) -> str:
    """The line by which a file is known in a module."""
    return max(assets.text(name).splitlines(), key=len).removeprefix("export ")


def test_the_same_text_every_time(module):
    entry = next(entry for entry in ENTRIES if assets.module(entry) is module)
    assets.module.cache_clear()
    assert assets.module(entry) == module


@pytest.mark.parametrize("look", ["light", "dark"])
def test_every_ink_is_a_css_variable(look):
    (rule,) = (line for line in assets.variables().splitlines() if f'[data-theme="{look}"]' in line)
    assert dict(re.findall(r"--(\w+): (#\w+);", rule)) == theme.INK[look]


def test_no_style_uses_a_variable_that_there_is_not():
    styles = "".join(assets.text(f"{name}.css") for name in ("page", "graphview", "room"))
    used = set(re.findall(r"var\(--([\w-]+)\)", styles))
    declared = set(theme.INK["light"]) | set(re.findall(r"--([\w-]+):", styles))
    scripted = set(re.findall(r"--([\w-]+): \$\{", assets.module("room/main.js")))
    assert used - declared - scripted == set()


def test_the_view_is_given_the_one_scale():
    assert assets.look()["scale"] == {"low": theme.LOW, "high": theme.HIGH, "levels": theme.LEVELS}
    assert assets.look()["palettes"] is theme.PALETTES
