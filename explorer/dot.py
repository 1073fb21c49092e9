"""Graph -> DOT text: anonymous boxes of fixed size to be laid out, or the whole picture for other programs to draw."""

from __future__ import annotations

import re
from collections.abc import Iterable

import graphviz

from engine.fold import Folded
from explorer.geometry import Docks, Level

POINTS = 72.0


def level_text(level: Level, direction: str, scale: float = 1.0) -> str:
    """DOT for one level: what lies directly in one open scope.

    It holds nothing but sizes and who is wired to whom: equal blocks have equal texts, so one layout serves them all,
    and no name that a user gave ever reaches the layout program.

    Args:
        level: boxes with their sizes, wires, and the ports where wires enter and leave.
        direction: ``LR`` or ``TB``.
        scale: of everything: what is too long for Graphviz is laid out smaller.
    """
    sides = {"i": "w", "o": "e"} if direction == "LR" else {"i": "n", "o": "s"}
    lines = [
        "digraph {",
        f"rankdir={direction}; nodesep={0.26 * scale:.4g}; ranksep={0.36 * scale:.4g}; splines=spline; margin=0;",
        'node [shape=box, fixedsize=true, label=""]; edge [arrowhead=none, label=""];',
    ]
    for index, (size, docks) in enumerate(zip(level.sizes, level.docks, strict=True)):
        width, height = (length * scale for length in size)
        if docks.entries or docks.exits:
            docks = docks.scaled(scale)
            lines.append(
                f"b{index} [shape=plain, fixedsize=false, label=<{_docked(width, height, docks, direction)}>];"
            )
        else:
            lines.append(f"b{index} [width={width / POINTS:.3f}, height={height / POINTS:.3f}];")
    lines += _ports("i", level.entries, "source")
    lines += _ports("o", level.exits, "sink")
    for index, (tail, head, pull) in enumerate(level.wires):
        ends = (f"{end}:{sides[end.rpartition(':')[2][0]]}" if ":" in end else end for end in (tail, head))
        lines.append(f"{' -> '.join(ends)} [id={index}, {f'weight={pull}' if pull else 'constraint=false'}];")
    return "\n".join([*lines, "}"])


def _ports(prefix: str, count: int, rank: str) -> Iterable[str]:
    if not count:
        return []
    names = [f"{prefix}{index} [width=0.06, height=0.06];" for index in range(count)]
    return ["{ rank=" + rank + "; " + " ".join(names) + " }"]


_TABLE = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{}</TABLE>'


def _docked(width: float, height: float, docks: Docks, direction: str) -> str:
    """A box of exact size as a table, with a thin cell at each place where a wire docks."""
    w, h = round(width), round(height)
    if direction == "LR":
        left, right = (_side(name, places, h, down=True) for name, places in (("i", docks.entries), ("o", docks.exits)))
        return _TABLE.format(f"<TR><TD>{left}</TD>{_cell(w - 4, h)}<TD>{right}</TD></TR>")
    top, bottom = (_side(name, places, w, down=False) for name, places in (("i", docks.entries), ("o", docks.exits)))
    return _TABLE.format(f"<TR><TD>{top}</TD></TR><TR>{_cell(w, h - 4)}</TR><TR><TD>{bottom}</TD></TR>")


def _side(prefix: str, places: tuple[int, ...], length: int, down: bool) -> str:
    """One side of the box: gaps and docks in turn."""
    cells, here = [], 0
    for index, place in sorted(enumerate(places), key=lambda item: item[1]):
        start = min(max(place - 1, here), length - 2)
        cells += [_strip(start - here, down), _strip(2, down, f"{prefix}{index}")]
        here = start + 2
    cells.append(_strip(length - here, down))
    filled = [cell for cell in cells if cell]
    rows = "".join(f"<TR>{cell}</TR>" for cell in filled) if down else f"<TR>{''.join(filled)}</TR>"
    return _TABLE.format(rows)


def _strip(length: int, down: bool, port: str = "") -> str:
    if length <= 0:
        return ""
    return _cell(2, length, port) if down else _cell(length, 2, port)


def _cell(width: int, height: int, port: str = "") -> str:
    named = f' PORT="{port}"' if port else ""
    return f'<TD{named} FIXEDSIZE="TRUE" WIDTH="{width}" HEIGHT="{height}"></TD>'


def document(folded: Folded) -> str:
    """The folded graph as a DOT document of its own, with names and clusters, for ``dot`` and other programs."""
    dot = graphviz.Digraph(literal(folded.graph.name))
    dot.attr("node", shape="box", style="rounded", fontname="Helvetica")
    names = {box.id: f"n{index}" for index, box in enumerate(folded.boxes)}
    _cluster(dot, folded, "", names)
    for wire in folded.wires:
        label = f"×{len(wire.uses)}" if len(wire.uses) > 1 else ""
        style = {"use": "solid", "look": "dotted", "carry": "dashed"}[wire.kind]
        dot.edge(names[wire.source], names[wire.target], label=label, style=style)
    return str(dot.source)


def _cluster(dot: graphviz.Digraph, folded: Folded, scope: str, names: dict[str, str]) -> None:
    for box in folded.boxes:
        if box.parent == scope:
            node = folded.graph.node(box.shows)
            shape = "×".join(map(str, node.shape)) or "scalar"
            dot.node(names[box.id], label=literal(f"{box.label}\n{node.dtype} {shape}"))
    for inner in folded.open:
        if inner.parent == scope:
            with dot.subgraph(name=f"cluster_{len(names)}_{folded.open.index(inner)}") as cluster:
                cluster.attr(label=literal(inner.label), style="rounded")
                _cluster(cluster, folded, inner.id, names)


def literal(text: str) -> str:
    """Text that DOT shows as it is: no markup, no entities, no escapes but line breaks."""
    plain = writable(text).replace("&", "&amp;")
    return graphviz.nohtml(plain.replace("\\", "\\\\").replace("\n", "\\n"))


_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def writable(text: str) -> str:
    """Text with a mark in place of what no picture can hold: control characters and halves of characters."""
    return _UNWRITABLE.sub("\ufffd", text)
