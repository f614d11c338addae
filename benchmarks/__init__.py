"""Benchmarks: ours against peers in one run; each prints tables."""
