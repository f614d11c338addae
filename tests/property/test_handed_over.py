"""Whatever is done to a bag or a zip file: verifying ends with a report or one of our errors, and leaves nothing."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver import verify
from archiver.errors import ArchiverError
from archiver.export.bag import export_bag
from archiver.export.zipped import export_zip
from archiver.testing import tiny_run
from tests.property.campaigns import campaign

SETTINGS = settings(max_examples=campaign(15, 600), suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handed_over")
    run = tiny_run(folder)
    export_zip(run, folder / "tiny.zip")
    shutil.copytree(export_bag(run, folder / "linked").path, folder / "bag")
    return folder


Change = tuple[int, bool, int, bytes]

CHANGES = st.lists(
    st.tuples(st.integers(0, 10**6), st.booleans(), st.sampled_from([0, 1, 4, 100]), st.binary(max_size=8)),
    min_size=1,
    max_size=4,
)
"""Where, counted from the end; whether near to it, where a zip file lists its members; bytes taken out; put in."""


def changed(data: bytes, changes: list[Change]) -> bytes:
    found = bytearray(data)
    for place, near_end, size, new in changes:
        begin = max(0, len(found) - place % (5000 if near_end else len(found) + 1))
        found[begin : begin + size] = new
    return bytes(found)


@pytest.mark.stress
@SETTINGS
@given(changes=CHANGES)
def test_a_zip_file(changes, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (folder / "changed.zip").write_bytes(changed((folder / "tiny.zip").read_bytes(), changes))
    with contextlib.suppress(ArchiverError):
        verify(folder / "changed.zip")
    assert not list(tmp_path.iterdir())


@pytest.mark.stress
@SETTINGS
@given(changes=CHANGES, number=st.integers(0, 5))
def test_the_tag_files_of_a_bag(changes, number, folder):
    """A bag is whole only with the tag files it was given, but for the tag manifests, which nothing lists."""
    path = sorted(path for path in (folder / "bag").iterdir() if path.is_file())[number]
    before = path.read_bytes()
    after = changed(before, changes)
    try:
        path.write_bytes(after)
        report = verify(folder / "bag")
    finally:
        path.write_bytes(before)
    assert after == before or path.name.startswith("tagmanifest") or not report.is_whole
