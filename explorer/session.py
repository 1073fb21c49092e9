"""What one person at one page looks at: the only mutable state. Every button is a method of it; it knows no widget."""

from __future__ import annotations

import dataclasses
import os
import platform
import threading
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np

from engine import ops
from engine.check import Checker
from engine.explain import explain
from engine.fold import Folded, fold, in_parts, layers, operations
from engine.graph import Graph
from engine.numbers import Numbers, short
from engine.tasks import Problem, Settings, problem
from engine.trace import trace
from engine.training import Step, Trainer, trainer
from explorer import form, svg
from explorer.dot_process import Bundled, Engine, open_engine
from explorer.errors import ExplorerError
from explorer.figures import Figures, figures, picture, read, sentence
from explorer.geometry import Layout, Point
from explorer.layout import Layouts, TooLarge, fitting, lay_out
from explorer.scene import Scene, scene, sizes
from explorer.steps import stops
from explorer.target import Target, load

LAYER, OPERATION = "layer", "operation"

_VIEW: Point = (720.0, 440.0)


class Session:
    """One page's state: the settings, the step that is shown, and how its graph is folded."""

    def __init__(
        self, settings: Settings | None = None, target: Target | None = None, engine: Engine | None = None
    ) -> None:
        self.target = target
        self.settings = settings or Settings()
        self.problem = _own_problem(target, self.settings) if target else problem(self.settings)
        self._layouts = Layouts(engine or shared_engine())
        self.granularity = LAYER
        self.plumbing = False
        self.view: Point = _VIEW
        self._start()

    # ---- what is trained ------------------------------------------------------------------------------------------

    def choose(self, **changes: Any) -> None:
        """Change settings, and start over with them. Nothing changes if one of them can't be.

        Raises:
            SettingsError: a value is out of its range.
        """
        if changes.get("task") == "own":  # already shown
            return
        settings = dataclasses.replace(self.settings, **changes)
        target = None if "task" in changes else self.target
        self.problem = _own_problem(target, settings) if target else problem(settings)
        self.settings, self.target = settings, target
        self._start()

    def choose_text(self, name: str, value: str) -> None:
        """Change one setting to what was typed.

        Raises:
            SettingsError: there is no such setting, or the text is no value for it.
        """
        self.choose(**form.typed(name, value))

    def form(self) -> dict[str, Any]:
        """The settings as fields of a form: those that matter to the task."""
        return form.fields(self.settings, self.target.name if self.target else "")

    def reset(self) -> None:
        """Back to the first step, from the same seed."""
        self._forget("step", "numbers", "figures")
        self.trained = False

    def train(self) -> None:
        """Take one training step: the update of the pass that is shown, or the next pass and its update."""
        if self.trained:
            self._show(self.trainer.advance(self.step.after))
            self.losses.append(float(self.step.loss))
        self.trained = True

    def _start(self) -> None:
        self.trainer: Trainer = trainer(self.problem)
        self.graph: Graph = in_parts(trace(self.problem.fun, *self.problem.params, *self.problem.batch(0)))
        count = sum(len(jax.tree.leaves(tree)) for tree in self.problem.params)
        self.parameters = self.graph.inputs[:count]
        self.losses: list[float] = []
        self.trained = False
        self.notes: list[str] = []
        self.opened = self._default()
        self._forget("_checker", "step", "numbers")
        self._refold()

    @cached_property
    def step(self) -> Step:
        """The step that is shown; the first one is compiled and taken when its numbers are first asked for."""
        first = self.trainer.advance(self.trainer.start)
        self.losses = [float(first.loss)]
        return first

    @cached_property
    def numbers(self) -> Numbers:
        """The numbers of that step, on the host."""
        return Numbers(dataclasses.replace(self.step.reading, graph=self.graph))

    def _show(self, step: Step) -> None:
        self._forget("numbers", "figures")
        self.__dict__["step"] = step

    # ---- how it is folded -----------------------------------------------------------------------------------------

    def set_granularity(self, granularity: str) -> None:
        """Fold to layers, or unfold to operations."""
        if granularity not in (LAYER, OPERATION):
            raise ExplorerError(f"Granularity {granularity!r} is neither 'layer' nor 'operation'.")
        self.granularity = granularity
        self.opened = self._default()
        self._refold()

    def toggle(self, scope: str) -> None:
        """Open a folded scope, or fold an open one."""
        self.graph.scope(scope)
        self.opened = self.opened ^ {scope}
        self._refold()

    def reveal(self, node: str) -> None:
        """Open every scope around a node, so that it is seen."""
        found = self.graph.node(node)
        self.opened = self.opened | frozenset(self.graph.ancestry(found.scope))
        if ops.is_plumbing(found.op):
            self.plumbing = True
        self._refold()

    def show_plumbing(self, shown: bool) -> None:
        """Show reshapes, broadcasts and casts as boxes of their own, or fold them into their neighbours."""
        self.plumbing = shown
        self._refold()

    def resize(self, width: float, height: float) -> None:
        """Tell the size of the view, so that the graph is laid out the way that it can be drawn larger."""
        if (width, height) != self.view and width > 0 and height > 0:
            self.view = (width, height)
            self._refold()

    def _default(self) -> frozenset[str]:
        return layers(self.graph, self._hidden) if self.granularity == LAYER else operations(self.graph)

    @property
    def _hidden(self) -> tuple[str, ...]:
        """Parameters lie inside the layer that uses them; single numbers given by name stand for themselves."""
        return tuple(id for id in self.parameters if "." in self.graph.node(id).name)

    def _refold(self) -> None:
        self.notes = []
        self._forget("_sheet", "scene", "figures")

    def _forget(self, *names: str) -> None:
        for name in names:
            self.__dict__.pop(name, None)

    # ---- what is seen ---------------------------------------------------------------------------------------------

    @cached_property
    def _sheet(self) -> tuple[Folded, Layout]:
        return self._laid_out()

    @property
    def folded(self) -> Folded:
        """The graph as it is folded."""
        return self._sheet[0]

    @cached_property
    def scene(self) -> Scene:
        """Everything to draw but the numbers."""
        folded, layout = self._sheet
        return scene(folded, layout, stops(folded, self.parameters), self.parameters, self.notes)

    @cached_property
    def figures(self) -> Figures:
        """The numbers of the step that is shown."""
        return figures(self.folded, self.numbers, self._images, self.plumbing)

    def _laid_out(self) -> tuple[Folded, Layout]:
        """Laid out as folded; what takes too long is folded instead, and said."""
        while True:
            folded = fold(self.graph, self.opened, self._hidden, self.plumbing)
            make = partial(lay_out, folded, sizes(folded), self._layouts)
            try:
                return folded, fitting(make, self.view)
            except TooLarge as error:
                self._fold_instead(error)

    def _fold_instead(self, error: TooLarge) -> None:
        if error.scope:
            self.opened -= {error.scope}
            self.notes.append(f"{error} It is shown folded.")
            return
        smaller = in_parts(self.graph, most=24)
        if smaller is self.graph:
            raise error
        self.graph = smaller
        self.opened = self._default()
        self._forget("numbers", "figures")
        self.notes.append(f"{error} It is shown in parts.")

    @property
    def _images(self) -> Mapping[str, tuple[int, int]]:
        """The node that holds the batch's pictures, if the data are pictures."""
        first = self.graph.inputs[len(self.parameters) :][:1]
        return dict.fromkeys(first, self.problem.image) if self.problem.image else {}

    def explain(self, node: str, index: tuple[int, ...]) -> dict[str, Any]:
        """The sentence about one entry of a node.

        Raises:
            EngineError: there is no such entry, or no gradient to read.
        """
        shape = self.numbers.value(node).shape
        if len(index) != len(shape) or not all(0 <= i < n for i, n in zip(index, shape, strict=False)):
            raise ExplorerError(f"{self.graph.node(node).name} has no entry {list(index)}; its shape is {list(shape)}.")
        return sentence(explain(self.numbers, node, index, self.plumbing), self.numbers)

    def region(self, node: str) -> dict[str, Any]:
        """Value and gradient of a node too large to have been sent ahead."""
        shown = self.graph.node(node)
        arrays = (read(getattr(self.numbers, what), shown)[0] for what in ("value", "grad"))
        value, grad = (None if array is None else dataclasses.asdict(picture(array)) for array in arrays)
        return {"value": value, "grad": grad}

    def proof(self) -> dict[str, Any]:
        """For each box how well its gradient agrees with JAX and with central differences."""
        given = self._given
        mine = (self.step.loss, self.step.grads, self.step.reading)
        report = self._checker.report(given, mine, self.trainer.untouched(self.step.before))
        checks = {check.id: check for check in report.nodes}
        found = {box.id: checks.get(box.shows) for box in self.folded.boxes}
        return {id: _badge(check) for id, check in found.items() if check is not None}

    @cached_property
    def _checker(self) -> Checker:
        return Checker.of(self.problem.fun, self._given, self.step.reading)

    @property
    def _given(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the step that is shown was taken on: arguments and keyword arguments."""
        return (*self.step.before.params, *self.problem.batch(self.step.before.step)), {}

    def status(self) -> dict[str, Any]:
        """The training as text and numbers."""
        before = float(self.step.loss)  # and with it the losses so far
        after = float(self.step.loss_after) if self.trained else before
        return {
            "title": self.problem.title,
            "granularity": self.granularity,
            "plumbing": self.plumbing,
            "step": self.step.before.step,
            "trained": self.trained,
            "losses": [loss if np.isfinite(loss) else None for loss in self.losses],
            "before": short(before),
            "after": short(after),
            "losses_after": after if np.isfinite(after) else None,
            "on": self.problem.note,
            "measure": self.problem.measure,
            "rate": short(self.problem.rate),
            "updates": self._updates(),
        }

    def _updates(self) -> dict[str, str]:
        """For each parameter how far the update moves it: ``‖Δw‖ / ‖w‖``."""
        pairs = zip(jax.tree.leaves(self.step.before.params), jax.tree.leaves(self.step.after.params), strict=True)
        found = {}
        for id, (old, new) in zip(self.parameters, pairs, strict=True):
            old, new = np.asarray(old, np.float64), np.asarray(new, np.float64)
            found[id] = f"{short(old.item())} → {short(new.item())}" if old.size == 1 else _moved(old, new)
        return found

    def picture(self, position: int, theme: str = "light") -> str:
        """The graph at a position of the playhead, as SVG text."""
        return svg.render(self.scene, self.figures, position, theme)


def _moved(old: Any, new: Any) -> str:
    """How far an update moves an array, and beside its size."""
    moved, size = float(np.linalg.norm(new - old)), float(np.linalg.norm(old))
    share = f", {short(100 * moved / size)} % of ‖w‖ = {short(size)}" if size else ""
    return f"‖Δw‖ = {short(moved)}{share}"


def _badge(check: Any) -> dict[str, Any]:
    numeric = check.numeric_error
    return {
        "ok": bool(check.ok),
        "exact": short(float(check.gradient_error)),
        "numeric": "" if numeric is None else short(float(numeric)),
        "verdict": check.verdict,
    }


def _own_problem(target: Target, settings: Settings) -> Problem:
    first, *rest = target.args
    return Problem(
        target.name, target.fun, (first,), tuple(rest), rate=settings.checked().rate, note="its example arguments"
    )


def open_session(target: str = "", graphviz: str = "bundled") -> Session:
    """A session for a new page: of one's own function, or of the first task."""
    remember_compiled()
    engine = shared_engine() if graphviz == "bundled" else open_engine(graphviz)
    return Session(target=load(target) if target else None, engine=engine)


def remember_compiled() -> None:
    """Keep compiled steps between runs, in the user's cache folder: the second start needs no compiler."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    # compiled for this very machine: a home folder may be shared with others
    folder = os.path.join(base, "backprop-explorer", f"{platform.node()}-{platform.machine()}-jax{jax.__version__}")
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


_engine_lock = threading.Lock()
_engines: list[Bundled] = []


def shared_engine() -> Engine:
    """The layout engine of this process; it remembers nothing of anybody's graph."""
    with _engine_lock:
        if not _engines:
            _engines.append(Bundled())
        return _engines[0]
