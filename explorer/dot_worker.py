"""A process of its own that lays graphs out: a line of JSON (DOT text) comes in, a line of JSON goes out."""

import json
import sys

import pygraphviz


def lay_out(text: str) -> dict[str, str]:
    """Graphviz's answer to one DOT text, or what it said against it."""
    try:
        drawn = pygraphviz.AGraph(string=text).draw(format="json0", prog="dot")
    except (OSError, ValueError, SystemError) as error:
        return {"error": str(error)}
    return {"json": drawn.decode() if isinstance(drawn, bytes) else drawn}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(lay_out(json.loads(line))) + "\n")
        sys.stdout.flush()
