"""The training planner: memory, hours and cost of a run before anything is allocated."""
