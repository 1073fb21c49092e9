"""The workloads as a user of another tool writes them: the bare step, and the step with everything recorded."""
