"""A training problem: a loss, its parameters, the examples it is learned from, and those it is tried on."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from engine.graph import Graph
from engine.tasks.activations import ACTIVATIONS
from engine.tasks.data import Data
from engine.tasks.initialisers import INITIALISERS
from engine.tasks.losses import LOSSES, accuracy, l1_penalty, l2_penalty
from engine.tasks.models import MODELS, Model
from engine.tasks.parts import Design, Params, PartKey, step_key
from engine.tasks.precision import PRECISIONS, cast, cast_back
from engine.tasks.settings import Settings, SettingsError
from engine.trace import is_array, trace

Array = Any
Made = TypeVar("Made")

REFERENCE = 512
"""How many of the examples to learn from tell batch normalisation, once trained, what is usual."""


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A loss with what it is called on: ``fun(*params, *batch(step))``; the parameters come first."""

    title: str
    fun: Callable[..., Any]
    params: tuple[Any, ...]
    examples: tuple[Any, ...] = ()
    """All there is to learn from, arrays whose first axes are as long; or whatever a function of one's own is given."""
    rows: Callable[[int], Array | None] = lambda step: None
    """Which examples a step is taken on; none for the examples as they are."""
    noisy: bool = False
    """Whether ``fun`` takes the number of the step last, and draws from it what to drop."""
    part: Callable[[int], Callable[..., Any]] | None = None
    """``part(whole)``: the loss of some of a step's ``whole`` examples, which is given the place of their first one
    last, and draws for each what ``fun`` draws for it; none where nothing is drawn, and ``fun`` itself will do."""
    apart: bool = True
    """Whether the loss of a batch is the mean of the losses of its examples, so that it can be divided."""
    rate: float = 0.1
    note: str = ""
    """What one step is taken on: ``32 of 1,438 images``."""
    image: tuple[int, int] | None = None
    measure: str = "loss"
    """What the number is called that gets smaller."""
    held_out: tuple[Any, ...] = ()
    """Examples that are never learned from, as ``examples``; none where there are no such."""
    predict: Callable[[tuple[Any, ...], Array], Array] | None = None
    """``predict(params, x)``: scores or values, with nothing dropped."""
    accuracy: Callable[[tuple[Any, ...], Array, Array], Array] | None = None
    """``accuracy(params, x, y)``: the share that is right; none where the answers are values."""
    classes: tuple[str, ...] = ()
    wide: Callable[[], Problem] | None = None
    """Makes the same problem, computed in float32 throughout; none where it is so already, or it isn't known how."""
    _made: dict[Hashable, Any] = dataclasses.field(default_factory=dict, init=False, repr=False)
    _making: Any = dataclasses.field(default_factory=threading.RLock, init=False, repr=False)

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What is made of this problem once, whoever asks for it, and kept as long as the problem is.

        Everybody who trains the same problem shares what is compiled for it. So nothing that belongs to one run may
        lie in it.

        Args:
            key: what it is kept under.
            make: makes it; others who ask wait meanwhile.
        """
        with self._making:
            if key not in self._made:
                self._made[key] = make()
            found: Made = self._made[key]
            return found

    @property
    def graph(self) -> Graph:
        """That of the loss on the examples of a step."""
        return self.once("graph", lambda: trace(self.fun, *self.params, *self.batch(0)))

    @property
    def start(self) -> str:
        """Digest of what a training begins with: parameters and examples."""
        return self.once("start", lambda: digest((self.params, self.examples)))

    def batch(self, step: int) -> tuple[Any, ...]:
        """What the loss is called on, besides its parameters, at this step (counted from 0)."""
        chosen = self.rows(step)
        taken = self.examples if chosen is None else self.taken(chosen)
        return (*taken, np.int32(step)) if self.noisy else taken

    def taken(self, chosen: Any) -> tuple[Any, ...]:
        """Some of the examples; what has no rows is the same for all of them."""
        return jax.tree.map(lambda leaf: leaf[chosen] if np.ndim(leaf) else leaf, self.examples)


def digest(tree: Any) -> str:
    """SHA-256 of the arrays in a tree, their types and shapes."""
    sums = hashlib.sha256()
    for leaf in filter(is_array, jax.tree.leaves(tree)):
        keys = jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.extended)  # of random numbers
        array = np.asarray(jax.random.key_data(leaf) if keys else leaf)
        sums.update(f"{array.dtype}{array.shape}".encode())
        sums.update(np.ascontiguousarray(array).tobytes())
    return sums.hexdigest()


def learning(settings: Settings, data: Data, title: str, things: str) -> Problem:
    """The problem of learning these data with the model that the settings describe.

    Args:
        settings: checked.
        data: examples to learn from and to be tried on.
        title: of the task.
        things: what the examples are called.

    Raises:
        SettingsError: the loss doesn't fit the data's answers.
    """
    if settings.loss == "cross_entropy" and not data.classes:
        raise SettingsError("The answers are values, not classes: choose the loss mse, mae or huber.")
    design, model = _design(settings, data), MODELS[settings.model]
    params = model.init(np.random.default_rng(settings.seed), design)
    x, y = data.training
    wide = dataclasses.replace(settings, precision="float32")
    taken = min(settings.batch, len(x))
    predict = _predictor(model, design, x)
    return Problem(
        title,
        (_noisy_loss if settings.dropout else _loss)(settings, model, design),
        (params,),
        (x, y),
        rows(len(x), taken, settings.seed),
        noisy=bool(settings.dropout),
        part=(lambda whole: _noisy_loss(settings, model, design, whole)) if settings.dropout else None,
        apart=settings.norm != "batch",
        rate=settings.rate,
        note=f"{taken} of {len(x):,} {things}",
        image=data.image,
        held_out=data.test,
        predict=predict,
        accuracy=(lambda params, x, y: accuracy(predict(params, x), y)) if data.classes else None,
        classes=data.classes,
        wide=None if wide == settings else lambda: learning(wide, data, title, things),
    )


def rows(count: int, taken: int, seed: int) -> Callable[[int], Array]:
    """Which examples each step is taken on: all of them in an order, then all in another, without a gap between.

    Args:
        count: how many examples there are.
        taken: how many a step takes.
        seed: of the orders.
    """

    @lru_cache(maxsize=2)
    def order(epoch: int) -> Array:
        return np.random.default_rng((seed, epoch)).permutation(count)

    def chosen(step: int) -> Array:
        epoch, start = divmod(step * taken, count)
        first = order(epoch)[start : start + taken]
        return first if len(first) == taken else np.concatenate([first, order(epoch + 1)[: taken - len(first)]])

    return chosen


def _design(settings: Settings, data: Data) -> Design:
    return Design(
        given=_given(MODELS[settings.model].reads, data),
        answers=data.y.shape[-1],
        depth=settings.depth,
        width=settings.width,
        activation=ACTIVATIONS[settings.activation],
        init=INITIALISERS[settings.init],
        norm=settings.norm,
        residual=settings.residual,
        dropout=settings.dropout,
        remat=settings.remat,
        kind=PRECISIONS[settings.precision],
        letters=len(data.classes) if data.x.dtype == np.int32 else 0,
        every=data.y.ndim == 3,
    )


def _given(reads: str, data: Data) -> tuple[int, ...]:
    """Shape of one example as a model reads it; a picture's rows are moments to a network over time."""
    if data.image and reads == "picture":
        return (*data.image, 1)
    return data.image if data.image and reads == "moments" else data.x.shape[1:]


