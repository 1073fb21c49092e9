"""Backpropagation of any JAX function, node by node: the graph, and what one step computed on it."""

from engine.check import NodeCheck, Report, check
from engine.convolutions import straightened
from engine.cost import Cost, Growth, NodeCost, ScopeCost, Trade, cost, growth, operations, trade
from engine.errors import (
    EngineError,
    NoGradientError,
    NotDifferentiableError,
    NotExecutedError,
    NotScalarError,
    TraceError,
    UnknownNodeError,
)
from engine.events import Events, EventsError
from engine.expansion import Expansion
from engine.grad import value_and_grad
from engine.graph import OUTPUT, Edge, Graph, Literal, Node, Place, Scope
from engine.operations import Count
from engine.probe import Probe, ProbeError
from engine.reading import Reading
from engine.residuals import Residual
from engine.timing import Timing, measure
from engine.trace import trace

__all__ = [
    "OUTPUT",
    "Cost",
    "Count",
    "Edge",
    "EngineError",
    "Events",
    "EventsError",
    "Expansion",
    "Graph",
    "Growth",
    "Literal",
    "NoGradientError",
    "Node",
    "NodeCheck",
    "NodeCost",
    "NotDifferentiableError",
    "NotExecutedError",
    "NotScalarError",
    "Place",
    "Probe",
    "ProbeError",
    "Reading",
    "Report",
    "Residual",
    "Scope",
    "ScopeCost",
    "Timing",
    "TraceError",
    "Trade",
    "UnknownNodeError",
    "check",
    "cost",
    "growth",
    "measure",
    "operations",
    "straightened",
    "trace",
    "trade",
    "value_and_grad",
]
