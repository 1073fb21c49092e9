"""The command line. Heavy modules are imported when a command needs them; this is the only place that exits."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from typing import Any, NoReturn

from explorer import late

DESCRIPTION = "The place where people understand backpropagation, on their own JAX code."

EPILOG = """\
examples:
  backprop-explorer                              the page, with a network that reads handwritten digits
  backprop-explorer serve my_model:loss          the page, with your own loss function
  backprop-explorer lessons                      the course; serve --lesson NAME begins one
  backprop-explorer trace my_model:loss          its compute graph, as text
  backprop-explorer trace my_model:loss --svg    ... as a picture (also --json, --dot)
  backprop-explorer check my_model:loss          every gradient against JAX and against differences
  backprop-explorer train --task spiral --json   a training run without a page: losses, gradients, findings
  backprop-explorer export -o page.html          a page in one file, to be read without Python and without a network
  backprop-explorer doctor                       what it runs on, what is missing and how to get it

your own function brings its example arguments in one way: beside `loss` stands `loss_args`,
a tuple of arguments or a function that returns one. The first argument is differentiated.
"""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit."""
    written = sys.argv[1:] if argv is None else argv
    status = run(written)
    if "--worker" in written:  # JAX would wait for the others here, which may be gone
        sys.stdout.flush()
        os._exit(status)
    if _at_work(until=time.monotonic() + _PATIENCE_SECONDS):
        sys.stdout.flush()
        os._exit(status)
    sys.exit(status)


_PATIENCE_SECONDS = 1.0


def _at_work(until: float) -> bool:
    """Whether a page's thread is still busy after a moment: XLA compiles to its end, minutes perhaps, whoever asks."""
    others = [own for own in threading.enumerate() if own is not threading.main_thread() and not own.daemon]
    for thread in others:
        thread.join(max(until - time.monotonic(), 0.0))
    return any(thread.is_alive() for thread in others)


