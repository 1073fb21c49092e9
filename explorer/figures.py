"""A reading -> Figures: for each box its pictures, its numbers as text, and the sentence that explains its gradient."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np

from engine.errors import EngineError, UnknownNodeError
from engine.explain import Sentence, Term, compute, explain
from engine.fold import Folded
from engine.graph import OUTPUT, Node
from engine.numbers import Numbers, short
from explorer import theme
from explorer.frozen import plain

Array = Any

THUMB = (28, 16)
"""Most columns and rows of a small picture."""

WHOLE = 4096
"""Arrays of at most this many entries go to the browser whole."""

BUDGET = 1_500_000
"""Most entries that go to the browser with one reading; the rest is fetched when it is looked at."""

EXPLAINED = 400
"""Sentences are made ahead for the first boxes; for more they are fetched when looked at."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """An array as seen: colours on the fixed scale, and the numbers behind them where they fit."""

    rows: int
    columns: int
    codes: str
    """One byte a cell, base64."""
    shape: tuple[int, ...]
    data: str = ""
    """float32, base64, in C order; empty if the array is too large to send ahead."""
    rms: str = ""
    strength: float = 0.0
    """Root mean square on the fixed scale, 0 to 1."""
    summary: str = ""
    known: bool = True
    """Whether its entries were read, and not their statistics alone."""
    grey: bool = False
    """Whether the codes are brightness, from 0 to 255: a photograph rather than numbers on the scale."""


@dataclasses.dataclass(frozen=True)
class BoxFigures:
    """The numbers of one box."""

    value: Picture | None
    grad: Picture | None
    missing: str = ""
    """Why there is no gradient (or no value)."""
    computed: str = ""
    sentence: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Figures:
    """The numbers of one step, for what is seen."""

    boxes: Mapping[str, BoxFigures]
    wires: tuple[float, ...]
    """For each wire the strength of what is sent back along it, 0 to 1."""

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain data, for a browser."""
        return dict(plain(self))


def figures(
    folded: Folded,
    numbers: Numbers,
    images: Mapping[str, tuple[int, int]] | None = None,
    plumbing: bool = False,
    speaks: Container[str] | None = None,
) -> Figures:
    """Everything the screen says about one step.

    Args:
        folded: what is seen.
        numbers: the full reading, on the host.
        images: for nodes whose rows are pictures, their height and width.
        plumbing: whether reshapes and the like are seen, and so spoken of.
        speaks: boxes whose sentences are made, by id; the first ones (:data:`EXPLAINED`) unless given.
    """
    first = frozenset(box.id for box in folded.boxes[:EXPLAINED]) if speaks is None else speaks
    left = BUDGET
    found = {}
    for box in folded.boxes:
        node = numbers.graph.node(box.shows)
        spoken = _spoken(numbers, node, plumbing) if box.id in first else None
        own = _box(numbers, node, (images or {}).get(node.id), left > 0, spoken)
        left -= sum(picture.rows * picture.columns for picture in (own.value, own.grad) if picture)
        found[box.id] = own
    return Figures(found, tuple(_strength(numbers, wire.uses) for wire in folded.wires))


def _box(
    numbers: Numbers, node: Node, image: tuple[int, int] | None, whole: bool, spoken: Sentence | None
) -> BoxFigures:
    value, why = read(numbers.value, node)
    grad, why_not = read(numbers.grad, node)
    if (value is None or grad is None) and numbers.reading.plan.how == "stats":
        return measured(numbers, node)
    return BoxFigures(
        value=None if value is None else picture(value, image, whole),
        grad=None if grad is None else picture(grad, None, whole),
        missing=why or why_not,
        computed=_computed(numbers, node, spoken) if spoken and value is not None else "",
        sentence=sentence(spoken, numbers) if spoken else None,
    )


def _computed(numbers: Numbers, node: Node, spoken: Sentence) -> str:
    try:
        return compute(numbers, node.id, spoken.index)
    except UnknownNodeError:  # what it reads was not read
        return ""


