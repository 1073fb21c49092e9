"""A CSV file of one's own: what the answer is, whether it is a class or a value, and one sentence on what can't be.

A file is UTF-8 text whose cells are parted by commas, semicolons or tabs. Its first row holds names if none of its
cells is a number. The answer is the column named ``label`` or ``target``, or else the last; all others are features,
and numbers. Nothing in it is ever run.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, TextIO

import numpy as np

from engine.tasks.data import FIFTH, Array, Data, one_hot, standardised
from engine.tasks.settings import SettingsError

ANSWERS = ("label", "target")
GAPS = {"", "na", "n/a", "nan", "null", "none", "?"}
LARGEST = 1e30
"""Numbers beyond this are taken for mistakes: their squares don't fit into single precision."""
CLASSES = 20
"""Whole numbers are classes if no more than this many are different."""
TEXTS = 100
"""As many different texts, at most, can be classes."""
COLUMNS = 4
"""So many columns with cells that can't be learned from are named."""
CHUNK = 500
"""Rows that are taken in at a time: of a long file, little more than its numbers is in memory, and still at hand."""

Row = list[str]
Answers = tuple[Array, tuple[str, ...]]
"""For each row the place of its answer among the different ones, and these."""


@dataclasses.dataclass(frozen=True)
class Head:
    """What the first row says."""

    names: tuple[str, ...]
    answer: int
    """Which column is the answer."""
    first: int
    """Number of the first row that holds an example, counted from 1."""


@dataclasses.dataclass
class Faults:
    """Cells that nothing can be learned from: what is wrong with the first, and how many each column has."""

    first: str = ""
    columns: Counter[str] = dataclasses.field(default_factory=Counter)

    def note(self, sentence: str, name: str, count: int) -> None:
        """That a column has so many of them, of which the sentence is about the first."""
        self.first = self.first or sentence
        self.columns[name] += count

    def sentence(self) -> str:
        """All of it, for who has to mend the file."""
        count = self.columns.total()
        if count == 1:
            return self.first
        shown = [f"{name!r} ({there:,})" for name, there in self.columns.most_common(COLUMNS)]
        shown += ["…"] * (len(self.columns) > COLUMNS)
        return f"{self.first} Altogether {count:,} cells are like that: {', '.join(shown)}."


