"""The project's own files as syntax trees, for the tests that hold the house together."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("engine", "explorer")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """One Python file."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """Its name as one imports it."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    def all(self, *kinds: type[ast.AST]) -> list[ast.AST]:
        """Every node of these kinds."""
        return [node for node in ast.walk(self.tree) if isinstance(node, kinds)]

    def imported(self) -> Iterator[str]:
        """Everything imported, as ``package.module`` or ``package.module.name``."""
        for node in self.all(ast.Import, ast.ImportFrom):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            else:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def strings(self) -> set[str]:
        return {node.value for node in self.all(ast.Constant) if isinstance(node.value, str)}

    def functions(self) -> list[Function]:
        return self.all(ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def product() -> tuple[Source, ...]:
    """What a wheel holds."""
    return tuple(source for package in PACKAGES for source in _read(package))


@cache
def everything() -> tuple[Source, ...]:
    """The product, its tests, benchmarks and scripts."""
    return product() + tuple(source for folder in ("tests", "benchmarks", "scripts") for source in _read(folder))


@cache
def assets() -> dict[str, str]:
    """What a browser loads, by path below ``explorer/assets``."""
    folder = ROOT / "explorer" / "assets"
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".js", ".css", ".html"))
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _read(folder: str) -> list[Source]:
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found.append(Source(path, text, ast.parse(text)))
    return found
