"""Every record of an archive is valid by the archive's own schemas, for other people's validators in two languages."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from archiver import layout
from archiver.archive.schemas import SCHEMA_KINDS
from archiver.testing import tiny_run
from tests.archive.resealing import edit_json
from tests.standards.environment import FOLDER, needs_standards, run_program

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """With all kinds of records, and one that does not keep to its schema in a copy beside it."""
    needs_standards()
    return tiny_run(tmp_path_factory.mktemp("records"), phases=2, tested=True)


@pytest.fixture(scope="module")
def broken(run, tmp_path_factory):
    folder = Path(shutil.copytree(run.path, tmp_path_factory.mktemp("broken") / run.path.name))
    edit_json(folder / layout.RESULTS.path(run.name), lambda record: record.update(phase_count=-1))
    edit_json(folder / layout.HISTORY.path(run.name), lambda record: record["phases"][0].update(started="yesterday"))
    return folder


def record_paths(run):
    of_other_runs = (layout.REPRODUCTION, layout.WORKERS)
    return {entry.path(run.name) for entry in layout.RECORD_FILES if entry not in of_other_runs}


def check_jsonschema(folder):
    done = run_program("python", HERE / "record_validator.py", folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_check_jsonschema(run):
    report = check_jsonschema(run.path)
    assert report.keys() == record_paths(run) | {"schemas"}
    assert {path: found for path, found in report.items() if found[0] != 0} == {}


def test_check_jsonschema_refuses_what_is_wrong(run, broken):
    report = check_jsonschema(broken)
    refused = {path for path, found in report.items() if found[0] != 0}
    assert refused == {layout.RESULTS.path(run.name), layout.HISTORY.path(run.name)}


def ajv(folder):
    program = shutil.which("node")
    if program is None or not (FOLDER / "node_modules" / "ajv").is_dir():
        assert not os.environ.get("CI"), "`make standards` installs ajv, with npm"
        pytest.skip("needs ajv: `make standards` installs it where there is npm")
    command = [program, str(HERE / "validate_records.js"), str(FOLDER), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_ajv_in_strict_mode(run):
    report = ajv(run.path)
    assert set(report["schemas"]) == {layout.schema_file(kind) for kind in SCHEMA_KINDS}
    lines = run.path_of(layout.JOURNAL).read_text(encoding="utf-8").splitlines()
    assert report["documents"].keys() == record_paths(run) | {f"journal.jsonl:{n + 1}" for n in range(len(lines))}
    assert {path: errors for path, errors in report["documents"].items() if errors} == {}


def test_ajv_refuses_what_is_wrong(run, broken):
    refused = {path: errors for path, errors in ajv(broken)["documents"].items() if errors}
    assert refused.keys() == {layout.RESULTS.path(run.name), layout.HISTORY.path(run.name)}
    (error,) = refused[layout.RESULTS.path(run.name)]
    assert error["instancePath"] == "/phase_count"


def test_the_validators_are_pinned_and_name_no_host():
    package = json.loads((HERE / "package.json").read_bytes())
    assert all(version.replace(".", "").isdigit() for version in package["dependencies"].values())
    assert "://" not in (HERE / "package.json").read_text(encoding="utf-8")
