"""The exceptions of the engine. Each message says what came, what was expected and what to write instead."""


class EngineError(Exception):
    """Base of every error the engine raises about a user's program, probe or key."""

    def __str__(self) -> str:
        # KeyError's own __str__ would show the repr of the sentence, quotes and all.
        return str(self.args[0]) if self.args else ""


class TraceError(EngineError, TypeError):
    """The function could not be traced by JAX."""


class NotScalarError(EngineError, TypeError):
    """The function returned something else than one real number."""


class NotDifferentiableError(EngineError, TypeError):
    """JAX has no reverse-mode derivative for what was asked."""


class UnknownNodeError(EngineError, KeyError):
    """No node has this id or name, or the probe did not record it."""


class NotExecutedError(EngineError, KeyError):
    """The node lies in a branch of a ``cond`` that this step did not take."""


class NoGradientError(EngineError, ValueError):
    """The node reads forward only; the message says why."""