def run(argv: list[str]) -> int:
    """Run the command line; the exit status."""
    written = _spelled_out(argv)
    arguments = parser(written[0]).parse_args(written)
    arguments.written = written
    if arguments.command == "serve":
        late.hurry()
    commands = late.load("explorer.commands")
    try:
        status = int(commands.COMMANDS[arguments.command](arguments))
        sys.stdout.flush()
    except commands.Refused as error:
        print(f"backprop-explorer: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor is there anyone to read the rest at exit
        return 0
    return status


def _spelled_out(argv: list[str]) -> list[str]:
    """``serve`` is what happens without a command; its options alone are enough."""
    named = argv and (not argv[0].startswith("-") or argv[0] in ("-h", "--help", "--version"))
    return argv if named else ["serve", *argv]


class _Version(argparse.Action):
    """Only who asks for the version waits for the engine to be imported."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: Any) -> NoReturn:
        version = late.load("engine.version").__version__
        print(f"backprop-explorer {version}")
        parser.exit()


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; ports are numbers from 1 to 65535")
    return int(text)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _some(text: str) -> int:
    if (count := _whole(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def parser(command: str = "") -> argparse.ArgumentParser:
    """What can be written on the command line.

    Args:
        command: the one that will be read; the options of ``train`` are made of the engine's settings, and only then.
    """
    top = argparse.ArgumentParser(
        prog="backprop-explorer",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(dest="command", metavar="command", required=True)
    serve = commands.add_parser("serve", help="serve the page on this machine (what happens without a command)")
    serve.add_argument("target", nargs="?", default="", metavar="MODULE:FUNCTION", help="your own loss function")
    serve.add_argument(
        "--port", type=_port, default=5006, help="port to listen on (default 5006, or the next free one)"
    )
    serve.add_argument("--address", default="", help="address to listen on (default: this machine only)")
    serve.add_argument("--no-browser", action="store_true", help="don't open a browser")
    serve.add_argument(
        "--lesson", default="", metavar="NAME|FILE.toml", help="begin with a lesson, of the course or your own"
    )
    _add_public(serve.add_argument_group("for many at once"))
    lessons = commands.add_parser("lessons", help="the course: every lesson, in order")
    lessons.add_argument("--json", action="store_true", help="as JSON")
    trace = commands.add_parser("trace", help="the compute graph of a function")
    trace.add_argument("target", metavar="MODULE:FUNCTION")
    form = trace.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON: nodes, edges, scopes")
    form.add_argument("--dot", action="store_true", help="as DOT, for Graphviz")
    form.add_argument("--svg", action="store_true", help="as a picture")
    form.add_argument("--open", action="store_true", help="on the page, in the browser")
    trace.add_argument("--operations", action="store_true", help="unfold every function to its operations")
    trace.add_argument("-o", "--output", metavar="FILE", help="write to a file instead of the screen")
    check = commands.add_parser("check", help="every gradient against jax.grad and against central differences")
    check.add_argument("target", metavar="MODULE:FUNCTION")
    train = commands.add_parser(
        "train", help="the training room without a page: losses, gradients by layer, what is wrong and what to do"
    )
    _add_training(train)
    export = commands.add_parser("export", help="a page that works offline, a picture, a film, or the numbers")
    _add_export(export)
    doctor = commands.add_parser("doctor", help="versions, devices, Graphviz; what is missing and how to get it")
    doctor.add_argument("--json", action="store_true", help="as JSON")
    for trained in (train, export):
        if command == trained.prog.split()[-1]:
            late.load("explorer.options").add(trained)
    for shown in (serve, trace, export):
        shown.add_argument(
            "--graphviz", choices=("bundled", "system"), default="bundled", help="which Graphviz lays the graph out"
        )
    return top


def _add_public(public: Any) -> None:
    """The options of ``serve`` for many people."""
    public.add_argument(
        "--public", action="store_true", help="for a class or behind a proxy: several processes, on every address"
    )
    public.add_argument("--workers", type=_some, metavar="N", help="processes (default: one a core, at most 4)")
    public.add_argument("--sessions", type=_some, metavar="N", help="pages that may be open (default 40)")
    public.add_argument(
        "--allow-origin", action="append", metavar="URL", help="the only address people come by, such as https://host"
    )
    public.add_argument("--behind-proxy", action="store_true", help="believe a proxy's X-Forwarded-… headers")


def _add_export(export: argparse.ArgumentParser) -> None:
    """The options of ``export`` that are no settings."""
    export.add_argument(
        "target", nargs="?", default="", metavar="MODULE:FUNCTION", help="your own loss function instead of a task"
    )
    export.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="ends in .html, .svg, .png, .gif, .csv or .parquet"
    )
    export.add_argument(
        "--steps", type=_whole, metavar="N", help="trained before (default 100; none for your own function)"
    )
    export.add_argument(
        "--of", choices=("pass", "training"), default="pass", help="what a film or a table tells (default: the pass)"
    )
    export.add_argument(
        "--lesson", default="", metavar="NAME|FILE.toml", help="a lesson as a page, of the course or your own"
    )
    export.add_argument("--operations", action="store_true", help="unfold every function to its operations")
    export.add_argument("--dark", action="store_true", help="a picture or a film on a dark ground")


def _add_training(train: argparse.ArgumentParser) -> None:
    """The options of ``train`` that are no settings."""
    train.add_argument(
        "target", nargs="?", default="", metavar="MODULE:FUNCTION", help="your own loss function instead of a task"
    )
    train.add_argument("--steps", type=_whole, default=200, metavar="N", help="how many to take (default 200)")
    train.add_argument("--json", action="store_true", help="as one JSON object")
    train.add_argument("--save", default="", metavar="FOLDER", help="save the run")
    train.add_argument("--save-every", type=_whole, default=0, metavar="N", help="save it on the way, too: in steps")
    train.add_argument("--open", default="", metavar="FOLDER", help="go on with a run that was saved")
    train.add_argument(
        "--devices",
        type=_whole,
        default=1,
        metavar="N",
        help="divide each step over so many devices, virtual ones where there are no others (default 1)",
    )
    train.add_argument(
        "--micro-batches", type=_some, metavar="N", help="each device takes its part in so many, one after the other"
    )
    train.add_argument(
        "--divide-memory",
        action=argparse.BooleanOptionalAction,
        help="each device remembers its own slice of the optimiser's memory, as ZeRO and FSDP do",
    )
    train.add_argument("--watch", action="store_true", help="on a page that follows it, in the browser")
    train.add_argument(
        "--port", type=_port, default=5006, help="port of that page (default 5006, or the next free one)"
    )
    train.add_argument("--no-browser", action="store_true", help="don't open a browser")
    _add_processes(train)


def _add_processes(train: argparse.ArgumentParser) -> None:
    """Where several processes train as one (docs/SCALE.md)."""
    group = train.add_argument_group("several processes", "that train as one; docs/SCALE.md says how on a cluster")
    group.add_argument("--processes", type=_whole, default=1, metavar="N", help="how many; they are started here, or:")
    group.add_argument("--coordinator", default="", metavar="HOST:PORT", help="process 0; each is started on its own")
    group.add_argument("--process-id", type=_whole, default=0, metavar="R", help="which of them this is, from 0")
    group.add_argument("--cluster", action="store_true", help="SLURM, Open MPI or Kubernetes has started this one")
    group.add_argument("--worker", default="", help=argparse.SUPPRESS)
