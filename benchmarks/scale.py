"""What a reading of a model of seven billion parameters on 512 devices costs: counted on its graph, then divided.

The model is traced from shapes alone, so nothing of it is in memory; nodes, bytes and operations are those of that
trace. Link and memory bandwidths are assumptions, and printed as such. ``docs/SCALE.md`` is this table in words.

    python -m benchmarks.scale
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

import engine
from engine.graph import Graph

LAYERS, WIDTH, HEADS, HIDDEN, LETTERS, LENGTH = 32, 4096, 32, 11_008, 32_000, 4096
DEVICES, PER_DEVICE = 512, 2
"""Devices, and sequences that each takes: four million tokens a step."""


@dataclasses.dataclass(frozen=True)
class Device:
    """What is assumed of one device and its links."""

    flops: float = 989e12
    """Operations a second of its matrix units, bfloat16."""
    used: float = 0.4
    """Share of them that a good training step gets."""
    memory: float = 3.35e12
    """Bytes a second from its memory."""
    network: float = 50e9
    """Bytes a second to other machines."""
    host: float = 25e9
    """Bytes a second to its own machine's memory."""
    latency: float = 10e-6
    """Seconds of one hop between machines."""
    disk: float = 2e9
    """Bytes a second that a machine of eight writes to a shared disk."""


def norm(scale, x):
    return x * jax.lax.rsqrt(jnp.mean(x.astype(jnp.float32) ** 2, -1, keepdims=True) + 1e-5).astype(x.dtype) * scale


def turned(x, places):
    """Rotary positions."""
    first, second = jnp.split(x, 2, axis=-1)
    angles = places[:, None] * 10_000.0 ** (-jnp.arange(first.shape[-1]) / first.shape[-1])
    cos, sin = jnp.cos(angles).astype(x.dtype), jnp.sin(angles).astype(x.dtype)
    return jnp.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


@jax.custom_vjp
def mixed(q, k, v):
    """Causal attention; as a kernel of its own (flash attention) it is one node, and its scores are never in memory."""
    scores = q @ jnp.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    seen = jnp.where(jnp.tri(q.shape[-2], dtype=bool), scores, -jnp.inf)
    return jax.nn.softmax(seen.astype(jnp.float32)).astype(v.dtype) @ v


mixed.defvjp(lambda q, k, v: (mixed(q, k, v), (q, k, v)), lambda kept, grad: jax.vjp(mixed.fun, *kept)[1](grad))


def attention(layer, x, places):
    q, k, v = (_heads(x @ layer[name]) for name in ("q", "k", "v"))
    return jnp.swapaxes(mixed(turned(q, places), turned(k, places), v), 1, 2).reshape(x.shape) @ layer["o"]


def _heads(x):
    return jnp.swapaxes(x.reshape(*x.shape[:-1], HEADS, -1), 1, 2)


def block(layer, x, places):
    x = x + attention(layer, norm(layer["before"], x), places)
    h = norm(layer["between"], x)
    return x + (jax.nn.silu(h @ layer["gate"]) * (h @ layer["up"])) @ layer["down"]


def loss(params, tokens):
    x = params["letters"][tokens[:, :-1]]
    places = jnp.arange(x.shape[1], dtype=jnp.float32)
    for layer in params["layers"]:
        x = block(layer, x, places)
    logits = (norm(params["last"], x) @ params["head"]).astype(jnp.float32)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[:, 1:, None], -1))


def shapes() -> tuple[Any, Any]:
    """Parameters and tokens of one device, without memory."""

    def made(*shape):
        return jax.ShapeDtypeStruct(shape, jnp.bfloat16)

    square = {name: made(WIDTH, WIDTH) for name in "qkvo"}
    wide = {"gate": made(WIDTH, HIDDEN), "up": made(WIDTH, HIDDEN), "down": made(HIDDEN, WIDTH)}
    layer = square | wide | {"before": made(WIDTH), "between": made(WIDTH)}
    ends = {"letters": made(LETTERS, WIDTH), "head": made(WIDTH, LETTERS), "last": made(WIDTH)}
    return ends | {"layers": [layer] * LAYERS}, jax.ShapeDtypeStruct((PER_DEVICE, LENGTH + 1), jnp.int32)


