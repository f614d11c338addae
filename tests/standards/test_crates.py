"""Every archive is a valid RO-Crate 1.1 and Process Run Crate 0.5 at level RECOMMENDED, for roc-validator, offline."""

import json
import os
from pathlib import Path

import keras
import pytest

import archiver
from archiver import layout, verify
from archiver.storage.journal import events_named
from archiver.testing import tiny_run
from tests.archive.resealing import edit_json
from tests.standards.archives import KINDS
from tests.standards.environment import needs_standards, run_program
from tests.training import small

HERE = Path(__file__).parent
NAMES = [make.__name__ for make in KINDS]


def trained(root):
    """By Keras itself."""
    keras.utils.set_random_seed(1)
    archive = archiver.RunArchiver(root, name="trained", hyperparameters={"units": 8, "rates": [0.2]}, tags=["small"])
    x, y = small.arrays()
    validation = small.arrays(16, 1)
    small.model().fit(x, y, validation_data=validation, epochs=2, batch_size=16, verbose=0, callbacks=[archive])
    return archive.finalize(test_data=small.arrays(20, 2), class_names=["even", "odd"])


def spoilt(root):
    """Valid but for an action without an instrument, and a file that has no format."""
    run = tiny_run(root, "spoilt")

    def spoil(crate):
        entities = {each["@id"]: each for each in crate["@graph"]}
        del entities["#training"]["instrument"], entities["files/notes.txt"]["encodingFormat"]

    edit_json(run.path_of(layout.CRATE), spoil)
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    needs_standards()
    root = tmp_path_factory.mktemp("crates")
    return {make.__name__: make(root) for make in (*KINDS, trained, spoilt)}


@pytest.fixture(scope="module")
def reports(runs, tmp_path_factory):
    """By name of the run: what the validator says, which has no way to a network."""
    cache = tmp_path_factory.mktemp("cache") / "responses"
    closed = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:1")
    folders = {name: str(run.path) for name, run in runs.items()}
    environment = os.environ | closed
    done = run_program(
        "python", HERE / "crate_validator.py", HERE / "contexts", cache, *folders.values(), env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    return {name: found[folder] for name, folder in folders.items()}


@pytest.mark.parametrize("name", [*NAMES, "trained"])
def test_the_crate_is_valid(name, runs, reports):
    assert not [
        event for event in events_named(runs[name].journal.read(), "step_failed") if event.details["step"] == "crate"
    ]
    assert runs[name].has(layout.CRATE)
    assert reports[name]["issues"] == []
    assert reports[name]["skipped"] == []


@pytest.mark.parametrize("name", [*NAMES, "trained"])
def test_the_archive_is_whole(name, runs):
    assert verify(runs[name].path).findings == ()


def test_the_validator_finds_what_is_wrong(reports):
    issues = "\n".join(reports["spoilt"]["issues"])
    assert "The Action MUST have an instrument property that references the executed tool" in issues
    assert "Missing or invalid `encodingFormat`" in issues
    assert len(reports["spoilt"]["issues"]) == 2


def test_all_checks_of_both_profiles_were_done(reports):
    profiles = {check.rpartition("_")[0] for check in reports["tested"]["checks"]}
    assert profiles == {"ro-crate-1.1", "process-run-crate-0.5"}
    assert len(reports["tested"]["checks"]) > 100
