"""Thirty people training at once: whose steps, how long clicks wait, and what of it all is left when they have gone.

    python -m benchmarks.many [SESSIONS] [-- OPTIONS OF serve]

Each is a websocket that says what a browser would say, so that the two cores are the server's as far as can be: the
first page, played, and now and then a click, by turns on a box and on *Operation* or *Layer*. A click's time ends when
its answer has arrived. Memory is what the server's processes keep resident.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np

from scripts.driving import served
from scripts.tabs import Tab

PORT = 6220
SESSIONS = 30
SECONDS, AGAIN_SECONDS = 30, 10
"""That they stay: the first ones, and as many again, whose memory should be that of the first."""
PAUSE_SECONDS = 3.0
"""Between two clicks of one person, about."""
APART_SECONDS = 0.2
"""Between two people who open the page."""
FIRST = 4
"""People who come before: what the processes keep of what everybody needs is there then, in each of them."""
GONE_SECONDS = 35
PATIENCE_SECONDS = 240
BAR_RATIO, BAR_MS = 2.0, 300.0


async def come(tab: Tab, url: str, later: float = 0.0) -> Tab:
    """Open the page and wait until it can train."""
    await asyncio.sleep(later)
    await tab.open(url)
    figures = await tab.hear('"attr":"figures"')
    tab.box = re.search(r'boxes\\*":\{\\*"([^"\\]+)', figures)[1]  # type: ignore[attr-defined,index]
    return tab


async def click(tab: Tab, turn: int) -> float:
    """Milliseconds until a click is answered."""
    start = time.perf_counter()
    if turn % 2:
        box = tab.box  # type: ignore[attr-defined]
        await tab.hear('"explained"', lambda: tab.send("graph", type="explain", box=box, node=box, index=None))
    else:
        value = ("operation", "layer")[turn // 2 % 2]
        await tab.hear('"attr":"scene"', lambda: tab.send("graph", type="granularity", value=value))
    return 1000 * (time.perf_counter() - start)


async def visit(tab: Tab, until: float) -> list[float]:
    """Click now and then, until a time."""
    waited, turn = [], 0
    await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
    while time.monotonic() < until:
        waited.append(await click(tab, turn))
        turn += 1
        await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.7, 1.3))
    return waited


async def train(tabs: list[Tab]) -> None:
    """Have all of them train, and wait until they do."""
    for tab in tabs:
        tab.send("train", type="play")
        tab.stands = "waits for its first step"
    while not all(tab.step for tab in tabs):
        await asyncio.sleep(0.1)


async def there(url: str, count: int, apart: float) -> list[Tab]:
    """So many people come, and all of them train.

    Raises:
        RuntimeError: somebody waits for ever; for what.
    """
    tabs = [Tab() for _ in range(count)]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(come(tab, url, number * apart) for number, tab in enumerate(tabs)))
            await train(tabs)
    except TimeoutError as error:
        raise RuntimeError(f"not all got going: {Counter(tab.stands for tab in tabs if not tab.step)}") from error
    return tabs


async def wave(url: str, count: int, port: int, seconds: float) -> dict[str, Any]:
    """So many people come, train and click for some seconds, and go; what was seen of it."""
    start = time.monotonic()
    tabs = await there(url, count, APART_SECONDS)
    came = time.monotonic() - start
    await asyncio.sleep(5)
    begun = [(tab.step, tab.pictures, tab.at) for tab in tabs]
    clicks = await asyncio.gather(*(visit(tab, time.monotonic() + seconds) for tab in tabs))
    during = resident(port)
    took = [max(tab.at - at, 1e-9) for tab, (*_, at) in zip(tabs, begun, strict=True)]
    found = {
        "there": came,
        "steps": [(tab.step - step) / own for tab, (step, *_), own in zip(tabs, begun, took, strict=True)],
        "pictures": [(tab.pictures - seen) / own for tab, (_, seen, _), own in zip(tabs, begun, took, strict=True)],
        "boxes": [each for own in clicks for each in own[1::2]],
        "folds": [each for own in clicks for each in own[::2]],
        "during": during,
    }
    for tab in tabs:
        tab.close()
    await asyncio.sleep(GONE_SECONDS)
    return found | {"after": resident(port), "used": allocated(url)}


async def crowd(url: str, count: int, port: int) -> dict[str, Any]:
    """Two waves of so many people; what was seen of the first, and kept after each."""
    for tab in await there(url, FIRST, 0.0):
        for turn in range(4):
            await click(tab, turn)
        tab.close()
    await asyncio.sleep(GONE_SECONDS)
    before, needed = resident(port), allocated(url)
    first = await wave(url, count, port, SECONDS)
    second = await wave(url, count, port, AGAIN_SECONDS)
    used = [number - needed for number in (first["used"], second["used"])]
    return first | {"before": before, "again": second["after"], "kept": used}


def allocated(url: str) -> float:
    """MiB that the processes which serve pages have in use, as ``/metrics`` tells; NaN where nobody tells."""
    try:
        with urlopen(f"{url}metrics") as answer:
            text = answer.read().decode()
    except HTTPError:
        return float("nan")
    return sum(float(number) for number in re.findall(r"^\w+allocated_bytes\{.*\} (\S+)$", text, re.MULTILINE)) / 2**20


def resident(port: int) -> float:
    """MiB that the server on a port keeps in memory, with the processes that it has started."""
    parents, kept, found = {}, {}, set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, words = (folder / "status").read_text(), (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        number = int(folder.name)
        parents[number] = int(status.split("PPid:")[1].split()[0])
        kept[number] = int(status.split("VmRSS:")[1].split()[0]) / 1024 if "VmRSS" in status else 0.0
        if b"--port" in words and str(port).encode() in words:
            found.add(number)
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sum(kept[number] for number in found)


def main(count: int, options: list[str]) -> int:
    """Measure, and print; status 1 where a bar isn't held."""
    with served(*options, port=PORT) as url:
        found = asyncio.run(crowd(url, count, PORT))
    steps, clicks = found["steps"], found["boxes"] + found["folds"]
    ratio, p95 = max(steps) / max(min(steps), 1e-9), float(np.percentile(clicks, 95))
    print(f"{count} sessions, {' '.join(options) or 'one process'}: all there after {found['there']:.0f} s")
    print(
        f"steps      {min(steps):6.0f} to {max(steps):.0f} a second in each, {ratio:.2f} x apart (bar {BAR_RATIO:.0f})"
    )
    print(f"pictures   {min(found['pictures']):6.1f} to {max(found['pictures']):.1f} a second in each")
    for name, waited in (("clicks", clicks), ("on boxes", found["boxes"]), ("folding", found["folds"])):
        print(f"{name:10} {np.median(waited):6.0f} ms median, {np.percentile(waited, 95):.0f} ms p95, {len(waited)}")
    before, during, after, again = (found[name] for name in ("before", "during", "after", "again"))
    print(f"memory     {(during - before) / count:6.1f} MiB a session on top of {before:.0f} MiB")
    print(f"left       {after - before:6.0f} MiB when they have gone, {again - after:+.0f} MiB after as many again")
    first, second = found["kept"]
    print(f"in use     {first:+6.1f} MiB when they have gone, {second - first:+.1f} MiB after as many again")
    return int(ratio > BAR_RATIO or p95 > BAR_MS)


if __name__ == "__main__":
    rest = sys.argv[1:]
    numbers = [word for word in rest if word.isdecimal()][:1] if rest[:1] != ["--"] else []
    sys.exit(main(int(numbers[0]) if numbers else SESSIONS, [word for word in rest if word not in (*numbers, "--")]))
