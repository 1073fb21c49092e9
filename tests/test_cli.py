"""The command line: what it prints, how it ends, and that a mistake is one sentence and never a traceback."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pygraphviz
import pytest

from engine.version import __version__
from explorer import cli, late
from explorer.cli import main

ROOT = str(Path(cli.__file__).parents[1])
MODEL = """
import jax.numpy as jnp
import numpy as np

def dense(params, x):
    return x @ params["w"] + params["b"]

def loss(params, x):
    return jnp.mean(jnp.tanh(dense(params, x)) ** 2)

def loss_args():
    return {"w": np.ones((3, 2), np.float32) / 4, "b": np.zeros(2, np.float32)}, np.ones((4, 3), np.float32)

def vector(x):
    return x * 2.0

vector_args = (np.ones(3, np.float32),)

def bare(x):
    return x

def failing(x):
    raise ValueError("shapes don't match")

failing_args = (1.0,)

def spoilt(x):
    return jnp.sum(jnp.log(x))
spoilt_args = (-np.ones(3, np.float32),)

def words(x):
    return 3.0
words_args = ("a",)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    (path / "cli_model.py").write_text(MODEL)
    return path


@pytest.fixture(autouse=True)
def _here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def say(capsys):
    """Run the command line: status, standard output, standard error."""

    def run(*argv: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(argv))
        found = capsys.readouterr()
        return ended.value.code or 0, found.out, found.err

    return run


# ---- what can be asked ---------------------------------------------------------------------------------------------


def test_the_version(say):
    assert say("--version") == (0, f"backprop-explorer {__version__}\n", "")


def test_help_names_every_command_and_how_to_bring_arguments(say):
    status, out, err = say("--help")
    assert (status, err) == (0, "")
    for word in (
        "serve",
        "trace",
        "check",
        "my_model:loss --svg",
        "`loss_args`",
        "The first argument is differentiated",
    ):
        assert word in out


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "serve",
            ["MODULE:FUNCTION", "--port", "5006, or the next free one", "--address", "--no-browser", "--graphviz"],
        ),
        ("trace", ["MODULE:FUNCTION", "--json", "--dot", "--svg", "--open", "--operations", "-o FILE", "--graphviz"]),
        ("check", ["MODULE:FUNCTION"]),
        (
            "train",
            [
                "MODULE:FUNCTION",
                "--steps N",
                "--json",
                "--save FOLDER",
                "--open FOLDER",
                "--devices N",
                "--micro-batches N",
                "--no-divide-memory",
                "--no-residual",
            ],
        ),
    ],
)
def test_each_command_has_help(command, words, say):
    status, out, _ = say(command, "--help")
    assert status == 0
    assert [word for word in words if word not in out] == []


@pytest.mark.parametrize(
    ("argv", "served"),
    [
        ([], ("", 5006, "", False)),
        (["serve"], ("", 5006, "", False)),
        (["--port", "6000", "--no-browser"], ("", 6000, "", True)),
        (["serve", "a:b", "--address", "0.0.0.0"], ("a:b", 5006, "0.0.0.0", False)),
    ],
)
def test_serving_is_what_happens_without_a_command(argv, served, say, monkeypatch):
    asked = []
    monkeypatch.setitem(late.load("explorer.commands").COMMANDS, "serve", lambda given: asked.append(given) or 0)
    monkeypatch.setattr(late, "hurry", lambda: None)
    assert say(*argv)[0] == 0
    (given,) = asked
    assert (given.target, given.port, given.address, given.no_browser) == served


@pytest.fixture
def public(monkeypatch):
    """What ``serve --public`` was asked to serve."""
    asked = []
    monkeypatch.setattr(late.load("explorer.public"), "serve", asked.append)
    monkeypatch.setattr(late, "hurry", lambda: None)
    return asked


def test_serving_many_is_on_every_address_with_a_cap(public, say):
    assert say("serve", "--public")[0] == 0
    (order,) = public
    assert (order.address, order.rules.most, order.rules.origins, order.rules.proxied) == ("0.0.0.0", 40, (), False)
    assert 1 <= order.processes <= 4


