"""``MODULE:FUNCTION`` -> a function and the arguments to call it on.

A function brings its example arguments in one way: beside ``loss`` in the same module stands ``loss_args``, a tuple of
arguments, or a function without parameters that returns one. It is imported as Python imports it; nothing is evaluated.
Its first argument is differentiated; what of a model isn't floating-point arrays, its activation say, stays as it is.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.graph import closest
from engine.trace import in_floats
from explorer.errors import TargetError

CONVENTION = """Put its example arguments beside it, in the same module:

    def {name}_args():
        return params, x, y        # whatever {name} is called with; the first argument is differentiated"""


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """A function of the user's and example arguments."""

    name: str
    fun: Callable[..., Any]
    args: tuple[Any, ...]
    text: str = ""
    """``MODULE:FUNCTION``, where it was named so: another process finds it by that."""


def load(text: str) -> Target:
    """The function that ``MODULE:FUNCTION`` names, with its example arguments.

    Raises:
        TargetError: there is no such module or function, or it brings no example arguments.
    """
    module_name, colon, name = text.partition(":")
    if not colon or not module_name or not name:
        raise TargetError(f"{text!r} isn't of the form MODULE:FUNCTION, such as my_model:loss.")
    module = _module(module_name)
    fun = _function(module, module_name, name)
    return Target(name, *in_floats(fun, _arguments(module, module_name, name)), text)


def _module(name: str) -> Any:
    here, dotted = os.getcwd(), os.path.normpath(name).removesuffix(".py").replace(os.sep, ".")
    if dotted.startswith("."):  # a file of another folder: its module is at home there
        file = Path(name).with_suffix(".py")
        if not file.is_file():
            raise TargetError(f"There is no file {str(file)!r}.")
        here, dotted = str(file.parent.resolve()), file.stem
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError as error:
        if error.name and not f"{dotted}.".startswith(f"{error.name}."):
            raise TargetError(f"Module {name!r} needs {error.name!r}, which is not installed.") from error
        raise TargetError(
            f"No module {name!r}: it was looked for in {here} and on Python's path. "
            "Go to the folder that it lies in, or install it."
        ) from error
    # A module may raise anything at all while it is imported; what it said is what its author needs to see.
    except (Exception, SystemExit) as error:
        raise TargetError(f"Module {name!r} failed while it was imported: {type(error).__name__}: {error}") from error


def _function(module: Any, module_name: str, name: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if found is None:
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise TargetError(f"Module {module_name!r} has no function {name!r}.{closest(name, names)}")
    if not callable(found):
        raise TargetError(f"{module_name}:{name} is of type {type(found).__name__}, and not a function.")
    return found


def _arguments(module: Any, module_name: str, name: str) -> tuple[Any, ...]:
    given = getattr(module, f"{name}_args", None)
    if given is None:
        raise TargetError(f"{module_name}:{name} has no example arguments. {CONVENTION.format(name=name)}")
    if callable(given):
        try:
            given = given()
        # The user's own code again, as in importing it.
        except Exception as error:
            raise TargetError(f"{module_name}:{name}_args failed: {type(error).__name__}: {error}") from error
    if not isinstance(given, tuple):
        raise TargetError(
            f"{module_name}:{name}_args must be a tuple of arguments, and is of type {type(given).__name__}."
        )
    if not given:
        raise TargetError(f"{module_name}:{name}_args is empty; its first argument is the one that is differentiated.")
    return given
