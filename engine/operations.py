"""How many operations a program takes, counted on its jaxpr.

The convention, for one run: a matrix product of ``m × k`` by ``k × n`` takes ``2mnk`` operations, a convolution twice
as many as there are pairs of an entry and a weight that meet; whatever works entry by entry takes one for each entry
(an exponential or a tanh is one, like an addition), a reduction one for each entry that goes in. What only moves,
chooses or relabels numbers takes none, and so does what works on integers. A scan takes its body's as often as it
runs, a cond those of its largest branch, a function with a rule of its own those of its body. A primitive that isn't
in the table counts one for each entry it returns, and is listed as estimated; so is a while_loop, whose body is counted
once.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import jax.extend.core as jex

from engine import compat, ops
from engine.tape import signature

Tally = Counter[tuple[str, str]]
"""Operations by node (empty where an equation belongs to none) and primitive."""


@dataclasses.dataclass(frozen=True)
class Count:
    """Operations of one run of a program."""

    operations: int
    by_primitive: tuple[tuple[str, int], ...]
    """Operations of each primitive, the largest first."""
    estimated: tuple[str, ...] = ()
    """Primitives among them that the table doesn't know: one operation for each entry is a guess."""

    def of(self, primitive: str) -> int:
        """Operations of one primitive."""
        return dict(self.by_primitive).get(primitive, 0)


def count(tally: Tally) -> Count:
    """The sums of a tally."""
    found: Counter[str] = Counter()
    for (_, primitive), operations in tally.items():
        found[primitive] += operations
    unknown = tuple(sorted(name for name in found if found[name] and name not in COUNTED))
    return Count(found.total(), tuple(item for item in found.most_common() if item[1]), unknown)


def by_node(tally: Tally) -> Counter[str]:
    """Operations of each node."""
    found: Counter[str] = Counter()
    for (node, _), operations in tally.items():
        found[node] += operations
    return found


def tally(jaxpr: jex.Jaxpr, node: str = "") -> Tally:
    """Count a program's operations.

    Args:
        jaxpr: the program.
        node: the node that equations without a signature belong to.
    """
    found: Tally = Counter()
    for eqn in jaxpr.eqns:
        found.update(_equation(eqn, signature(compat.name_stack(eqn)) or node))
    return found


def _equation(eqn: jex.JaxprEqn, node: str) -> Tally:
    form, bodies = compat.form(eqn), [tally(body.jaxpr, node) for body in compat.bodies(eqn)]
    if form == "cond":
        return max(bodies, key=Counter.total)
    if form == "while":
        return Counter({(node, "while"): sum(body.total() for body in bodies)})
    if bodies:
        return _times(compat.scan_parts(eqn).length if form == "scan" else 1, bodies[0])
    devices = compat.on_devices(eqn)
    if devices:
        return _times(devices[1], tally(devices[0].jaxpr, node))
    return Counter({(node, eqn.primitive.name): _operations(eqn)})


def _times(number: int, tally: Tally) -> Tally:
    return Counter({key: number * operations for key, operations in tally.items()})


def _operations(eqn: jex.JaxprEqn) -> int:
    name = eqn.primitive.name
    avals: list[Any] = [var.aval for var in (*eqn.invars, *eqn.outvars)]
    if ops.is_plumbing(name) or not any(map(compat.has_gradient, avals)):
        return 0
    return COUNTED.get(name, _entries)(eqn)


def size(var: Any) -> int:
    """How many entries a variable of a jaxpr has."""
    return math.prod(getattr(var.aval, "shape", ()))


# ---- how each primitive is counted -----------------------------------------------------------------------------------

Rule = Callable[[jex.JaxprEqn], int]


def _entries(eqn: jex.JaxprEqn) -> int:
    return sum(map(size, eqn.outvars))


def _twice(eqn: jex.JaxprEqn) -> int:
    return 2 * _entries(eqn)


def _given(eqn: jex.JaxprEqn) -> int:
    return size(eqn.invars[0])


def _power(eqn: jex.JaxprEqn) -> int:
    """Squaring and multiplying; a negative power divides once more."""
    exponent = abs(eqn.params["y"])
    products = max(exponent.bit_length() - 1, 0) + max(exponent.bit_count() - 1, 0)
    return _entries(eqn) * (products + (eqn.params["y"] < 0))


def contracted(eqn: jex.JaxprEqn) -> int:
    """How many products each entry of a matrix product adds up."""
    axes = eqn.params["dimension_numbers"][0][0]
    shape: Any = eqn.invars[0].aval
    return math.prod(shape.shape[axis] for axis in axes)


def _product(eqn: jex.JaxprEqn) -> int:
    return 2 * _entries(eqn) * contracted(eqn)


