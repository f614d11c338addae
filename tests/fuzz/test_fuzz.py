"""Readers of strangers' bytes return, or raise an error of ours, whatever the bytes are: a share of it in every run.

`ARCHIVER_STRESS=1` tries thousands; tests/fuzz/with_atheris.py goes on as long as it is let. What either has found is
kept in tests/fuzz/cases/, in files named after the reader.
"""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import changed
from tests.fuzz.readers import READERS, obey
from tests.property.campaigns import campaign

CASES = sorted(Path(__file__).with_name("cases").glob("*-*"))
MAXIMAL_SECONDS = 5
MAXIMAL_BYTES = 64 << 20


@pytest.mark.parametrize("name", READERS)
def test_good_bytes_are_read(name: str) -> None:
    seeds = READERS[name].seeds()
    assert seeds
    for data in seeds:
        READERS[name].read(data)


@pytest.mark.stress
@pytest.mark.parametrize("name", READERS)
def test_changed_bytes(name: str) -> None:
    reader = READERS[name]

    @settings(max_examples=campaign(100, 20_000), deadline=None)
    @given(changed(reader.seeds(), is_text=reader.is_text))
    def try_it(data: bytes) -> None:
        began = time.process_time()
        obey(name, data)
        assert time.process_time() - began < MAXIMAL_SECONDS

    try_it()


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=campaign(20, 5_000), deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(name: str, data: bytes) -> None:
    obey(name, data)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_what_was_found_before(path: Path) -> None:
    data = path.read_bytes()
    tracemalloc.start()
    try:
        began = time.process_time()
        obey(path.name.partition("-")[0], data)
        assert time.process_time() - began < MAXIMAL_SECONDS
        assert tracemalloc.get_traced_memory()[1] < MAXIMAL_BYTES
    finally:
        tracemalloc.stop()