def _loss(settings: Settings, model: Model, design: Design) -> Callable[..., Array]:
    distance, penalties = LOSSES[settings.loss], _penalties(settings)

    def loss(params: Params, x: Array, y: Array) -> Array:
        narrow = cast((params, x.reshape(len(x), *design.given)), design.kind)
        value = distance(cast_back(model.apply(*narrow, design), design.kind), y)
        for weight, penalty in penalties:
            value = value + weight * penalty(params)
        return value

    return loss


def _noisy_loss(settings: Settings, model: Model, design: Design, whole: int | None = None) -> Callable[..., Array]:
    """Of a part of ``whole`` examples, the loss is given the place of the first one last."""
    distance, penalties = LOSSES[settings.loss], _penalties(settings)

    def loss(params: Params, x: Array, y: Array, step: Array, *first: Array) -> Array:
        key = step_key(settings.seed, step)
        drawn = key if whole is None else PartKey(key, first[0], whole)
        narrow = cast((params, x.reshape(len(x), *design.given)), design.kind)
        value = distance(cast_back(model.apply(*narrow, design, drawn), design.kind), y)
        for weight, penalty in penalties:
            value = value + weight * penalty(params)
        return value

    return loss


def _penalties(settings: Settings) -> list[tuple[float, Callable[[Params], Array]]]:
    each = ((settings.l1, l1_penalty), (settings.l2, l2_penalty))
    return [(weight, penalty) for weight, penalty in each if weight]


def _predictor(model: Model, design: Design, known: Array) -> Callable[[tuple[Any, ...], Array], Array]:
    """The model without dropout; batch normalisation goes by what it learned from, not by what it is asked."""

    def predict(params: tuple[Any, ...], x: Array) -> Array:
        narrow = cast((params[0], x.reshape(len(x), *design.given)), design.kind)
        return cast_back(model.apply(*narrow, design), design.kind)

    def predict_among(params: tuple[Any, ...], x: Array) -> Array:
        among = jnp.concatenate([reference, x])
        narrow = cast((params[0], among.reshape(len(among), *design.given)), design.kind)
        return cast_back(model.apply(*narrow, informed), design.kind)[len(reference) :]

    reference = known[:REFERENCE]
    informed = dataclasses.replace(design, known=len(reference))
    return predict_among if design.norm == "batch" else predict