def table(path: str) -> Data:
    """The table in a file: features standardised, answers one-hot or, if they are values, standardised too.

    Args:
        path: of the file.

    Raises:
        SettingsError: the file can't be read, or what it holds can't be learned from; the sentence says which row.
    """
    if not path:
        raise SettingsError("The task 'csv' needs a file: set csv to its path.")
    try:
        found = os.stat(path)
        return _table(path, found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {(error.strerror or str(error)).lower()}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is no UTF-8 text; save it as a CSV file in UTF-8.") from None
    except csv.Error as error:
        raise SettingsError(f"{path} is no CSV file: {error}.") from None


@lru_cache(maxsize=2)
def _table(path: str, changed: int, size: int) -> Data:
    """Read once, as long as the file stays what it is."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        numbers, (codes, texts), head = _read(file, path)
    order = np.random.default_rng(0).permutation(len(numbers))
    tested = len(order) // FIFTH
    labels, classes = _labels((codes[order], texts), tested, head.names[head.answer])
    return Data(standardised(numbers[order], tested), labels, classes, tested=tested)


def _read(file: TextIO, path: str) -> tuple[Array, Answers, Head]:
    """Features ``(rows, columns)``, the answers, and what the columns are called."""
    first = file.readline()
    file.seek(0)
    reader = csv.reader(file, delimiter=next((mark for mark in "\t;" if mark in first), ","))
    top = next((row for row in reader if row), None)
    if top is None:
        raise SettingsError(f"{path} is empty; it needs a row for each example.")
    head = _head(top, path)
    features = [name for place, name in enumerate(head.names) if place != head.answer]
    parts, codes, texts, faults = [], [], dict[str, int](), Faults()
    for number, chunk in _chunks(reader if head.first > 1 else itertools.chain([top], reader), head.first):
        columns = _columns(chunk, number, len(head.names))
        codes.append(_coded(columns.pop(head.answer), texts, number, head.names[head.answer], faults))
        parts.append(_numbers(columns, number, features, faults))
    if faults.first:
        raise SettingsError(faults.sentence())
    if sum(map(len, parts)) < FIFTH:
        raise SettingsError(f"{path} has {sum(map(len, parts))} examples; it needs at least {FIFTH}.")
    return np.concatenate(parts), (np.concatenate(codes), tuple(texts)), head


def _head(top: Row, path: str) -> Head:
    """Names from the first row, or numbers for names if it holds an example already."""
    if len(top) < 2:
        raise SettingsError(f"{path} has a single column; it needs features and, in a column of its own, the answer.")
    named = not any(_is_number(cell) for cell in top) or any(cell.strip().lower() in ANSWERS for cell in top)
    names = [cell.strip() for cell in top] if named else [f"column {place}" for place in range(1, len(top) + 1)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SettingsError(f"Two columns of {path} are called {twice!r}; give each a name of its own.")
    answer = next((place for place, name in enumerate(names) if name.lower() in ANSWERS), len(names) - 1)
    return Head(tuple(names), answer, 2 if named else 1)


def _chunks(rows: Iterator[Row], number: int) -> Iterator[tuple[int, list[Row]]]:
    """Stretches of rows with the number of the first; empty lines left out."""
    filled = (row for row in rows if row)
    while chunk := list(itertools.islice(filled, CHUNK)):
        yield number, chunk
        number += len(chunk)


def _columns(chunk: list[Row], number: int, width: int) -> list[Sequence[str]]:
    """The chunk by columns; all of its rows are as long as the first row of the file."""
    if set(map(len, chunk)) != {width}:
        wrong = next(index for index, row in enumerate(chunk) if len(row) != width)
        raise SettingsError(f"Row {number + wrong} has {len(chunk[wrong])} cells, and the first row has {width}.")
    return list(zip(*chunk, strict=True))


def _coded(answers: Sequence[str], texts: dict[str, int], number: int, name: str, faults: Faults) -> Array:
    """For each answer its place among the different ones, to which new ones are added."""
    gaps = [index for index, answer in enumerate(answers) if answer.strip().lower() in GAPS]
    if gaps:
        faults.note(_gap(number + gaps[0], name), name, len(gaps))
    return np.fromiter((texts.setdefault(answer, len(texts)) for answer in answers), int, len(answers))


def _numbers(columns: Sequence[Sequence[str]], number: int, names: Sequence[str], faults: Faults) -> Array:
    """Columns of text as numbers ``(rows, columns)``."""
    made = np.empty((len(columns[0]), len(columns)))
    for place, (column, name) in enumerate(zip(columns, names, strict=True)):
        try:
            made[:, place] = np.fromiter(map(float, column), float, len(column))
        except ValueError:
            made[:, place] = [float(cell) if _is_number(cell) else np.nan for cell in column]
        beyond = np.flatnonzero(~(np.abs(made[:, place]) <= LARGEST))
        if len(beyond):
            faults.note(_wrong(column[beyond[0]], number + int(beyond[0]), name), name, len(beyond))
    return made


def _wrong(cell: str, row: int, name: str) -> str:
    """What is wrong with a cell that should hold a number."""
    if cell.strip().lower() in GAPS:
        return _gap(row, name)
    if _is_number(cell):
        return f"Row {row} has {cell!r} in column {name!r}, which is no number to learn from (they go to ±{LARGEST:g})."
    return (
        f"Row {row} has the text {cell!r} in column {name!r}; features must be numbers. "
        f"What is to be learnt from them is the last column, or the one named {' or '.join(ANSWERS)}."
    )


def _gap(row: int, name: str) -> str:
    return f"Row {row} has a gap in column {name!r}; fill it in, or leave the row out."


def _labels(answers: Answers, tested: int, name: str) -> tuple[Array, tuple[str, ...]]:
    """Answers as arrays, and the names of the classes if they are classes."""
    codes, texts = answers
    if not all(map(_is_number, texts)):
        different: list[Any] = sorted({text.strip() for text in texts})
        if len(different) > TEXTS:
            count = f"{len(different):,}"
            raise SettingsError(f"Column {name!r} has {count} different texts, and at most {TEXTS} can be classes.")
        return _classes(codes, [text.strip() for text in texts], different, name)
    values = [float(text) for text in texts]
    different = sorted(set(values))
    if not all(abs(value) <= LARGEST for value in different):
        raise SettingsError(f"Column {name!r} has numbers beyond ±{LARGEST:g}.")
    if len(different) > 1 and not _are_classes(different, len(codes)):
        return standardised(np.array(values)[codes][:, None], tested), ()
    return _classes(codes, values, different, name)


def _are_classes(different: Sequence[float], count: int) -> bool:
    """Whether numbers stand for classes: few of them, whole, and each for several examples."""
    return len(different) <= min(CLASSES, count // 2) and all(value == round(value) for value in different)


def _classes(
    codes: Array, answers: Sequence[Any], different: Sequence[Any], name: str
) -> tuple[Array, tuple[str, ...]]:
    if len(different) < 2:
        raise SettingsError(
            f"Column {name!r} says {_shown(different[0])!r} in every row; there is nothing to tell apart."
        )
    place = {answer: index for index, answer in enumerate(different)}
    labels = np.array([place[answer] for answer in answers])[codes]
    return one_hot(labels, len(different)), tuple(map(_shown, different))


def _shown(answer: object) -> str:
    """``3`` for 3.0."""
    return f"{answer:g}" if isinstance(answer, float) else str(answer)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
