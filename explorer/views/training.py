"""The loss curve: the loss of every step so far, and what the last update made of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool, Range1d
from bokeh.plotting import figure

from explorer import theme

Figure = Any

SHOWN = 12
"""Steps that the curve has room for from the start, so that its first steps don't jump about."""


class LossCurve:
    """A Bokeh figure of the loss."""

    def __init__(self) -> None:
        self._steps = ColumnDataSource({"step": [], "loss": []})
        self._last = ColumnDataSource({"step": [], "loss": []})
        self.figure = self._drawn()
        self.dress("light")

    def _drawn(self) -> Figure:
        ranges = {"x_range": Range1d(-0.5, SHOWN), "y_range": Range1d(0, 1)}
        plot = figure(
            height=164, sizing_mode="stretch_width", tools="", toolbar_location=None, min_border_left=52, **ranges
        )
        plot.xaxis.axis_label, plot.yaxis.axis_label = "training step", "loss"
        plot.xaxis.ticker.min_interval = 1
        plot.xaxis.ticker.num_minor_ticks = plot.yaxis.ticker.num_minor_ticks = 0
        plot.yaxis.ticker.desired_num_ticks = 4
        self._line = plot.line("step", "loss", source=self._steps, line_width=2)
        dots = plot.scatter("step", "loss", source=self._steps, size=6)
        self._after = plot.line("step", "loss", source=self._last, line_width=2, line_dash="dashed")
        self._dots = dots
        plot.add_tools(HoverTool(renderers=[dots], tooltips=[("step", "@step"), ("loss", "@loss{0.0000}")]))
        return plot

    def show(self, losses: Sequence[float | None], after: float | None, measure: str = "loss") -> None:
        """Show the loss of every step, and where the last update led on the same batch."""
        self.figure.yaxis.axis_label = measure
        known = [float("nan") if loss is None else loss for loss in losses]
        self._steps.data = {"step": list(range(len(known))), "loss": known}
        end = len(known) - 1
        moved = [] if after is None else [known[-1], after]
        self._last.data = {"step": [end, end + 0.5][: len(moved)], "loss": moved}
        finite = [loss for loss in (*known, *moved) if math.isfinite(loss)]
        low, high = min(finite, default=0.0), max(finite, default=1.0)
        margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        self.figure.x_range.end = max(SHOWN, 1.04 * end + 0.5)
        self.figure.y_range.update(start=low - margin, end=high + margin)

    def dress(self, look: str) -> None:
        """Take the colours of a theme."""
        ink = theme.INK[look]
        plot = self.figure
        plot.background_fill_color = plot.border_fill_color = ink["panel"]
        plot.outline_line_color = ink["line"]
        for axis in (plot.xaxis, plot.yaxis):
            axis.axis_label_text_color = axis.major_label_text_color = ink["quiet"]
            axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = ink["line"]
            axis.axis_label_text_font_style = "normal"
        plot.grid.grid_line_color = ink["line"]
        plot.grid.grid_line_alpha = 0.6
        self._line.glyph.line_color = self._dots.glyph.fill_color = self._dots.glyph.line_color = ink["accent"]
        self._after.glyph.line_color = ink["update"]
