"""``MODULE:FUNCTION``: how a function brings its arguments, and one sentence for each way that it can't."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from explorer.errors import TargetError
from explorer.target import load


@pytest.fixture
def here(monkeypatch, tmp_path):
    """An empty folder that Python runs in; modules imported from it are forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write(text: str, name: str = "my_model.py") -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


LOSS = "def loss(x, y):\n    return x * y\n"


def refusal(text: str) -> str:
    with pytest.raises(TargetError) as told:
        load(text)
    return str(told.value)


@pytest.mark.parametrize("arguments", ["loss_args = (2.0, 3.0)", "def loss_args():\n    return 2.0, 3.0"])
def test_arguments_stand_beside_the_function(arguments, here):
    here(f"{LOSS}{arguments}\n")
    target = load("my_model:loss")
    assert (target.name, target.args, target.fun(*target.args)) == ("loss", (2.0, 3.0), 6.0)


@pytest.mark.parametrize("text", ["package.model:loss", "package/model.py:loss", "./package/model.py:loss"])
def test_a_module_may_lie_in_a_folder(text, here):
    here(f"{LOSS}loss_args = (1.0, 1.0)\n", "package/model.py")
    assert load(text).args == (1.0, 1.0)


def test_of_a_model_the_weights_are_the_argument(here):
    here(
        "import numpy as np\n\ndef loss(model):\n    return model['act'](model['w'])\n\n"
        "loss_args = ({'w': np.float32(2), 'act': abs},)\n"
    )
    target = load("my_model:loss")
    assert target.args == ({"w": np.float32(2), "act": None},)
    assert target.fun(*target.args) == 2.0


@pytest.mark.parametrize("text", ["my_model", "my_model:", ":loss", ""])
def test_another_form_is_refused(text):
    assert refusal(text) == f"{text!r} isn't of the form MODULE:FUNCTION, such as my_model:loss."


def test_a_module_that_there_is_not(here, tmp_path):
    assert refusal("my_modle:loss") == (
        f"No module 'my_modle': it was looked for in {tmp_path} and on Python's path. "
        "Go to the folder that it lies in, or install it."
    )


@pytest.mark.parametrize(
    "path", ["../elsewhere/far_model.py", "{above}/elsewhere/far_model.py", "../elsewhere/far_model"]
)
def test_a_path_may_lead_to_another_folder(path, here, tmp_path):
    here(f"{LOSS}loss_args = (2.0, 3.0)\n", "../elsewhere/far_model.py")
    target = load(f"{path.format(above=tmp_path.parent)}:loss")
    assert (target.name, target.fun(*target.args)) == ("loss", 6.0)


@pytest.mark.parametrize("text", ["../nowhere/my_model.py:loss", "/srv/nowhere/my_model:loss"])
def test_a_path_that_leads_nowhere(text, here):
    file = text.partition(":")[0].removesuffix(".py") + ".py"
    assert refusal(text) == f"There is no file {file!r}."


@pytest.mark.parametrize("missing", ["no_such_package", "my", "my_mod"])
def test_a_module_that_needs_something_that_is_not_installed(missing, here):
    here(f"import {missing}\n")
    assert refusal("my_model:loss") == f"Module 'my_model' needs {missing!r}, which is not installed."


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit('usage: my_model')", "SystemExit: usage: my_model"),
    ],
)
def test_a_module_that_fails_while_it_is_imported(line, said, here):
    here(f"{line}\n")
    assert refusal("my_model:loss") == f"Module 'my_model' failed while it was imported: {said}"


def test_a_module_that_is_not_python(here):
    here("def loss(:\n")
    assert refusal("my_model:loss").startswith("Module 'my_model' failed while it was imported: SyntaxError: ")


def test_a_function_that_there_is_not(here):
    here(LOSS)
    assert refusal("my_model:los") == "Module 'my_model' has no function 'los'. Did you mean 'loss'?"


def test_a_function_unlike_any_other_has_no_guess(here):
    here(LOSS)
    assert refusal("my_model:zzz") == "Module 'my_model' has no function 'zzz'."


def test_something_else_than_a_function(here):
    here("loss = 3\nloss_args = (1.0,)\n")
    assert refusal("my_model:loss") == "my_model:loss is of type int, and not a function."


def test_without_example_arguments_it_is_told_how_to_give_them(here):
    here(LOSS)
    assert refusal("my_model:loss") == (
        "my_model:loss has no example arguments. Put its example arguments beside it, in the same module:\n"
        "\n"
        "    def loss_args():\n"
        "        return params, x, y        # whatever loss is called with; the first argument is differentiated"
    )


@pytest.mark.parametrize(("value", "kind"), [("[1.0, 2.0]", "list"), ("1.0", "float"), ("{'x': 1.0}", "dict")])
def test_arguments_that_are_no_tuple(value, kind, here):
    here(f"{LOSS}loss_args = {value}\n")
    assert refusal("my_model:loss") == f"my_model:loss_args must be a tuple of arguments, and is of type {kind}."


def test_arguments_without_one(here):
    here(f"{LOSS}loss_args = ()\n")
    assert refusal("my_model:loss") == (
        "my_model:loss_args is empty; its first argument is the one that is differentiated."
    )


def test_arguments_that_fail(here):
    here(f"{LOSS}def loss_args():\n    return open('missing.npz')\n")
    assert refusal("my_model:loss").startswith("my_model:loss_args failed: FileNotFoundError: ")