def _spoken(numbers: Numbers, node: Node, plumbing: bool) -> Sentence | None:
    """The sentence about a node, where its gradient was read, and what that is made of."""
    if read(numbers.grad, node)[0] is None:
        return None
    try:
        return explain(numbers, node.id, None, plumbing)
    except UnknownNodeError:  # of a large program not all around it may have been
        return None


def read(ask: Any, node: Node) -> tuple[Array | None, str]:
    """What ``numbers.value`` or ``numbers.grad`` says about a node, or why there are no numbers to it."""
    if node.dtype.startswith("key"):
        return None, "It holds keys, not numbers."
    try:
        return ask(node.id), ""
    except EngineError as error:
        return None, str(error)


def picture(array: Array, image: tuple[int, int] | None = None, whole: bool = True) -> Picture:
    """An array as a picture of rows and columns."""
    small = mosaic(array, image) if image else shrunk(as_table(array), THUMB)
    codes = (np.clip(small, 0, 1) * 255).astype(np.uint8) if image else theme.codes(small)
    send = whole and array.size <= WHOLE and not np.iscomplexobj(array)
    rms = _rms(array)
    return Picture(
        rows=small.shape[0],
        columns=small.shape[1],
        codes=_encode(codes),
        shape=tuple(array.shape),
        data=_encode(np.ma.filled(array, np.nan).astype(np.float32)) if send and array.dtype.kind != "b" else "",
        rms=short(array.reshape(-1)[0].item()) if array.size == 1 else short(rms),
        strength=theme.level(rms),
        summary=summary(array),
        grey=image is not None,
    )


UNREAD = "It was not read in this step: of a graph of this size only what is seen is."


def measured(numbers: Numbers, node: Node) -> BoxFigures:
    """The numbers of a box whose entries weren't read: its statistics, where it has any."""
    try:
        known = numbers.stats(node.id)
    except UnknownNodeError:
        return BoxFigures(None, None, UNREAD)
    except EngineError as error:
        return BoxFigures(None, None, str(error))
    found = {what: _gist(node, row) for what, row in known.items()}
    return BoxFigures(found.get("value"), found.get("grad"), "" if "grad" in found else node.note)


def _gist(node: Node, row: Mapping[str, Any]) -> Picture:
    """Statistics of an array in place of its picture."""
    small = np.full((1, 1), row["rms"])
    texts = [f"mean {short(row['mean'])}", f"from {short(row['min'])} to {short(row['max'])}"]
    texts += [f"{row['zero_fraction']:.0%} exactly zero".replace("%", " %")] if row["zero_fraction"] else []
    texts += [f"{row['nonfinite']} not finite"] if row["nonfinite"] else []
    shape = (*node.iterations, *node.shape)
    level = theme.level(row["rms"])
    if not shape:
        alone = np.full((1, 1), row["mean"])
        return Picture(1, 1, _encode(theme.codes(alone)), (), rms=short(row["mean"]), strength=level)
    codes = _encode(theme.codes(small))
    return Picture(1, 1, codes, shape, "", short(row["rms"]), level, " · ".join(texts), known=False)


def as_table(array: Array) -> Array:
    """An array as rows and columns: vectors as a row, higher ranks with all but the last axis as rows."""
    if array.ndim == 0:
        return array.reshape(1, 1)
    return array.reshape(-1, array.shape[-1]) if array.size else np.zeros((1, 1), np.float32)


def mosaic(array: Array, image: tuple[int, int], across: int = 4, down: int = 2) -> Array:
    """The first examples as pictures side by side."""
    height, width = image
    count = min(len(array), across * down)
    sheet = np.zeros((down * height, across * width), np.float32)
    for index in range(count):
        row, column = divmod(index, across)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = array[index].reshape(image)
    return sheet


def shrunk(table: Array, most: tuple[int, int]) -> Array:
    """A table with fewer cells: each shows the entry of the largest magnitude among those that it stands for."""
    for axis, limit in ((1, most[0]), (0, most[1])):
        if table.shape[axis] > limit:
            table = _strongest(table, axis, limit)
    return table


