"""Collectors: functions that look at the world once and return a record; what cannot be had is said, never raised."""