def held(graph: Graph) -> float:
    """Bytes of the values that a step can be asked for."""
    outside = [node for node in graph.nodes if not any(place.kind == "custom" for place in node.places)]
    return sum(math.prod(node.shape) * jnp.dtype(node.dtype).itemsize for node in outside)


def packed(probe: Any, args: tuple[Any, ...]) -> int:
    """Bytes in which the engine packs the statistics of a step."""
    reading = jax.eval_shape(engine.value_and_grad(loss, probe=probe), *args)[2]
    return sum(math.prod(array.shape) * array.dtype.itemsize for array in reading.parts["packed"].values())


def main() -> None:
    device, args = Device(), shapes()
    graph = engine.trace(loss, *args)
    leaves = jax.tree.leaves(args[0])
    parameters, tokens = sum(math.prod(leaf.shape) for leaf in leaves), PER_DEVICE * LENGTH
    operations = 6 * parameters * tokens + 6 * LAYERS * WIDTH * LENGTH * tokens
    step = operations / (device.used * device.flops)
    print(f"{parameters:,} parameters in {len(leaves)} arrays; {len(graph.nodes):,} nodes; {tokens:,} tokens a device")
    print(
        f"step              {operations:.3g} operations on each device: {step:.2f} s at {device.used:.0%} of its peak"
    )
    reduce = 2 * 2 * parameters / device.network
    print(f"its gradients     {2 * parameters / 1e9:.1f} GB, all-reduced in {reduce:.2f} s (behind the backward pass)")
    layers = tuple(node.id for node in graph.nodes if node.op == "add" and node.shape == (PER_DEVICE, LENGTH, WIDTH))
    told(device, "everything", packed(engine.Probe(None, ("value", "grad"), "stats"), args), 2 * held(graph))
    chosen = (*layers, *graph.inputs[: len(leaves)])
    sizes = sum(math.prod(graph.node(id).shape) * 2 for id in chosen)
    told(device, "layers, weights", packed(engine.Probe(chosen, ("value", "grad"), "stats"), args), 2 * sizes)
    state = 12 * parameters
    print(
        f"snapshot          {state / 1e9:.0f} GB: {state / DEVICES / 1e6:.0f} MB a device, copied in "
        f"{1e3 * state / DEVICES / device.host:.0f} ms; {8 * state / DEVICES / 1e9:.2f} GB a machine, written in "
        f"{8 * state / DEVICES / device.disk:.1f} s beside the steps; by one process {state / device.disk:.0f} s"
    )
    value = PER_DEVICE * LENGTH * WIDTH * 2
    print(
        f"one node in full  {value / 1e6:.0f} MB on each device, {value * DEVICES / 1e9:.0f} GB in all; "
        f"one device's to its host in {1e3 * value / device.host:.1f} ms"
    )


def told(device: Device, name: str, row: int, read: float) -> None:
    """What a reading costs: on each device, between them, and to the machine of process 0."""
    hops = math.ceil(math.log2(DEVICES))
    reduced = 2 * hops * device.latency + 2 * row / device.network
    gathered = hops * device.latency + DEVICES * row / device.network
    print(
        f"{name:16}  {row / 1e3:.1f} kB of statistics from {read / 1e9:.1f} GB, read in "
        f"{1e3 * read / device.memory:.0f} ms; all-reduced in {1e3 * reduced:.2f} ms; or gathered, "
        f"{DEVICES * row / 1e6:.1f} MB, in {1e3 * gathered:.2f} ms and fetched in "
        f"{1e3 * DEVICES * row / device.host:.2f} ms"
    )


if __name__ == "__main__":
    main()
