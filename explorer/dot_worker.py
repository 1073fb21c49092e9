"""A process of its own that lays graphs out: a line of JSON (DOT text, seconds) comes in, a line of JSON goes out.

Who needs longer than so many seconds is ended by the system. Only what is computed counts: a machine that is busy
elsewhere, with a whole class that opens the page, makes no graph larger.
"""

import json
import signal
import sys

import pygraphviz


def lay_out(text: str) -> dict[str, str]:
    """Graphviz's answer to one DOT text, or what it said against it."""
    try:
        drawn = pygraphviz.AGraph(string=text).draw(format="json0", prog="dot")
    except (OSError, ValueError, SystemError) as error:
        return {"error": str(error)}
    return {"json": drawn.decode() if isinstance(drawn, bytes) else drawn}


LONGEST = 120
"""Seconds after which a layout ends the process: whoever asked has died without stopping it."""


def limit(seconds: float, longest: int) -> None:
    """End the process after so many seconds of computing, or by the clock; 0: not at all. Windows can't."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.alarm(longest)


if __name__ == "__main__":
    for line in sys.stdin:
        asked, seconds = json.loads(line)
        limit(seconds, LONGEST)
        sys.stdout.write(json.dumps(lay_out(asked)) + "\n")
        sys.stdout.flush()
        limit(0, 0)
