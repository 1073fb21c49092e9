"""What holds for every test: JAX on four devices of the CPU, nothing kept between runs, the same random programs."""

from __future__ import annotations

import os

# Before JAX is imported, and for the processes that tests start as well.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.load_profile("ci")
