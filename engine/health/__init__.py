"""Gradient health: from readings of a run to one cause, its factors, its effects and what to do."""

from engine.health.diagnosis import diagnose
from engine.health.evidence import Evidence, breaking_step, gather
from engine.health.finding import KINDS, Finding, Place, Remedy, factor_table

__all__ = ["KINDS", "Evidence", "Finding", "Place", "Remedy", "breaking_step", "diagnose", "factor_table", "gather"]
