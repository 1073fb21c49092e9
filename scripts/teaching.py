"""The teacher's guide, written of the lessons themselves. Run: ``python -m scripts.teaching``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from explorer.lessons.course import Entry, entries
from scripts.driving import ROOT

PATH = ROOT / "docs" / "TEACHING.md"

BEGINNING = """\
# Teaching with the lessons

Every lesson plays on the page itself, on a real training step: *Lessons* in the header, `?lesson=NAME` in the address,
or `backprop-explorer serve --lesson NAME`. Each needs a few minutes and nothing but a browser.

**How they work.** A beat speaks of one place on the picture, and often asks before it shows. Have everyone commit to a
prediction, on paper or by a show of hands, before anyone types it; it is the wrong predictions that teach. A wrong one
gets a hint that is about the mistake; *Show me* is there for who is stuck. At any beat the page is free to explore,
and *Back to the lesson* restores it. Page Up and Page Down, the keys of a clicker, go from beat to beat; while
presenting (P), Page Down at an open question first shows the answer.

**An order.** The lessons build on one another within a group. Three ninety-minute sessions: the first group with pencil
and paper; then learning; then what goes wrong, with the students' own settings. Progress is kept in each browser alone.

**Thirty of them.** `backprop-explorer serve --public` is a server for a whole class, each with a page of their own; to
have them follow yours instead, open a *Class* on it.

**One's own.** A lesson is one file: [LESSONS.md](LESSONS.md).
"""


def guide() -> str:
    """The whole guide, as Markdown."""
    parts = [BEGINNING]
    for group, own in groupby(entries(), lambda entry: entry.group):
        parts += [f"\n## {group}\n", "\n".join(_told(list(own)))]
    return "\n".join(parts) + "\n"


def _told(group: list[Entry]) -> Iterator[str]:
    for entry in group:
        own = entry.plain()
        yield f"**{own['title']}** · `{own['name']}` · {own['minutes']} min, {own['questions']} predictions  "
        yield f"Afterwards: {own['goal']}  "
        yield f"Against: {own['misconception']}\n"


if __name__ == "__main__":
    PATH.write_text(guide(), encoding="utf-8")
    print(f"Wrote {PATH.relative_to(ROOT)}.")
