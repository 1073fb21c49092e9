"""The exceptions of the explorer; each message is a sentence for the person at the screen."""


class ExplorerError(Exception):
    """Base of every error about what a person asked for."""


class LayoutError(ExplorerError):
    """Graphviz is missing or refused the graph."""


class LayoutTimeout(LayoutError):  # noqa: N818 - named after what happened
    """A layout took longer than its limit and was stopped."""

    def __init__(self, limit: float) -> None:
        super().__init__(f"The layout took longer than {limit:g} s and was stopped.")


class TargetError(ExplorerError):
    """``MODULE:FUNCTION`` doesn't lead to a function with example arguments."""
