"""The corpus: losses of every kind that JAX can differentiate, each with arguments.

Every function takes its parameters first and returns one real number. They stay away from kinks, so that central
differences are an oracle too.
"""

from tests.programs import algebra, arguments, arithmetic, calls, choosing, cuts, loops, networks, numbers
from tests.programs.case import CASES, Case, normal, positive

__all__ = ["CASES", "Case", "algebra", "arguments", "arithmetic", "calls", "choosing", "cuts", "loops", "networks"]
__all__ += ["normal", "numbers", "positive"]
