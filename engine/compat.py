"""The only place that knows that JAX versions differ.

Everything here speaks of jaxprs: what kind of equation one is, which programs it contains, how to run it whole, where
in the user's code it came from. Nothing of ``jax._src`` is used.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

import jax
import jax.extend.core as jex
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend import backend
from jax.sharding import NamedSharding, PartitionSpec, Sharding

Array = Any
"""A JAX array, a tracer or a NumPy array."""

_JIT = frozenset({"jit", "pjit", "closed_call", "core_call", "core_closed_call"})
_REMAT = frozenset({"remat", "remat2", "checkpoint"})
_CUSTOM = frozenset({"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"})
_WRAPPERS = frozenset({"new_fun"})
"""What JAX calls the function that it traces in place of one with static arguments, as ``checkpoint`` may have."""


def on_cpu() -> bool:
    """Whether programs are compiled for the CPU. There a branch not taken costs nothing, and what lies in the cache
    is cheap to read again; an accelerator has the host decide which branch it takes, and waits meanwhile.
    """
    return jax.default_backend() == "cpu"


def platform() -> str:
    """What programs are compiled for, as the builds of JAX are called: ``cpu cuda rocm tpu``."""
    name = jax.default_backend()
    if name != "gpu":
        return name
    return "rocm" if "rocm" in backend.get_backend().platform_version.lower() else "cuda"


def architecture() -> str:
    """What compilers for CUDA call the GPU that is here: ``sm_90``."""
    return f"sm_{jax.local_devices()[0].compute_capability.replace('.', '')}"


def form(eqn: jex.JaxprEqn) -> str:
    """What kind of equation: ``jit remat scan cond while custom``, or ``op`` for one that is run whole."""
    name = eqn.primitive.name
    if name in _JIT:
        return "jit"
    if name in _REMAT:
        return "remat"
    if name in _CUSTOM:
        return "custom"
    # A cond over platforms is resolved while lowering, and only as JAX wrote it.
    if name == "cond" and eqn.params.get("branches_platforms") is not None:
        return "op"
    return name if name in ("scan", "cond", "while") else "op"


def bodies(eqn: jex.JaxprEqn) -> tuple[jex.ClosedJaxpr, ...]:
    """The programs inside an equation: a cond's branches, a while's condition and body, else one or none."""
    params = eqn.params
    kind = form(eqn)
    if kind == "cond":
        return tuple(map(_closed, params["branches"]))
    if kind == "while":
        return (_closed(params["cond_jaxpr"]), _closed(params["body_jaxpr"]))
    if kind in ("jit", "scan", "remat"):
        return (_closed(params["jaxpr"] if "jaxpr" in params else params["call_jaxpr"]),)
    if kind == "custom":
        return (_closed(params["call_jaxpr"] if "call_jaxpr" in params else params["fun_jaxpr"]),)
    return ()


def refuses_forward_mode(primitive: str) -> bool:
    """Whether a primitive in a traced ``jvp`` can't be run: a custom_vjp has a rule for reverse mode alone."""
    return primitive == "custom_lin"


def on_devices(eqn: jex.JaxprEqn) -> tuple[jex.ClosedJaxpr, int] | None:
    """The program that a shard_map runs on each of so many devices; ``None`` for any other equation."""
    if eqn.primitive.name != "shard_map":
        return None
    params = eqn.params
    axes = params["newly_manual_axes"] if "newly_manual_axes" in params else params["manual_axes"]
    return _closed(params["jaxpr"]), math.prod(params["mesh"].shape[axis] for axis in axes)


def _closed(jaxpr: Any) -> jex.ClosedJaxpr:
    return jaxpr if hasattr(jaxpr, "consts") else jex.ClosedJaxpr(jaxpr, ())


@dataclasses.dataclass(frozen=True)
class ScanParts:
    """How a scan equation reads its operands: ``consts``, then ``carry``, then the scanned arrays."""

    consts: int
    carry: int
    length: int
    reverse: bool
    unroll: int | bool


def scan_parts(eqn: jex.JaxprEqn) -> ScanParts:
    """Counts of a scan's operands, told by rank: a scanned array has one axis more outside than inside the body."""
    inner = bodies(eqn)[0].jaxpr
    carry = sum(_rank(out) == _rank(body) for out, body in zip(eqn.outvars, inner.outvars, strict=True))
    whole = sum(_rank(var) == _rank(body) for var, body in zip(eqn.invars, inner.invars, strict=True))
    params = eqn.params
    return ScanParts(whole - carry, carry, params["length"], params["reverse"], params["unroll"])


