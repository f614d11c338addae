"""Fuzzing with coverage, for as long as one likes: the readers of tests/fuzz/readers.py under atheris (libFuzzer).

    pip install atheris
    python -m tests.fuzz.with_atheris hdf5 -max_total_time=300

The first argument names a reader; the others are libFuzzer's. The corpus begins with the files of a good archive and is
kept in a temporary folder, or in that which the variable CORPUS names. What breaks the law is written to `crash-...` in
the current folder; put a small one into tests/fuzz/cases/ as `READER-what_it_is`, and the tests read it from then on.
Memory is limited by `-rss_limit_mb` (2,048 unless given), time by `-timeout` (10 seconds unless given).

atheris has wheels for Linux and Python 3.11 to 3.13, and is no dependency of the tests.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["archiver.storage", "archiver.catalog", "zipfile"]):
    import archiver.storage.hdf5  # what readers import when they are called would not be instrumented
    import archiver.storage.npz_tensors  # noqa: F401
    from tests.fuzz.readers import READERS, obey


def main() -> None:
    """Run libFuzzer; it ends the process."""
    name, *options = sys.argv[1:] or ["--help"]
    if name not in READERS:
        raise SystemExit(f"Received the reader {name!r}. Expected one of {', '.join(READERS)}.")
    corpus = Path(os.environ.get("CORPUS") or tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    if not any(corpus.iterdir()):
        for number, seed in enumerate(READERS[name].seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
    defaults = ["-timeout=10", "-max_len=65536", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], str(corpus), *defaults, *options], lambda data: obey(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
