"""What each primitive is called, what it does forward, and what its derivative rule sends back: a table.

``y`` is the result, ``a`` and ``b`` the operands, ``g`` the gradient that arrives at the result, ``∂L/∂y``. A primitive
that isn't in the table gets a plain entry (:func:`describe`), never a crash.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Op:
    """One row of the table."""

    symbol: str
    """What a small box shows: ``×``, ``tanh``."""
    forward: str
    """The forward formula: ``y = a · b``."""
    backward: str
    """What is sent back: ``∂L/∂a = g · b``."""
    words: str
    """The rule as one plain sentence."""
    plumbing: bool = False
    """Moves or relabels numbers without computing any: folded into its neighbour by default."""
    cut: str = ""
    """Why no gradient passes; empty where it does."""


def _same(symbol: str, forward: str, words: str) -> Op:
    return Op(symbol, forward, "∂L/∂a = g, moved back into place", words, plumbing=True)


def _unary(symbol: str, forward: str, local: str, words: str) -> Op:
    return Op(symbol, forward, f"∂L/∂a = g · {local}", words)


def _cut(symbol: str, forward: str, why: str) -> Op:
    return Op(symbol, forward, "∂L/∂a = 0", why, cut=why)


_COMPARISON = "A comparison answers yes or no: nudging its operand changes nothing, so nothing is sent back."
_STEP = "It is flat between its jumps: the derivative is 0 almost everywhere, so nothing is sent back."
_INTEGER = "Its result is an integer: it has no derivative, so nothing is sent back."
_BITS = "It works on bits or booleans: it has no derivative, so nothing is sent back."

OPS: dict[str, Op] = {
    # arithmetic
    "add": Op("+", "y = a + b", "∂L/∂a = g,  ∂L/∂b = g", "Addition hands the same gradient to both operands."),
    "add_any": Op("+", "y = a + b", "∂L/∂a = g,  ∂L/∂b = g", "Addition hands the same gradient to both operands."),
    "sub": Op("−", "y = a − b", "∂L/∂a = g,  ∂L/∂b = −g", "Subtraction hands on the gradient, negated for b."),
    "mul": Op(
        "×", "y = a · b", "∂L/∂a = g · b,  ∂L/∂b = g · a", "Each factor's gradient is scaled by the other factor."
    ),
    "div": Op("÷", "y = a / b", "∂L/∂a = g / b,  ∂L/∂b = −g · a / b²", "The numerator's gradient is divided by b."),
    "rem": Op("mod", "y = a mod b", "∂L/∂a = g", "The remainder moves with a, and jumps where b divides it."),
    "neg": _unary("−", "y = −a", "(−1)", "Negation flips the gradient's sign."),
    "dot_general": Op(
        "@",
        "y = a @ b",
        "∂L/∂a = g @ bᵀ,  ∂L/∂b = aᵀ @ g",
        "An entry's gradient sums, over all that it was multiplied with, g times the other factor.",
    ),
    "conv_general_dilated": Op(
        "conv", "y = a ∗ w", "∂L/∂a = g ∗ flipped w,  ∂L/∂w = a ∗ g", "Convolving back: g slides over the kernel."
    ),
    "integer_pow": _unary("xⁿ", "y = aⁿ", "n · aⁿ⁻¹", "A power's slope is n times one power less."),
    "pow": Op(
        "x^y", "y = a^b", "∂L/∂a = g · b · a^(b−1),  ∂L/∂b = g · y · ln a", "A power's slope is b times one less."
    ),
    "square": _unary("x²", "y = a²", "2a", "A square's slope is twice its operand."),
    "sqrt": _unary("√", "y = √a", "1 / (2y)", "A root's slope is steep near zero: one over twice the root."),
    "rsqrt": _unary("1/√", "y = 1/√a", "(−y / (2a))", "The slope falls with the power −3/2 of the operand."),
    "cbrt": _unary("∛", "y = ∛a", "y / (3a)", "The slope is a third of the root over its operand."),
    "abs": _unary("|x|", "y = |a|", "sign(a)", "The gradient keeps its size and takes the operand's sign."),
    "exp": _unary("exp", "y = eᵃ", "y", "The slope of exp is its own value, saved from the forward pass."),
    "exp2": _unary("2ˣ", "y = 2ᵃ", "y · ln 2", "The slope is the value times ln 2."),
    "expm1": _unary("eˣ−1", "y = eᵃ − 1", "(y + 1)", "The slope is eᵃ, the value plus one."),
    "log": _unary("ln", "y = ln a", "1/a", "The gradient is divided by the operand: small operands amplify it."),
    "log1p": _unary("ln(1+x)", "y = ln(1 + a)", "1/(1 + a)", "The gradient is divided by one plus the operand."),
    "tanh": _unary("tanh", "y = tanh a", "(1 − y²)", "The slope is 1 at 0 and dies where tanh saturates."),
    "logistic": _unary("σ", "y = 1 / (1 + e⁻ᵃ)", "y(1 − y)", "The slope is at most a quarter, and dies at both ends."),
    "sin": _unary("sin", "y = sin a", "cos a", "The slope of the sine is the cosine."),
    "cos": _unary("cos", "y = cos a", "(−sin a)", "The slope of the cosine is minus the sine."),
    "tan": _unary("tan", "y = tan a", "(1 + y²)", "The slope is one plus the value squared."),
    "asin": _unary("asin", "y = asin a", "1/√(1 − a²)", "The slope grows towards ±1."),
    "acos": _unary("acos", "y = acos a", "(−1/√(1 − a²))", "The slope grows towards ±1."),
    "atan": _unary("atan", "y = atan a", "1/(1 + a²)", "The slope fades for large operands."),
    "sinh": _unary("sinh", "y = sinh a", "cosh a", "The slope of sinh is cosh."),
    "cosh": _unary("cosh", "y = cosh a", "sinh a", "The slope of cosh is sinh."),
    "asinh": _unary("asinh", "y = asinh a", "1/√(a² + 1)", "The slope fades for large operands."),
    "acosh": _unary("acosh", "y = acosh a", "1/√(a² − 1)", "The slope grows towards 1."),
    "atanh": _unary("atanh", "y = atanh a", "1/(1 − a²)", "The slope grows towards ±1."),
    "erf": _unary("erf", "y = erf a", "2/√π · exp(−a²)", "The slope is a bell curve around 0."),
    "erfc": _unary("erfc", "y = 1 − erf a", "(−2/√π · exp(−a²))", "The slope is a bell curve around 0, negative."),
    "max": Op(
        "max", "y = max(a, b)", "∂L/∂a = g where a > b, g/2 where equal, else 0", "Only the larger one is heard."
    ),
    "min": Op(
        "min", "y = min(a, b)", "∂L/∂a = g where a < b, g/2 where equal, else 0", "Only the smaller one is heard."
    ),
    "clamp": Op(
        "clamp", "y = a, kept within bounds", "∂L/∂a = g inside the bounds, else 0", "Outside its bounds: silent."
    ),
    # reductions
    "reduce_sum": Op("Σ", "y = Σ a", "∂L/∂a = g, to every entry", "A sum hands its gradient to every entry alike."),
    "reduce_max": Op("max", "y = max a", "∂L/∂a = g at the largest entry, else 0", "Only the largest entry is heard."),
    "reduce_min": Op(
        "min", "y = min a", "∂L/∂a = g at the smallest entry, else 0", "Only the smallest entry is heard."
    ),
    "reduce_prod": Op("Π", "y = Π a", "∂L/∂a = g · y / a", "Each factor's slope is the product of the others."),
    "cumsum": Op("cumsum", "yᵢ = a₁ + … + aᵢ", "∂L/∂aᵢ = gᵢ + gᵢ₊₁ + …", "An entry reaches every later sum."),
    "cumprod": Op("cumprod", "yᵢ = a₁ · … · aᵢ", "∂L/∂aᵢ = Σ gⱼ yⱼ / aᵢ", "An entry reaches every later product."),
    "cumlogsumexp": Op("cumlse", "yᵢ = ln Σ eᵃ", "∂L/∂aᵢ = Σ gⱼ e^(aᵢ−yⱼ)", "An entry reaches every later sum."),
    # functions that a reader takes for one operation
    "relu": Op(
        "relu", "y = max(a, 0)", "∂L/∂a = g where a > 0, else 0", "A ReLU hands the gradient on where it is on."
    ),
    "softmax": Op(
        "softmax", "yᵢ = eᵃⁱ / Σ eᵃ", "∂L/∂aᵢ = yᵢ (gᵢ − Σ y·g)", "Scores compete: what one gains the others lose."
    ),
    "log_softmax": Op(
        "log softmax", "yᵢ = aᵢ − ln Σ eᵃ", "∂L/∂aᵢ = gᵢ − eʸⁱ Σ g", "Its own gradient, less its share of everyone's."
    ),
    "logsumexp": Op("logsumexp", "y = ln Σ eᵃ", "∂L/∂aᵢ = g · e^(aᵢ−y)", "Each entry gets its share of the sum."),
    "custom_jvp_call": Op(
        "custom", "y = f(…)", "∂L/∂a by its own rule", "It has a derivative rule of its own (custom_jvp)."
    ),
    "custom_vjp_call": Op(
        "custom", "y = f(…)", "∂L/∂a by its own rule", "It has a derivative rule of its own (custom_vjp)."
    ),
    # choosing and moving
    "select_n": Op("where", "y = a where chosen, else b", "∂L/∂a = g where a was chosen, else 0", "Unchosen: silent."),
    "gather": Op("index", "y = a[i]", "∂L/∂a = g at i, 0 elsewhere", "Indexing sends g back to the entries it read."),
    "dynamic_slice": Op("slice", "y = a[i:j]", "∂L/∂a = g at i:j, 0 elsewhere", "Slicing sends g back where it read."),
    "slice": Op("slice", "y = a[i:j]", "∂L/∂a = g at i:j, 0 elsewhere", "Slicing sends g back where it read."),
    "dynamic_update_slice": Op(
        "update",
        "y = a with b written in",
        "∂L/∂a = g outside b, ∂L/∂b = g at b",
        "Overwritten entries of a are silent.",
    ),
    "scatter": Op(
        "set", "y = a with b written at i", "∂L/∂b = g at i, ∂L/∂a = g elsewhere", "Overwritten entries are silent."
    ),
    "scatter-add": Op("add at", "y = a with b added at i", "∂L/∂a = g,  ∂L/∂b = g at i", "Addition, at the places i."),
    "stack": Op(
        "stack", "y = a and b as rows", "∂L/∂a = a's row of g", "Each part takes its own part of the gradient."
    ),
    "concatenate": Op("concat", "y = [a, b]", "∂L/∂a = a's part of g", "Each part takes its own part of the gradient."),
    "pad": Op("pad", "y = a with a border", "∂L/∂a = g without the border", "The border's gradient is dropped."),
    "split": Op("split", "y₁, y₂ = a", "∂L/∂a = [g₁, g₂]", "The parts' gradients are put together again."),
    "sort": Op("sort", "y = a in order", "∂L/∂a = g, in a's own order", "Each entry takes the gradient of its place."),
    "top_k": Op(
        "top k", "y = the k largest of a", "∂L/∂a = g at the chosen, else 0", "The entries not chosen are silent."
    ),
    "reduce_window_sum": Op(
        "pool Σ", "y = sums over windows", "∂L/∂a = Σ g of its windows", "An entry sums what its windows send."
    ),
    "reduce_window_max": Op(
        "max pool", "y = max of windows", "∂L/∂a = g where it won", "Only a window's largest is heard."
    ),
    "rev": Op("reverse", "y = a backwards", "∂L/∂a = g backwards", "The gradient is turned round as well."),
    "name": Op("name", "y = a", "∂L/∂a = g", "A name changes nothing; the value can be asked for by it."),
    # plumbing
    "broadcast_in_dim": Op(
        "broadcast", "y = a, repeated", "∂L/∂a = Σ g over the copies", "Copies: their gradients add up.", plumbing=True
    ),
    "reshape": _same("reshape", "y = a in another shape", "A new shape, the same numbers, both ways."),
    "squeeze": _same("squeeze", "y = a without axes of length 1", "A new shape, the same numbers, both ways."),
    "expand_dims": _same("expand", "y = a with an axis of length 1", "A new shape, the same numbers, both ways."),
    "transpose": _same("transpose", "y = aᵀ", "The gradient is transposed back."),
    "convert_element_type": _same("cast", "y = a as another type", "The gradient is cast back to the operand's type."),
    "copy": _same("copy", "y = a", "The gradient passes."),
    "copy_p": _same("copy", "y = a", "The gradient passes."),
    "optimization_barrier": _same("barrier", "y = a", "The gradient passes."),
    "sharding_constraint": _same("sharding", "y = a", "The gradient passes."),
    "reduce_precision": _same("round to precision", "y = a, rounded", "The gradient passes."),
    "pvary": _same("vary", "y = a", "The gradient passes, summed over the devices."),
    # where the flow is cut
    "stop_gradient": _cut("stop", "y = a", "stop_gradient tells JAX to send nothing back."),
    "floor": _cut("⌊x⌋", "y = ⌊a⌋", _STEP),
    "ceil": _cut("⌈x⌉", "y = ⌈a⌉", _STEP),
    "round": _cut("round", "y = a, rounded", _STEP),
    "sign": _cut("sign", "y = sign a", _STEP),
    "argmax": _cut("argmax", "y = position of the largest", _INTEGER),
    "argmin": _cut("argmin", "y = position of the smallest", _INTEGER),
    "is_finite": _cut("finite?", "y = whether a is finite", _COMPARISON),
    **{
        name: _cut(symbol, f"y = (a {symbol} b)", _COMPARISON)
        for name, symbol in {"eq": "=", "ne": "≠", "lt": "<", "le": "≤", "gt": ">", "ge": "≥"}.items()
    },
    **{
        name: _cut(name, f"y = {name} of the operands", _BITS)
        for name in ("and", "or", "not", "xor", "population_count")
    },
    "iota": _cut("0,1,2…", "y = 0, 1, 2, …", "It counts; it has no operand to send anything to."),
    # control flow
    "scan": Op(
        "scan",
        "repeats its body, carrying a state",
        "through every iteration, last to first",
        "The chain rule, unrolled in time.",
    ),
    "cond": Op(
        "cond", "runs one of its branches", "through the branch that was taken", "The other branch did not run."
    ),
    "while": Op(
        "while",
        "repeats its body while its condition holds",
        "none in reverse mode",
        "A while_loop may run any number of times, so JAX keeps no list of its steps to walk back through.",
    ),
    "shared": Op(
        "shared", "given", "∂L/∂a = Σ over the iterations", "Every iteration uses it: what they send back adds up."
    ),
    "carry": Op(
        "carry", "given", "∂L/∂a = the first iteration's gradient", "It is the state that the first iteration receives."
    ),
    "slice of": Op(
        "slice of",
        "given",
        "∂L/∂aₜ = iteration t's gradient",
        "One iteration reads this element, and sends back its gradient.",
    ),
    "loop": Op(
        "loop",
        "given",
        "∂L/∂a = the next iteration's gradient",
        "The next iteration sends it back; after the last one, what follows the loop.",
    ),
    "input": Op("input", "given", "∂L/∂y = what its consumers send", "An argument of the function."),
    "constant": Op("const", "given", "∂L/∂y = what its consumers send", "An array that the function closes over."),
}


def describe(primitive: str) -> Op:
    """The table's row for a primitive; a plain one for a primitive it doesn't know."""
    known = OPS.get(primitive)
    if known is not None:
        return known
    title = primitive.replace("_", " ").removesuffix(" p")
    words = f"JAX's own derivative rule for {title} computed what is sent back; the number is the one it sent."
    return Op(title, f"y = {title}(…)", "∂L/∂a = (∂y/∂a)ᵀ g", words)


def is_plumbing(primitive: str) -> bool:
    """Whether a primitive only moves or relabels numbers."""
    return describe(primitive).plumbing


def cuts(primitive: str) -> str:
    """Why no gradient passes a primitive; the empty string where one does."""
    return describe(primitive).cut