def _rank(var: Any) -> int:
    return len(getattr(var.aval, "shape", ()))


def while_parts(eqn: jex.JaxprEqn) -> tuple[int, int]:
    """How many operands of a while are constants of its condition, and of its body."""
    return eqn.params["cond_nconsts"], eqn.params["body_nconsts"]


def without_derivatives(eqn: jex.JaxprEqn) -> int:
    """How many operands, the first ones, the rule of an equation has no derivative for: what a custom_vjp closes over,
    and the residuals of a linear_call. JAX refuses to differentiate either with respect to one of them.
    """
    counts = {"custom_vjp_call": ("num_consts",), "linear_call": ("num_callee_consts", "num_res")}
    return sum(eqn.params.get(name, 0) for name in counts.get(eqn.primitive.name, ()))


def is_refusal(error: Exception) -> bool:
    """Whether JAX raises such an error where it has no derivative."""
    known = isinstance(error, ValueError | NotImplementedError | TypeError | AssertionError)
    return known or type(error).__name__ == "CustomVJPException"  # whose class isn't public


def function_name(jaxpr: jex.ClosedJaxpr) -> tuple[str, str]:
    """Name of the function a jaxpr was traced from and the file it stands in (each empty if unknown)."""
    info = str(jaxpr.jaxpr.debug_info.func_src_info or "")
    name, _, where = info.partition(" at ")
    return name.rpartition(".")[2], where.rpartition(":")[0]


@dataclasses.dataclass(frozen=True)
class Frame:
    """One level of the call stack under which an equation was made: which code, and where in it (byte offset)."""

    code: CodeType
    offset: int

    @property
    def line(self) -> int:
        """Line of the source that the offset belongs to."""
        for start, end, line in self.code.co_lines():
            if start <= self.offset < end and line is not None:
                return line
        return self.code.co_firstlineno


def frames(eqn: jex.JaxprEqn) -> tuple[Frame, ...]:
    """The call stack of an equation, outermost first; it begins at the function that was traced."""
    traceback: Any = eqn.source_info.traceback
    if traceback is None:
        return ()
    codes, offsets = traceback.raw_frames()
    found = tuple(Frame(code, offset) for code, offset in zip(reversed(codes), reversed(offsets), strict=True))
    return found[1:] if found and found[0].code.co_name in _WRAPPERS else found


def name_stack(eqn: jex.JaxprEqn) -> str:
    """The named scopes around an equation, ``outer/inner``, as JAX writes them."""
    return str(eqn.source_info.name_stack)


def evaluate(eqn: jex.JaxprEqn, within: jex.Jaxpr, args: Sequence[Array]) -> list[Array]:
    """Run one equation whole, as a program of its own, so that custom rules and effects stay JAX's."""
    variables = [var for var in eqn.invars if not isinstance(var, jex.Literal)]
    invars = list(dict.fromkeys(variables))
    first = {var: arg for var, arg in zip(eqn.invars, args, strict=True) if not isinstance(var, jex.Literal)}
    if len(invars) < len(variables):  # x * x with a tap on each use: two values for one variable
        return _evaluate_apart(eqn, within, args)
    return _run(eqn, within, invars, [first[var] for var in invars])


def _evaluate_apart(eqn: jex.JaxprEqn, within: jex.Jaxpr, args: Sequence[Array]) -> list[Array]:
    fresh = [var if isinstance(var, jex.Literal) else jex.Var(var.aval) for var in eqn.invars]
    pairs = [(var, arg) for var, arg in zip(fresh, args, strict=True) if not isinstance(var, jex.Literal)]
    return _run(eqn.replace(invars=fresh), within, [var for var, _ in pairs], [arg for _, arg in pairs])


def _run(eqn: jex.JaxprEqn, within: jex.Jaxpr, invars: list[Any], args: list[Array]) -> list[Array]:
    info = within.debug_info.with_unknown_names()
    program = within.replace(constvars=(), invars=invars, outvars=eqn.outvars, eqns=[eqn], debug_info=info)
    return list(jax.core.eval_jaxpr(program, (), *args))