def _strongest(table: Array, axis: int, limit: int) -> Array:
    """Along an axis so many entries, each the strongest of its part; all parts at once, as loops would cost more."""
    edges = np.linspace(0, table.shape[axis], limit + 1).astype(int)
    longest = int(np.diff(edges).max())
    places = np.minimum(edges[:-1, None] + np.arange(longest), edges[1:, None] - 1)  # a shorter part ends twice
    filled = np.ma.filled(table, 0)
    sizes = np.nan_to_num(np.abs(filled.astype(np.result_type(filled, np.float64))), nan=np.inf)
    parts = np.moveaxis(sizes, axis, -1)[:, places]
    best = np.take_along_axis(places[None], parts.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    rows = np.arange(len(best))[:, None]
    return table[rows, best] if axis else table[best, rows].T


def _encode(array: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def _rms(array: Array) -> float:
    values = np.abs(np.ma.filled(array, 0).astype(np.complex128)).reshape(-1)
    peak = float(values.max(initial=0.0))
    if not np.isfinite(peak) or peak == 0:
        return peak
    return peak * float(np.sqrt(np.mean((values / peak) ** 2)))


def summary(array: Array) -> str:
    """``mean 0.02 · from −0.9 to 0.8 · 12 % zero``."""
    if array.size <= 1 or array.dtype.kind in "bc":
        return ""
    flat: Array = (
        np.ma.compressed(array).astype(np.float64)
        if np.ma.isMaskedArray(array)
        else np.asarray(array, np.float64).reshape(-1)
    )
    bad = int(np.sum(~np.isfinite(flat)))
    with np.errstate(all="ignore"):
        parts = [f"mean {short(float(flat.mean()))}", f"from {short(float(flat.min()))} to {short(float(flat.max()))}"]
    zero = float(np.mean(flat == 0))
    parts += [f"{zero:.0%} exactly zero".replace("%", " %")] if zero else []
    parts += [f"{bad} not finite"] if bad else []
    return " · ".join(parts)


def _strength(numbers: Numbers, uses: Iterable[tuple[str, str]]) -> float:
    total = 0.0
    for source, consumer in uses:
        try:
            sent = numbers.contributions(source).get(consumer)
        except EngineError:
            sent = None
            total = max(total, _alone(numbers, source))
        total = max(total, _rms(sent)) if sent is not None else total
    return theme.level(total)


def _alone(numbers: Numbers, source: str) -> float:
    """Size of what comes back to a node from its only consumer, where statistics alone were read: its gradient."""
    if numbers.reading.plan.how == "full" or len(numbers.graph.consumers(source)) > 1:
        return 0.0
    try:
        return float(numbers.stats(source)["grad"]["rms"])
    except (EngineError, KeyError):
        return 0.0


# ---- sentences -----------------------------------------------------------------------------------------------------


def sentence(spoken: Sentence, numbers: Numbers) -> dict[str, Any]:
    """A sentence as plain data: texts, and for each number the place it comes from."""
    return {
        "node": spoken.node,
        "name": brief(spoken.name),
        "index": list(spoken.index),
        "terms": [_term(term, numbers) for term in spoken.terms],
        "total": short(spoken.total),
        "words": spoken.words,
        "text": str(spoken),
    }


def brief(name: str) -> str:
    """A node's name where its place is plain: ``tanh`` of ``mlp/tanh``, ``layers.0.w`` of ``params.layers.0.w``."""
    last = name.rpartition("/")[2]
    return last.partition(".")[2] or last


def _term(term: Term, numbers: Numbers) -> dict[str, Any]:
    products = [[_factor(factor, numbers) for factor in product] for product in term.products]
    title = "the seed" if term.consumer == OUTPUT else term.title
    return {
        "consumer": term.consumer,
        "title": title,
        "products": products,
        "hidden": term.hidden,
        "total": short(term.total),
        "words": term.words,
    }


def _factor(factor: Any, numbers: Numbers) -> dict[str, Any]:
    name = numbers.graph.node(factor.node).name if factor.node else ""
    place = f"{name}[{', '.join(map(str, factor.index))}]" if factor.index else name
    return {"text": short(factor.value), "role": factor.role, "node": factor.node, "place": place, "how": factor.text}
