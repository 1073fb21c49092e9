"""The choice of models: plain functions of their parameters, to be read as well as run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

from engine.tasks.conv import conv, init_conv
from engine.tasks.mlp import init_mlp, mlp
from engine.tasks.parts import Params
from engine.tasks.recurrent import gru_cell, init_recurrent, lstm_cell, recurrent, rnn_cell
from engine.tasks.transformer import init_transformer, transformer

Array = Any


@dataclasses.dataclass(frozen=True)
class Model:
    """A model as two functions."""

    init: Callable[..., Params]
    """``init(rng, design)``: its parameters."""
    apply: Callable[..., Array]
    """``apply(params, x, design, key=None)``: its answers."""
    reads: str
    """What it takes an example for: ``features``, ``picture`` or ``moments``."""


MODELS: dict[str, Model] = {
    "mlp": Model(init_mlp, mlp, "features"),
    "conv": Model(init_conv, conv, "picture"),
    "rnn": Model(partial(init_recurrent, "rnn"), partial(recurrent, rnn_cell), "moments"),
    "gru": Model(partial(init_recurrent, "gru"), partial(recurrent, gru_cell), "moments"),
    "lstm": Model(partial(init_recurrent, "lstm"), partial(recurrent, lstm_cell), "moments"),
    "transformer": Model(init_transformer, transformer, "moments"),
}
