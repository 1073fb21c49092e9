"""Lessons: data, one file each; how they are read, and the player that takes a session through one."""