def meetings(eqn: jex.JaxprEqn) -> int:
    """How often an entry and a weight meet in a convolution: pairs with the border or with a gap don't count."""
    params, spec = eqn.params, eqn.params["dimension_numbers"]
    given: Any = eqn.invars[0].aval
    kernel: Any = eqn.invars[1].aval
    out: Any = eqn.outvars[0].aval
    axes = zip(spec.lhs_spec[2:], spec.rhs_spec[2:], spec.out_spec[2:], strict=True)
    windows = zip(
        params["window_strides"], params["padding"], params["lhs_dilation"], params["rhs_dilation"], strict=True
    )
    places = math.prod(
        _meetings((given.shape[i], kernel.shape[k], out.shape[o]), window)
        for (i, k, o), window in zip(axes, windows, strict=True)
    )
    channels = kernel.shape[spec.rhs_spec[1]]
    return places * channels * out.shape[spec.out_spec[0]] * out.shape[spec.out_spec[1]]


def _meetings(lengths: tuple[int, int, int], window: tuple[int, tuple[int, int], int, int]) -> int:
    """The same along one axis."""
    given, kernel, out = lengths
    stride, (before, _), gaps, spread = window
    reached = (o * stride + k * spread - before for o in range(out) for k in range(kernel))
    return sum(at % gaps == 0 and 0 <= at < given * gaps - (gaps - 1) for at in reached)


def _convolution(eqn: jex.JaxprEqn) -> int:
    return 2 * meetings(eqn)


def window(eqn: jex.JaxprEqn) -> int:
    """How many entries one window of a pooling holds."""
    return math.prod(eqn.params["window_dimensions"])


def _pool(eqn: jex.JaxprEqn) -> int:
    return window(eqn) * _entries(eqn)


def _pool_back(eqn: jex.JaxprEqn) -> int:
    return window(eqn) * size(eqn.invars[0])


def _updates(eqn: jex.JaxprEqn) -> int:
    return size(eqn.invars[2])


def _sort(eqn: jex.JaxprEqn) -> int:
    shape: Any = eqn.invars[0].aval
    length = shape.shape[eqn.params["dimension"]]
    return _given(eqn) * max(length - 1, 0).bit_length()


def _fourier(eqn: jex.JaxprEqn) -> int:
    points = math.prod(eqn.params["fft_lengths"])
    return 5 * max(map(size, (*eqn.invars, *eqn.outvars))) * max(points - 1, 0).bit_length()


def _cholesky(eqn: jex.JaxprEqn) -> int:
    shape: Any = eqn.invars[0].aval
    return _given(eqn) * shape.shape[-1] // 3


def _triangular(eqn: jex.JaxprEqn) -> int:
    shape: Any = eqn.invars[0].aval
    return _entries(eqn) * shape.shape[-1]


def _rows(rule: Rule, names: str) -> Iterable[tuple[str, Rule]]:
    return ((name, rule) for name in names.split())


COUNTED: dict[str, Rule] = dict(
    [
        *_rows(
            _entries,
            "add add_any sub mul div rem neg max min pow square sqrt rsqrt cbrt abs exp exp2 expm1 log log1p tanh "
            "logistic sin cos tan asin acos atan atan2 sinh cosh asinh acosh atanh erf erfc erf_inv lgamma digamma "
            "sign floor ceil round is_finite eq ne lt le gt ge nextafter conj psum psum2 psum_invariant",
        ),
        *_rows(_twice, "clamp one_minus_square"),
        *_rows(_given, "reduce_sum reduce_max reduce_min reduce_prod argmax argmin cumsum cumprod cummax cummin"),
        *_rows(_given, "cumlogsumexp"),
        *_rows(_updates, "scatter-add scatter_add scatter-mul scatter_mul"),
        *_rows(_pool, "reduce_window_sum reduce_window_max reduce_window_min select_and_gather_add"),
        *_rows(_pool_back, "select_and_scatter_add"),
        ("integer_pow", _power),
        ("dot_general", _product),
        ("conv_general_dilated", _convolution),
        ("sort", _sort),
        ("fft", _fourier),
        ("cholesky", _cholesky),
        ("triangular_solve", _triangular),
    ]
)
"""Primitives that are counted, and how."""

COUNTED.update(
    _rows(
        lambda eqn: 0,
        "select_n gather dynamic_slice slice dynamic_update_slice scatter stack unstack concatenate pad split rev name "
        "stop_gradient empty empty2 new_ref get swap freeze iota real imag complex random_bits random_seed random_wrap "
        "random_unwrap random_split random_fold_in bitcast bitcast_convert_type device_put all_gather ppermute "
        "axis_index debug_callback debug_print reshard",
    )
)  # they choose, move or make numbers without computing with any
