"""Backpropagation of any JAX function, node by node: the graph, and what one step computed on it."""

from engine.check import NodeCheck, Report, check
from engine.errors import (
    EngineError,
    NoGradientError,
    NotDifferentiableError,
    NotExecutedError,
    NotScalarError,
    TraceError,
    UnknownNodeError,
)
from engine.grad import value_and_grad
from engine.graph import OUTPUT, Edge, Graph, Literal, Node, Place, Scope
from engine.probe import Probe, ProbeError
from engine.reading import Reading
from engine.trace import trace

__all__ = [
    "OUTPUT",
    "Edge",
    "EngineError",
    "Graph",
    "Literal",
    "NoGradientError",
    "Node",
    "NodeCheck",
    "NotDifferentiableError",
    "NotExecutedError",
    "NotScalarError",
    "Place",
    "Probe",
    "ProbeError",
    "Reading",
    "Report",
    "Scope",
    "TraceError",
    "UnknownNodeError",
    "check",
    "trace",
    "value_and_grad",
]
