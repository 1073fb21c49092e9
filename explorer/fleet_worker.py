"""A process of its own that has several devices: a line of JSON (a question) comes in, a line of JSON goes out."""

from __future__ import annotations

import json
import os
import sys

from engine import shares
from engine.errors import EngineError
from explorer import opening
from explorer.errors import ExplorerError
from explorer.fleet import MOST, Fleet


def main() -> None:
    """Answer until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed must not come between
    shares.prepare(MOST)
    opening.prepare()
    fleet = Fleet()
    for line in sys.stdin:
        try:
            found = fleet.answer(json.loads(line))
        except (EngineError, ExplorerError) as error:
            found = {"error": str(error)}
        answers.write(json.dumps(found, allow_nan=False) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
