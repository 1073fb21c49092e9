"""What can be trained: data, models and losses, each a plain function of arrays."""

from engine.tasks.catalogue import problem
from engine.tasks.problem import Problem
from engine.tasks.settings import TASKS, Settings, SettingsError, Task, usual

__all__ = ["TASKS", "Problem", "Settings", "SettingsError", "Task", "problem", "usual"]
