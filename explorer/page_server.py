"""One of the processes that serve pages behind a front. What it is to serve comes in at its input, its port goes out;
when its input ends, it ends.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
from typing import Any

from tornado.web import RequestHandler

from explorer import late, server
from explorer.app import Opening
from explorer.classroom import CLASSES, LETTERS
from explorer.gauges import GAUGES
from explorer.limits import SHARED
from explorer.turns import TURNS

LIFETIME_MS = 20_000
"""How long a tab may be away."""

LONGEST_MESSAGE = 1 << 18
"""Bytes that a page may send at once."""


class Told(RequestHandler):
    """What the process tells of itself, for the front."""

    def get(self) -> None:
        """Send it."""
        training = sum(page.trains for page in list(server.OPEN))
        self.finish(GAUGES.told() | {"sessions": len(server.OPEN), "training": training})


def main(order: dict[str, Any]) -> None:
    """Serve until the input ends.

    Args:
        order: ``index`` of this process, how many ``at_once`` may train in it, the ``target``, the ``graphviz`` and the
            ``lesson`` to show, and the ``secret`` that tokens are signed with.
    """
    out, sys.stdout = sys.stdout, sys.stderr  # what anybody prints isn't for the front
    TURNS.at_once = order["at_once"]
    CLASSES.first = LETTERS[order["index"]]
    target = late.load("explorer.target").load(order["target"]) if order["target"] else ""
    opening = Opening(target, order["graphviz"], local=False, limits=SHARED)
    if order["lesson"]:
        opening = dataclasses.replace(opening, lesson=late.load("explorer.lessons.course").named(order["lesson"]))
    found = server.start(
        opening,
        0,
        more=[(r"/told", Told)],
        sign_sessions=True,
        secret_key=order["secret"].encode(),
        use_xheaders=True,
        websocket_max_message_size=LONGEST_MESSAGE,
        unused_session_lifetime_milliseconds=LIFETIME_MS,
    )
    sys.setswitchinterval(server.TURN_SECONDS)
    late.begin("explorer.opening")
    found.io_loop.add_callback(server.tidy, rests=True)
    threading.Thread(target=_until_alone, args=(found.io_loop,), daemon=True).start()
    print(f"port {found.port}", file=out, flush=True)
    found.io_loop.start()
    server.stop(found)


def _until_alone(loop: Any) -> None:
    sys.stdin.buffer.read()
    loop.add_callback(loop.stop)


if __name__ == "__main__":
    main(json.loads(sys.stdin.buffer.readline()))
