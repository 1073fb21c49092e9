"""What can be trained: data, models and losses, each a plain function of arrays."""

from engine.tasks.catalogue import TASKS, Problem, Settings, Task, problem

__all__ = ["TASKS", "Problem", "Settings", "Task", "problem"]
