"""The process that shows a training loop: readings come in at its input, its address and its wishes go out.

It is started by :func:`explorer.watching.watch`, and ends once the loop has ended and nobody looks any more.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import webbrowser
from functools import partial
from typing import Any

from explorer import server
from explorer.addresses import free_port
from explorer.app import Opening
from explorer.followed import Feed

_CHECK_SECONDS = 0.5
_GRACE_SECONDS = 30
"""How long a browser that is being opened may take, if the loop has ended meanwhile."""


def main(port: int, browser: bool) -> None:
    """Show what comes in, until it ends.

    Args:
        port: to listen on, or the next one that is free.
        browser: whether one is opened.
    """
    if hasattr(os, "nice"):
        os.nice(5)  # whatever is shown here, training comes first
    out, sys.stdout = sys.stdout, sys.stderr  # what anybody prints isn't for the loop
    feed = Feed(partial(print, file=out, flush=True))
    threading.Thread(target=feed.receive, args=(sys.stdin.buffer,), daemon=True).start()
    free = free_port("127.0.0.1", port)
    serving = server.start(Opening(feed=feed), free)
    url = f"http://127.0.0.1:{free}/"
    print(f"url {url}", file=out, flush=True)
    print(f"Backprop Explorer follows the training at {url}", file=sys.stderr, flush=True)
    if browser:
        webbrowser.open(url)
    until = time.monotonic() + (_GRACE_SECONDS if browser else 0)
    serving.io_loop.call_later(_CHECK_SECONDS, _check, serving, feed, until)
    serving.io_loop.start()
    serving.stop()


def _check(serving: Any, feed: Feed, until: float) -> None:
    """Whether anybody is left to show anything to."""
    looked_at = bool(serving.get_sessions()) or time.monotonic() < until
    if feed.ended and not looked_at:
        serving.io_loop.stop()
        return
    serving.io_loop.call_later(_CHECK_SECONDS, _check, serving, feed, until)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "browser")
