"""A process of its own that lays graphs out: a line of JSON (DOT text) comes in, a line of JSON goes out."""

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

if __name__ == "__main__":
    alarm = getattr(signal, "alarm", lambda seconds: None)  # Windows has none
    for line in sys.stdin:
        alarm(LONGEST)
        sys.stdout.write(json.dumps(lay_out(json.loads(line))) + "\n")
        sys.stdout.flush()
        alarm(0)
