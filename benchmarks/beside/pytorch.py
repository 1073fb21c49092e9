"""The workloads in PyTorch: recorded by hooks and retained gradients, or by TorchLens."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait take no time of a processor

import numpy as np
import torch
import torchlens
from torch import nn
from torch.nn import functional

from benchmarks.workloads import HEADS, Workload

Array = Any


def _leaf(array: Array) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.array(array, np.float32)))


def _linear(w: Array, b: Array | None = None) -> nn.Linear:
    made = nn.Linear(*w.shape, bias=b is not None)
    made.weight = _leaf(w.T)
    if b is not None:
        made.bias = _leaf(b)
    return made


def _mlp(layers: list[dict[str, Array]], bend: Callable[[], nn.Module]) -> nn.Module:
    dense = [_linear(layer["w"], layer["b"]) for layer in layers]
    return nn.Sequential(*itertools.chain.from_iterable((each, bend()) for each in dense[:-1]), dense[-1])


class Channels(nn.Module):
    """Channels last, in a row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def _conv(params: dict[str, Any]) -> nn.Module:
    parts: list[nn.Module] = []
    for layer in params["convs"]:
        made = nn.Conv2d(*layer["w"].shape[2:], 3, padding=1)
        made.weight, made.bias = _leaf(layer["w"].transpose(3, 2, 0, 1)), _leaf(layer["b"])
        parts += [made, nn.ReLU()]
    return nn.Sequential(*parts, nn.AvgPool2d(2), Channels(), _linear(params["w"], params["b"]))


class Norm(nn.Module):
    """Mean 0 and variance 1, and a scale."""

    def __init__(self, scale: Array) -> None:
        super().__init__()
        self.scale = _leaf(scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred * torch.rsqrt((centred * centred).mean(-1, keepdim=True) + 1e-5) * self.scale


class Attention(nn.Module):
    """Each moment looks back at those up to it."""

    def __init__(self, block: dict[str, Array]) -> None:
        super().__init__()
        self.qkv, self.out = _linear(block["qkv"]), _linear(block["out"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        texts, length, width = x.shape
        q, k, v = self.qkv(x).reshape(texts, length, HEADS, -1).chunk(3, -1)
        scores = torch.einsum("bthd,bshd->bhts", q, k) / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(~torch.ones(length, length, dtype=torch.bool).tril(), -1e9)
        return self.out(torch.einsum("bhts,bshd->bthd", scores.softmax(-1), v).reshape(texts, length, width))


class Block(nn.Module):
    """Look back, then think."""

    def __init__(self, block: dict[str, Array]) -> None:
        super().__init__()
        self.before, self.between = Norm(block["norm_1"]), Norm(block["norm_2"])
        self.attention = Attention(block)
        self.think = nn.Sequential(_linear(block["up"]), nn.GELU("tanh"), _linear(block["down"]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.before(x))
        return x + self.think(self.between(x))


class Transformer(nn.Module):
    """Embedding, blocks, and scores by the same embedding."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__()
        self.embed = nn.Embedding(*params["embed"].shape)
        self.embed.weight = _leaf(params["embed"])
        self.place = _leaf(params["place"])
        self.blocks, self.norm = nn.Sequential(*map(Block, params["blocks"])), Norm(params["norm"])

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.blocks(self.embed(text) + self.place))
        return (x @ self.embed.weight.T).transpose(1, 2)


class Cell(nn.Module):
    """One moment."""

    def __init__(self, params: dict[str, Array]) -> None:
        super().__init__()
        self.w, self.u = _linear(params["w"], params["b"]), _linear(params["u"])

    def forward(self, h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.w(x) + self.u(h))


class Recurrent(nn.Module):
    """The cell at each moment."""

    def __init__(self, params: dict[str, Array]) -> None:
        super().__init__()
        self.cell, self.last = Cell(params), _linear(params["v"])

    def forward(self, xs: torch.Tensor) -> torch.Tensor:
        h = torch.zeros(xs.shape[1], self.cell.u.in_features)
        for x in xs:
            h = self.cell(h, x)
        return self.last(h)


MODELS: dict[str, tuple[Callable[[Any], nn.Module], Callable[..., Any]]] = {
    "spiral": (lambda params: _mlp(params, nn.Tanh), functional.cross_entropy),
    "digits": (lambda params: _mlp(params, nn.ReLU), functional.cross_entropy),
    "conv": (_conv, functional.cross_entropy),
    "transformer": (Transformer, functional.cross_entropy),
    "recurrent": (Recurrent, functional.mse_loss),
}
ADAPTIVE = ("conv", "transformer", "recurrent")


class Step:
    """A workload's training step, as one writes it."""

    def __init__(self, name: str, workload: Workload) -> None:
        make, self.distance = MODELS[name]
        self.model = make(workload.params)
        x, y = (torch.from_numpy(np.array(part)) for part in workload.batch)
        self.x = x.permute(0, 3, 1, 2) if name == "conv" else x
        self.y = y
        adaptive = name in ADAPTIVE
        self.optimiser = (
            torch.optim.Adam(self.model.parameters(), 1e-3)
            if adaptive
            else torch.optim.SGD(self.model.parameters(), 0.1)
        )

    def loss(self) -> float:
        """The loss now."""
        with torch.no_grad():
            return float(self.distance(self.model(self.x), self.y))

    def __call__(self) -> Any:
        """Take it."""
        self.optimiser.zero_grad()
        self.distance(self.model(self.x), self.y).backward()
        self.optimiser.step()


class Hooked(Step):
    """The same; every module's output and its gradient are kept."""

    def __init__(self, name: str, workload: Workload) -> None:
        super().__init__(name, workload)
        self.kept: list[torch.Tensor] = []
        for module in self.model.modules():
            module.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, given: Any, out: torch.Tensor) -> None:
        out.retain_grad()
        self.kept.append(out)

    def __call__(self) -> Any:
        self.kept.clear()
        super().__call__()
        return [(out.detach(), out.grad) for out in self.kept]


class Lens(Step):
    """The same; TorchLens keeps the result of every operation and its gradient."""

    def __call__(self) -> Any:
        self.optimiser.zero_grad()
        capture = torchlens.options.CaptureOptions(save_grads="all", backward_ready=True)
        trace = torchlens.trace(self.model, self.x, capture=capture)
        out = trace.layers[-1].out
        trace.backward(self.distance(out, self.y))
        self.optimiser.step()
        return trace
