"""Archives that released versions made are read and verified by this one; see `tests/write_golden.py`."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from archiver import layout, verify
from archiver._resources import resource_folder
from archiver.archive.documents import document_bytes
from archiver.archive.run import Run
from archiver.archive.schemas import RELEASED, known_schemas
from archiver.catalog import open_store
from archiver.cli.main import cli
from archiver.closing import outcome
from archiver.storage.digests import sha256_of

FOLDER = Path(__file__).parent / "golden"
ARCHIVES = sorted(FOLDER.glob("*/*.zip"))
STATUS = {"tested": "complete", "phases": "complete", "failed": "failed", "killed": "interrupted"}


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def run(request, tmp_path_factory) -> Run:
    root = tmp_path_factory.mktemp("golden")
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(root)
    (folder,) = root.iterdir()
    return Run.open(folder)


def test_there_are_golden_archives_and_they_are_those_that_were_made():
    listed = dict(line.split("  ")[::-1] for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    found = {path.relative_to(FOLDER).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in ARCHIVES}
    assert found == listed
    assert {path.stem for path in ARCHIVES} == set(STATUS)


def test_it_is_whole_with_every_tensor(run):
    report = verify(run.path, algorithm="all", deep=True)
    assert report.findings == ()
    assert report.status.startswith(STATUS[run.name.partition("_")[0]])
    assert (report.tensors_checked > 0) == run.has(layout.WEIGHTS)


def test_every_record_is_read_with_nothing_lost(run):
    checked = 0
    for entry in layout.RECORD_FILES:
        if run.has(entry):
            document = json.loads(run.path_of(entry).read_bytes())
            now = json.loads(document_bytes(run.read(entry)))
            assert {key: now[key] for key in document} == document
            checked += 1
    assert checked >= 10


def test_what_follows_from_the_journal_follows_still(run):
    history, results = outcome(run)
    assert history.model_copy(update={"schema_reference": ""}) == run.read(layout.HISTORY).model_copy(
        update={"schema_reference": ""}
    )
    assert results.weights_digest == run.read(layout.RESULTS).weights_digest


def test_it_is_shown_and_listed(run):
    shown = CliRunner().invoke(cli, ["show", str(run.path)], catch_exceptions=False)
    assert shown.exit_code == 0
    assert run.name in shown.output
    (row,) = open_store(run.path.parent).runs(columns=["name", "status", "problem"])
    assert row == {"name": run.name, "status": STATUS[run.name.partition("_")[0]], "problem": None}


def test_its_schemas_are_in_the_list_of_those_released(run):
    released = json.loads((resource_folder("schemas") / RELEASED).read_bytes())
    for path in (run.path / "schemas").iterdir():
        kind = path.name.removesuffix(".schema.json")
        digest = sha256_of(path.read_bytes())
        assert digest in released[kind]
        assert digest in known_schemas(kind)
