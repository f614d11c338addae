"""How many examples a random campaign tries: few in every run of the tests, all under `make stress`."""

import os


def campaign(normal: int, stress: int) -> int:
    """`stress` where `ARCHIVER_STRESS=1` is set, else `normal`."""
    return stress if os.environ.get("ARCHIVER_STRESS") == "1" else normal