def call_jit(eqn: jex.JaxprEqn, fun: Callable[..., Any], args: list[Array], sinks: Any) -> Any:
    """Call ``fun(args, sinks) -> (outs, record)`` as the jitted function that the equation calls."""
    params = eqn.params
    before = params.get("in_shardings") or (None,) * len(args)
    after = params.get("out_shardings") or (None,) * len(eqn.outvars)

    def body(args: list[Array], sinks: Any) -> Any:
        outs, record = fun([_placed(arg, sharding) for arg, sharding in zip(args, before, strict=True)], sinks)
        return [_placed(out, sharding) for out, sharding in zip(outs, after, strict=True)], record

    body.__name__ = str(params.get("name", "call"))
    return jax.jit(body)(args, sinks)


def _placed(array: Array, sharding: Any) -> Array:
    # Unspecified shardings are an internal type; only a real one constrains anything.
    return lax.with_sharding_constraint(array, sharding) if isinstance(sharding, Sharding) else array


def apart(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function as a computation of its own within a program for a CPU.

    XLA's executor there gives half of what is ready to another thread as soon as that is more than eight kernels,
    however short they are, and what follows goes with it. To begin a loop takes a kernel for each of its stacks, and
    what is watched adds some; in a computation of their own they aren't counted with what else is ready.
    """
    return (lambda *args: set_xla_metadata(jax.jit(fun)(*args), inlineable="false")) if on_cpu() else fun


def call_remat(eqn: jex.JaxprEqn, fun: Callable[..., Any], args: list[Array], sinks: Any) -> Any:
    """Call ``fun(args, sinks)`` under the same rematerialisation as the equation."""
    options = {key: eqn.params[key] for key in ("policy", "prevent_cse")}
    return jax.checkpoint(fun, **options)(args, sinks)


def is_key(aval: Any) -> bool:
    """Whether an array holds PRNG keys (or another extended dtype)."""
    return bool(jax.numpy.issubdtype(aval.dtype, jax.dtypes.extended))


def is_array(aval: Any) -> bool:
    """Whether an abstract value is an array; mutable references and tokens aren't."""
    return isinstance(aval, jax.core.ShapedArray)


def has_gradient(aval: Any) -> bool:
    """Whether a cotangent of this value exists: real or complex floats, not integers, booleans or keys."""
    return is_array(aval) and not is_key(aval) and bool(jax.numpy.issubdtype(aval.dtype, jax.numpy.inexact))


def zeros(shape: tuple[int, ...], dtype: Any, like: Any) -> Array:
    """Zeros that lie on the mesh, and vary over its axes, as the abstract value ``like`` does.

    Leading axes that ``like`` doesn't have are not sharded; nor is an array of another shape.
    """
    out = jax.numpy.zeros(shape, dtype)
    sharding = getattr(like, "sharding", None)
    spec = tuple(getattr(sharding, "spec", None) or ())
    lead = len(shape) - len(like.shape)
    if sharding is not None and any(spec) and shape[lead:] == like.shape:
        out = jax.sharding.reshard(out, NamedSharding(sharding.mesh, PartitionSpec(*[None] * lead, *spec)))
    axes = getattr(like, "manual_axis_type", None)
    varying = tuple(sorted(axes.varying)) if axes else tuple(getattr(like, "vma", ()) or ())
    return lax.pcast(out, varying, to="varying") if varying else out


def effects(jaxpr: jex.ClosedJaxpr) -> bool:
    """Whether running the program does something besides computing its outputs."""
    return bool(jaxpr.effects)


def trace(fun: Callable[..., Any], args: Sequence[Any]) -> tuple[jex.ClosedJaxpr, Any]:
    """Trace ``fun(*args)`` afresh: its jaxpr, and the structure of what it returns."""

    def fresh(*args: Any) -> Any:  # JAX caches traces by function object: a stale closure would be shown as true
        return fun(*args)

    return jax.make_jaxpr(fresh, return_shape=True)(*args)


def element_count(shape: Sequence[int]) -> int:
    """Number of entries of an array of this shape."""
    return math.prod(shape)


def jaxpr_outputs(closed: jex.ClosedJaxpr, args: Sequence[Array]) -> list[Array]:
    """Run a program as it is."""
    return list(jax.core.eval_jaxpr(closed.jaxpr, closed.consts, *args))
