"""Running a run again from its archive, and judging what came of it."""
