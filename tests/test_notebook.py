"""``explorer.show``, in a notebook and in a script."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import explorer
from engine.errors import EngineError
from explorer import late, notebook
from explorer.errors import ExplorerError
from explorer.handle import View
from explorer.opening import open_session

X = np.array([0.5, -1.0], np.float32)


def loss(w, x):
    return jnp.sum(jnp.tanh(w * x))


@pytest.fixture
def kernel(monkeypatch):
    """As if this were a notebook, and this file its third cell."""
    compiler = SimpleNamespace(format_code_name=lambda path: ("Cell", "In[3]") if path == __file__ else None)
    shell = SimpleNamespace(kernel=1, compile=compiler)
    monkeypatch.setattr(notebook, "_shell", lambda: shell)


def test_what_there_is_loads_when_it_is_asked_for():
    assert explorer.show is notebook.show
    with pytest.raises(AttributeError, match="no attribute 'shoe'"):
        _ = explorer.shoe


def test_the_package_itself_is_light():
    asked = "import sys, explorer; print(*sorted({'jax', 'numpy', 'panel', 'anywidget', 'engine'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.slow
def test_a_notebook_needs_no_panel():
    asked = "import sys, explorer.notebook, explorer.views.widget; print(*{'panel', 'bokeh'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_notebook_is_given_a_view(kernel):
    view = explorer.show(loss, X, X)
    assert isinstance(view, View)
    assert view.graph.name == "loss"
    assert view.graph.node("tanh").source == f"In[3]:{loss.__code__.co_firstlineno + 1}"
    view.close()


def test_a_terminal_is_no_notebook(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace()))
    assert not notebook.in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not notebook.in_notebook()


@pytest.mark.slow
def test_a_script_serves_the_function_on_a_page(monkeypatch):
    served = []
    monkeypatch.setattr(late.load("explorer.server"), "serve", lambda opening, port: served.append(opening))
    assert explorer.show(loss, X, X) is None
    session = open_session(served[0].target)
    assert (session.graph.name, session.target.fun, session.target.args) == ("loss", loss, (X, X))


def test_a_model_is_taken_as_it_stands(kernel):
    view = explorer.show(lambda model, x: jnp.sum(model["act"](model["w"] * x)), {"w": X, "act": jnp.tanh}, X)
    np.testing.assert_allclose(view.grads["w"], X * (1 - np.tanh(X * X) ** 2), rtol=1e-6)
    view.close()


def test_numbers_of_python_will_do(kernel):
    view = explorer.show(lambda x, y: (x + y) * x, 2.0, 3.0)
    assert view.grads == 7
    assert view.sentence("x").endswith("= 7")
    view.close()


def test_a_function_without_arguments_is_refused_in_words():
    with pytest.raises(ExplorerError, match="needs what the function is called on"):
        explorer.show(loss)


def test_a_function_that_is_no_loss_is_refused_in_words(kernel):
    with pytest.raises(EngineError, match="a loss is one real number") as refused:
        explorer.show(jnp.tanh, X)
    assert len(refused.traceback) < 4


def test_what_is_missing_is_named(kernel, monkeypatch):
    monkeypatch.delitem(sys.modules, "explorer.views.widget", raising=False)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(ExplorerError, match=r"pip install 'backprop-explorer\[notebook\]'"):
        explorer.show(loss, X, X)