def test_serving_many_as_asked(public, say):
    options = ["--workers", "3", "--sessions", "9", "--allow-origin", "https://Learn.example.org/", "--behind-proxy"]
    assert say("serve", "cli_model:loss", "--public", "--address", "127.0.0.1", *options)[0] == 0
    (order,) = public
    assert (order.target, order.address, order.processes) == ("cli_model:loss", "127.0.0.1", 3)
    assert (order.rules.most, order.rules.origins, order.rules.proxied) == (9, ("https://learn.example.org",), True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--workers", "2"], "--workers goes with --public: add that, or leave it out."),
        (["--behind-proxy"], "--behind-proxy goes with --public: add that, or leave it out."),
        (
            ["--public", "--allow-origin", "learn.example.org"],
            "--allow-origin is 'learn.example.org', and must be like https://learn.example.org.",
        ),
        (["--public", "nowhere:loss"], "No module 'nowhere'"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(options, said, public, say):
    status, _, err = say("serve", *options)
    assert (status, public) == (2, [])
    assert said in err


# ---- trace ---------------------------------------------------------------------------------------------------------


def test_trace_prints_a_line_a_node(say):
    status, out, err = say("trace", "cli_model:loss")
    lines = out.splitlines()
    assert (status, err, lines[0]) == (0, "", "loss: 10 nodes, 10 edges, 2 scopes")
    assert re.fullmatch(r"  %1 +params\.w +input +float32 3×2", lines[2].rstrip())
    (tanh,) = (line for line in lines if " tanh " in line)
    assert re.search(r"%\d+ +tanh +tanh +float32 4×2 +%\d+ +\S*cli_model\.py:9$", tanh)
    assert sum(line.startswith("  %") for line in lines) == 10


def test_trace_as_json_is_the_whole_graph(say):
    graph = json.loads(say("trace", "cli_model:loss", "--json")[1])
    assert set(graph) == {"name", "nodes", "edges", "scopes", "inputs", "outputs"}
    assert [node["name"] for node in graph["nodes"][:3]] == ["params.b", "params.w", "x"]
    assert graph["nodes"][1]["shape"] == [3, 2]
    assert graph["inputs"] == ["%0", "%1", "%2"]
    assert {edge["source"] for edge in graph["edges"]} <= {node["id"] for node in graph["nodes"]}


@pytest.mark.parametrize(("more", "clusters"), [([], 0), (["--operations"], 1)])
def test_trace_as_dot_is_read_by_graphviz(more, clusters, say):
    graph = pygraphviz.AGraph(string=say("trace", "cli_model:loss", "--dot", *more)[1])
    assert graph.name == "loss"
    assert len(graph.subgraphs()) == clusters
    graph.close()


def test_trace_as_svg_goes_to_a_file(say, folder):
    assert say("trace", "cli_model:loss", "--svg", "-o", "loss.svg") == (0, "Wrote loss.svg.\n", "")
    root = ET.parse(folder / "loss.svg").getroot()
    texts = [item.text for item in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"dense", "tanh", "mean"} <= set(texts)
    assert any(text.startswith("rms ") for text in texts)


def test_a_graph_without_a_loss_says_so(say):
    status, out, err = say("trace", "cli_model:vector")
    assert (status, out.startswith("vector: ")) == (0, True)
    assert err.startswith("backprop-explorer: this graph has no loss: vector returned float32[")


def test_a_function_that_is_no_loss_is_drawn_without_numbers(say):
    status, out, _ = say("trace", "cli_model:vector", "--svg")
    assert status == 0
    assert "rms" not in out
    assert ET.fromstring(out).get("aria-label") == "vector"


# ---- check ---------------------------------------------------------------------------------------------------------


def test_check_of_a_loss_that_is_nan_does_not_end_well(say):
    status, out, _ = say("check", "cli_model:spoilt")
    assert (status, out[:50]) == (1, "spoilt can't be checked here: the loss is NaN, and")


def test_check_prints_the_proof_and_ends_well(say):
    status, out, err = say("check", "cli_model:loss")
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert re.fullmatch(r"node +vs jax\.grad +vs contributions +vs differences", lines[0])
    assert re.match(r"params\.w +\d\.\de[-+]\d\d +\d\.\de[-+]\d\d +\d\.\de[-+]\d\d", lines[2])
    assert lines[-1].startswith("loss agrees: 10 nodes; loss off by ")


def test_a_gradient_that_does_not_agree_ends_with_status_1(say, monkeypatch):
    report = type("Report", (), {"ok": False, "__str__": lambda self: "loss DOES NOT AGREE"})()
    monkeypatch.setattr(late.load("engine.check"), "check", lambda fun, *args: report)
    assert say("check", "cli_model:loss") == (1, "loss DOES NOT AGREE\n", "")


# ---- train ---------------------------------------------------------------------------------------------------------

SMALL = ["train", "--task", "xor", "--depth", "1", "--width", "4", "--steps", "5"]


def test_train_as_json_is_one_object_and_nothing_else(say):
    status, out, err = say(*SMALL, "--json")
    shown = json.loads(out)
    assert (status, err, out.count("\n")) == (0, "", 1)
    assert " ".join(shown) == (
        "title settings step devices micro_batches divided_memory start loss accuracy tests profile scaling findings"
    )
    assert (shown["step"], len(shown["loss"]), shown["settings"]["width"]) == (5, 5, 4)


def test_train_prints_a_run_in_words(say):
    status, out, err = say("train", "cli_model:loss", "--steps", "2", "--rate", "0.1")
    lines = out.splitlines()
    assert (status, err, lines[0]) == (0, "", "loss, 2 steps")
    assert re.fullmatch(r"loss      0\.\d+ → 0\.\d+", lines[2])
    assert lines[4].startswith("Gradient by layer at step 1: ")


def test_an_interrupted_run_is_printed_and_saved(say, folder, monkeypatch):
    headless = late.load("explorer.headless")
    train = headless.train
    monkeypatch.setattr(headless, "train", lambda *given: dataclasses.replace(train(*given), interrupted=True))
    status, out, err = say(*SMALL, "--json", "--save", "stopped")
    assert (status, err) == (130, "backprop-explorer: Stopped after 5 steps.\n")
    assert json.loads(out)["step"] == 5
    assert json.loads((folder / "stopped" / "run.json").read_text())["values"]["step"] == 5


# ---- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["trace", "nonsense"], "'nonsense' isn't of the form MODULE:FUNCTION, such as my_model:loss."),
        (["check", "cli_model:lose"], "Module 'cli_model' has no function 'lose'. Did you mean 'loss'?"),
        (["check", "cli_model:bare"], "cli_model:bare has no example arguments. Put its example arguments beside it"),
        (["check", "cli_model:failing"], "failing could not be traced: ValueError: shapes don't match"),
        (["trace", "cli_model:failing", "--dot"], "failing could not be traced: ValueError: shapes don't match"),
        (["check", "cli_model:words"], "words can't be differentiated in its first argument, which holds 'a': only "),
        (["check", "cli_model:vector"], "vector returned float32[3]; a loss is one real number."),
        (["trace", "cli_model:loss", "-o", "no/such/folder.txt"], "Can't write no/such/folder.txt: No such file"),
        (["serve", "no_such_module:loss"], "No module 'no_such_module': it was looked for in "),
        (["train", "--model", "cnn"], "model 'cnn' isn't one of mlp, conv, rnn, gru, lstm, transformer."),
        (["train", "--depth", "deep"], "depth must be a number, and is 'deep'."),
        (["train", "--devices", "0"], "devices is 0, and must be 1 or more."),
        (["train", "--devices", "99"], "99 devices were asked for, and JAX sees 4 (CPU)."),
        (["train", "--task", "chain", "--devices", "2"], "Three layers, one unit each has no batch of examples"),
        (["train", "--open", "no_such_folder"], "There is no saved run in no_such_folder: "),
        (["train", "cli_model:loss", "--depth", "2"], "--depth can't be given here: a function of one's own is "),
        (["train", "cli_model:vector"], "vector returned float32[3]; a loss is one real number."),
    ],
)
def test_a_mistake_is_one_sentence(argv, sentence, say, monkeypatch):
    monkeypatch.setattr(late, "hurry", lambda: None)
    status, out, err = say(*argv)
    assert (status, out) == (2, "")
    assert err.startswith(f"backprop-explorer: {sentence}")


