"""One module a peer; see `benchmarks/peers/training.py`."""
