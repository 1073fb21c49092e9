"""Fixtures shared by the tests; strict JAX everywhere."""