def test_a_missing_system_dot_is_one_sentence(say, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    status, _, err = say("trace", "cli_model:loss", "--svg", "--graphviz", "system")
    assert (status, err[:53]) == (2, "backprop-explorer: No program 'dot' on this machine. ")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["explode"], "invalid choice: 'explode' (choose from"),
        (["trace"], "the following arguments are required: MODULE:FUNCTION"),
        (["serve", "--port", "70000"], "'70000' is no port; ports are numbers from 1 to 65535"),
        (["--port", "http"], "'http' is no port; ports are numbers from 1 to 65535"),
        (["serve", "--port", "0"], "'0' is no port; ports are numbers from 1 to 65535"),
        (["trace", "a:b", "--json", "--svg"], "not allowed with argument --json"),
        (["serve", "--graphviz", "neato"], "invalid choice: 'neato'"),
        (["train", "--steps", "-1"], "'-1' is no whole number"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_usage(argv, words, say):
    status, out, err = say(*argv)
    assert (status, out) == (2, "")
    assert err.startswith("usage: backprop-explorer")
    assert words in err


def test_an_interruption_is_quiet(say, monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setitem(late.load("explorer.commands").COMMANDS, "check", interrupted)
    assert say("check", "cli_model:loss") == (130, "", "")


@pytest.mark.slow
def test_a_reader_that_has_read_enough_is_no_error(folder):
    program = f"import sys; sys.path.insert(0, {ROOT!r}); from explorer.cli import main; main()"
    command = [sys.executable, "-c", program, "trace", "cli_model:loss"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_opening_a_trace_serves_the_page(say, monkeypatch):
    asked = []
    monkeypatch.setattr(late.load("explorer.commands"), "serve", lambda given: asked.append(given) or 0)
    assert say("trace", "cli_model:loss", "--open") == (0, "", "")
    assert (asked[0].target, asked[0].port, asked[0].no_browser) == ("cli_model:loss", 5006, False)


def test_the_program_name_is_that_of_the_command():
    assert cli.parser().prog == "backprop-explorer"


def test_doctor_prints_what_there_is(say):
    status, out, _ = say("doctor", "--json")
    assert status == 0
    assert json.loads(out)["ok"]
