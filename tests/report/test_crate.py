"""What the crate says: against records with known answers. That it is valid, tests/standards says."""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from archiver import layout, sealing, verify
from archiver.archive.lineage import find_parents
from archiver.records.base import Unavailable
from archiver.records.environment import CommitPart, RemotePart, RepositoryPart
from archiver.report.context import read_records
from archiver.report.crate import outline as outlines
from archiver.report.crate.files import CrateFile
from archiver.report.crate.graph import MAXIMAL_VALUES, Graph, local
from archiver.report.crate.outline import outline
from archiver.sealing import changing
from archiver.storage.digests import content_swhid
from archiver.storage.hashing import regular_files
from archiver.storage.journal import events_named
from archiver.storage.manifests import MANIFEST_NAMES
from archiver.testing import tiny_run
from tests.report.hostile import HOSTILE

SEALED = datetime(2026, 11, 21, 1, 2, 3, 456789, tzinfo=UTC)
SWHID = "swh:1:cnt:" + "0" * 40


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny_run(tmp_path_factory.mktemp("crate"), tested=True)


@pytest.fixture(scope="module")
def crate(run):
    return entities(run.path_of(layout.CRATE).read_bytes())


def entities(data):
    """By identifier; each stands once."""
    graph = json.loads(data)["@graph"]
    found = {each["@id"]: each for each in graph}
    assert len(found) == len(graph)
    return found


def described(run, records, paths=None, swhid=SWHID):
    paths = regular_files(run.path).keys() - {layout.CRATE.pattern} if paths is None else paths
    made = outline(run.name, run.status, records, paths, swhid)
    return entities(made.filled([CrateFile(path, "a file", 1, "0" * 64) for path in sorted(paths)], SEALED))


def of(found, value):
    """The entities that a property refers to."""
    return [found[each["@id"]] for each in (value if isinstance(value, list) else [value])]


# -- the document


def test_every_file_with_its_size_and_digest(run, crate):
    files = {path: each for path, each in crate.items() if each["@type"] == "File"}
    there = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    assert files.keys() == there - {layout.CRATE.pattern}
    later = {layout.METADATA.path(run.name), *MANIFEST_NAMES.values()}
    for path, each in files.items():
        data = (run.path / path).read_bytes()
        expected = (None, None) if path in later else (str(len(data)), hashlib.sha256(data).hexdigest())
        assert (each.get("contentSize"), each.get("sha256")) == expected
        assert each["description"].endswith("; written after this document") == (path in later)
        assert each["name"] == path.rpartition("/")[2]
    assert crate["README.md"]["description"] == layout.README.description


def test_every_file_is_part_of_its_folder_and_every_folder_of_the_one_above(run, crate):
    def parts_below(identifier):
        for each in of(crate, crate[identifier]["hasPart"]):
            yield each["@id"]
            if each["@type"] == "Dataset":
                assert all(part["@id"].startswith(each["@id"]) for part in of(crate, each["hasPart"]))
                yield from parts_below(each["@id"])

    parts = list(parts_below("./"))
    assert len(parts) == len(set(parts))
    folders = {f"{path.relative_to(run.path).as_posix()}/" for path in run.path.rglob("*") if path.is_dir()}
    assert set(parts) == folders | {path for path, each in crate.items() if each["@type"] == "File"}


def test_every_reference_leads_to_an_entity(crate):
    for each in crate.values():
        for name, value in each.items():
            for item in value if isinstance(value, list) else [value]:
                assert not isinstance(item, dict) or item == {"@id": item["@id"]}
                assert name == "conformsTo" or not isinstance(item, dict) or item["@id"] in crate


def test_hdf5_has_the_format_number_of_what_keras_writes(run, crate):
    """PRONOM's numbers of HDF5 go by the version of the superblock, the byte behind the signature."""
    for path in (layout.H5_MODEL.path(run.name), layout.WEIGHTS_H5.path(run.name)):
        assert (run.path / path).read_bytes()[:9] == b"\x89HDF\r\n\x1a\n\x00"
        assert crate[path]["encodingFormat"][1] == {"@id": "https://www.nationalarchives.gov.uk/PRONOM/fmt/807"}


def test_equal_arguments_give_equal_bytes(run):
    records, paths = read_records(run), sorted(regular_files(run.path))
    files = [CrateFile(path, "a file", 1, "0" * 64) for path in paths]
    first, second = (outline(run.name, run.status, records, paths, SWHID).filled(files, SEALED) for _ in range(2))
    assert first == second
    made = outline(run.name, run.status, records, paths, SWHID)
    assert made.filled(files, SEALED) == made.filled(files, SEALED) == first
    assert first.decode("utf-8").endswith("}\n")


def test_the_time_of_sealing_is_that_of_the_metadata(run, crate):
    assert crate["./"]["datePublished"] == run.read(layout.METADATA).sealed.isoformat(timespec="milliseconds")
    assert described(run, read_records(run))["./"]["datePublished"] == "2026-11-21T01:02:03.456+00:00"


def test_of_very_many_files_some_that_were_added_are_left_out(run, monkeypatch):
    monkeypatch.setattr(outlines, "MAXIMAL_CRATE_FILES", 50)
    paths = sorted(
        [
            *regular_files(run.path).keys() - {layout.CRATE.pattern},
            *(f"files/{number:04}.txt" for number in range(2000)),
        ]
    )
    found = described(run, read_records(run), paths)
    listed = [each for each in found.values() if each["@type"] == "File"]
    others = [path for path in paths if not path.startswith("files/")]
    assert len(listed) == max(50, len(others))
    assert all(path in found for path in others)
    left_out = len(paths) - len(listed)
    if any(each["@id"].startswith("files/") for each in listed):
        assert f"; {left_out:,} files of the archive not listed here" in found["files/"]["description"]


# -- what was done


def test_the_training(run, crate):
    results, training = run.read(layout.RESULTS), crate["#training"]
    assert training["startTime"] == results.started.isoformat(timespec="milliseconds")
    assert training["endTime"] == results.ended.isoformat(timespec="milliseconds")
    assert training["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert "error" not in training
    objects = {each["@id"]: each for each in of(crate, training["object"])}
    assert {layout.MODEL_CONFIG.path(run.name), layout.TRAIN_CONFIG.path(run.name)} <= objects.keys()
    assert objects["#setting/epochs"]["value"] == 2
    assert objects["#setting/learning_rate"] == {
        "@id": "#setting/learning_rate", "@type": "PropertyValue", "name": "learning_rate", "value": 0.01,
    }  # fmt: skip
    stats = run.read(layout.DATASET_STATS)
    for split in ("train", "validation"):
        (fingerprint,) = of(crate, objects[f"#data/{split}"]["identifier"])
        assert fingerprint["value"] == stats.splits[split].samples_fingerprint
    assert "#data/test" not in objects
    made = {each["@id"] for each in training["result"]}
    assert made >= {file.path(run.name) for file in (layout.KERAS_MODEL, layout.WEIGHTS, layout.RESULTS)}
    assert made >= {path for path in regular_files(run.path) if path.startswith("traces/")}
    assert layout.TEST_SCORES.path(run.name) not in made
    variables = {each["name"]: each["value"] for each in of(crate, training["environment"])}
    recorded = list(run.read(layout.SYSTEM).environment.items())[:MAXIMAL_VALUES]
    assert variables == {name: value or "empty" for name, value in recorded}


def test_the_program_is_named_by_its_content(run, crate):
    entry = run.read(layout.SOURCE).entry
    data = (run.path / entry).read_bytes()
    (program,) = of(crate, crate["#training"]["instrument"])
    assert program["identifier"] == content_swhid(data)
    git = subprocess.run(["git", "hash-object", "--stdin"], input=data, capture_output=True, check=True)
    assert program["identifier"] == f"swh:1:cnt:{git.stdout.decode().strip()}"
    assert program["@id"] == f"https://archive.softwareheritage.org/{program['identifier']}"
    assert program["@type"] == "SoftwareSourceCode"
    assert program["encoding"] == {"@id": entry}
    framework = run.read(layout.SYSTEM).framework
    needed = {each["name"]: each["softwareVersion"] for each in of(crate, program["softwareRequirements"])}
    assert needed.pop("TensorFlow") == framework.tensorflow.version
    assert needed.pop("Keras") == framework.keras_version
    assert list(needed.values()) == [sys.version.split()[0]]


def test_the_commit_and_the_repository(run):
    missing = Unavailable(unavailable="made up")
    commit = CommitPart(hash="a" * 40, committed=missing, offset_seconds=missing, subject="s", description=missing)
    fields = {name: missing for name, field in RepositoryPart.model_fields.items() if field.is_required()}
    fields |= {"layout": "main", "operation": None, "commit": commit, "dirty": True}
    fields |= {"remotes": (RemotePart(name="origin", url="https://example.org/repository.git"),)}
    records = read_records(run)
    git = records["git"].model_copy(update={"repository": RepositoryPart(**fields)})
    found = described(run, records | {"git": git})
    program = found[f"https://archive.softwareheritage.org/{SWHID}"]
    assert program["version"] == "git:" + "a" * 40 + "-dirty"
    assert program["codeRepository"] == "https://example.org/repository.git"
    assert found["#training"]["description"].endswith("; code at git:" + "a" * 40 + "-dirty")


def test_without_a_script_keras_alone_is_known_to_have_run(run):
    source = read_records(run)["source"].model_copy(update={"entry": Unavailable(unavailable="python -c")})
    found = described(run, read_records(run) | {"source": source}, swhid=None)
    assert found["#training"]["instrument"] == {"@id": "https://keras.io/"}
    assert found["https://keras.io/"]["softwareVersion"] == read_records(run)["system"].framework.keras_version


def test_the_evaluation(run, crate):
    test, evaluation = run.read(layout.RESULTS).test, crate["#evaluation"]
    assert evaluation["endTime"] == test.evaluated.isoformat(timespec="milliseconds")
    objects = [each["@id"] for each in evaluation["object"]]
    assert "#data/test" in objects
    assert layout.KERAS_MODEL.path(run.name) in objects
    results = of(crate, evaluation["result"])
    assert {layout.TEST_SCORES.path(run.name), layout.PREDICTIONS.path(run.name)} <= {each["@id"] for each in results}
    assert crate["#test/compiled/loss"]["value"] == test.metrics["loss"]
    ((output, score),) = test.scores.items()
    for name, value in score.values.items():
        if isinstance(value, float):
            found = crate[f"#test/{output}/{name}"]
            assert found["value"] == value
            assert found in results
            interval = score.intervals.get(name)
            if interval is not None and not isinstance(interval, Unavailable):
                assert f"95 % confidence interval {interval.low:.4g} to {interval.high:.4g}" in found["description"]
    assert of(crate, crate["./"]["variableMeasured"]) == [each for each in results if each["@type"] == "PropertyValue"]
    assert crate["./"]["mentions"] == [{"@id": "#training"}, {"@id": "#evaluation"}]


def test_a_training_that_failed(tmp_path):
    found = entities(tiny_run(tmp_path, status="failed").path_of(layout.CRATE).read_bytes())
    assert found["#training"]["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert found["#training"]["error"] == "failed: ValueError: made up by archiver.testing"
    assert "#evaluation" not in found


def test_a_training_that_was_cut_off(tmp_path):
    found = entities(tiny_run(tmp_path, status="interrupted").path_of(layout.CRATE).read_bytes())
    assert found["#training"]["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert found["#training"]["error"].startswith("interrupted: ")


def test_without_results_the_training_ended_before_it_was_sealed(run):
    records = dict.fromkeys(read_records(run))
    found = described(run, records, paths=["journal.jsonl"], swhid=None)
    assert found["#training"]["endTime"] == "2026-11-21T01:02:03.456+00:00"
    assert "startTime" not in found["#training"]
    assert found["#training"]["result"] == {"@id": "journal.jsonl"}


# -- lineage


def test_the_runs_that_it_went_on_from(tmp_path):
    parent, stated, run = (tiny_run(tmp_path, name) for name in ("parent", "stated", "child"))
    digest = parent.read(layout.WEIGHTS).weights_digest
    parts = find_parents(run, digest, stated)
    assert {part.run for part in parts} == {"parent", "stated"}
    records = read_records(run)
    results = records["results"].model_copy(update={"parents": tuple(parts)})
    found = described(run, records | {"results": results})
    based_on = of(found, found["./"]["isBasedOn"])
    assert all(each in of(found, found["#training"]["object"]) for each in based_on)
    (ours,) = (each for each in based_on if each["name"] == "run parent")
    assert ours["alternateName"] == parent.path.name
    assert ours["description"] == "a run that this one went on from: training began with its final weights"
    values = {each["name"]: each["value"] for each in of(found, ours["identifier"])}
    assert values == {"weights digest": digest, "seal id": parent.seal_id}


# -- who, and under which license


def notes(run, **given):
    records = read_records(run)
    found = described(run, records | {"run": records["run"].model_copy(update={"notes": given})})
    return found, found["./"]


@pytest.mark.parametrize(
    ("given", "identifier", "name"),
    [
        ("apache-2.0", "https://spdx.org/licenses/Apache-2.0", "apache-2.0"),
        ("CC-BY-4.0", "https://spdx.org/licenses/CC-BY-4.0", "CC-BY-4.0"),
        ("bsd-3-clause", "https://spdx.org/licenses/BSD-3-Clause", "bsd-3-clause"),
        ("https://example.org/license", "https://example.org/license", "https://example.org/license"),
        ("openrail", "#license", "openrail"),
        ("ours, ask us", "#license", "ours, ask us"),
        ("javascript:alert(1)", "#license", "javascript:alert(1)"),
        (None, "#license", "No license given"),
        ("unknown", "#license", "No license given"),
        (["mit"], "#license", "No license given"),
    ],
)
def test_the_license(run, given, identifier, name):
    found, root = notes(run, license=given)
    assert root["license"] == {"@id": identifier}
    assert found[identifier]["name"] == name
    assert found[identifier]["description"]


def test_names_stand_there_only_where_the_user_gave_them(run):
    found, root = notes(run, author=["A", "B"], affiliation="Lab")
    assert [each["name"] for each in of(found, root["author"])] == ["A", "B"]
    assert {each["affiliation"]["@id"] for each in of(found, root["author"])} == {root["publisher"]["@id"]}
    assert found[root["publisher"]["@id"]]["name"] == "Lab"
    assert found["#training"]["agent"] == root["author"]
    found, root = notes(run, author="Only", affiliation=None)
    assert [each["name"] for each in of(found, root["author"])] == ["Only"]
    found, root = notes(run)
    assert root["author"] == root["publisher"]
    assert found[root["publisher"]["@id"]]["name"] == "Not recorded"


# -- strangers' words


@pytest.mark.parametrize(
    "text", [*HOSTILE, "", "x" * 100_000, "\ud800", "./", "@id", "ro-crate-metadata.json", "#training"]
)
def test_hostile_words_stay_words(run, text):
    records = read_records(run)
    phase = records["train_config"].phases[-1].model_copy(update={"hyperparameters": {text: text, "other": [text]}})
    system = records["system"].model_copy(update={"environment": {text: text}})
    given = records["run"].model_copy(update={"tags": (text,), "notes": {"author": text, "license": text, text: text}})
    config = records["train_config"].model_copy(update={"phases": (phase,)})
    found = described(run, records | {"run": given, "system": system, "train_config": config})
    before = described(run, records)
    kinds = {name for each in found.values() for name in each}
    assert kinds - {"affiliation"} == {name for each in before.values() for name in each}
    assert found["./"]["@type"] == "Dataset"
    assert found["ro-crate-metadata.json"] == before["ro-crate-metadata.json"]
    assert len(json.dumps(found)) < len(json.dumps(before)) + 10_000


def test_many_values_are_cut(run):
    records = read_records(run)
    many = {f"p{number}": number for number in range(10_000)}
    phase = records["train_config"].phases[-1].model_copy(update={"hyperparameters": many})
    config = records["train_config"].model_copy(update={"phases": (phase,)})
    found = described(run, records | {"train_config": config})
    assert len([each for each in found if each.startswith("#hyperparameter/")]) == MAXIMAL_VALUES


def test_names_that_become_the_same_identifier_stay_apart():
    graph = Graph()
    first = graph.value(local("a", "x" * 200), "one", 1)
    second = graph.value(local("a", "x" * 300), "two", 2)
    again = graph.value(local("a", "x" * 300), "two", 2)
    assert first != second == again
    assert [each["name"] for each in graph.entities.values()] == ["one", "two"]


# -- sealing


def test_a_crate_that_cannot_be_made_does_not_cost_the_seal(tmp_path, monkeypatch):
    run = tiny_run(tmp_path)
    monkeypatch.setattr(sealing, "outline", lambda *_: 1 / 0)
    with changing(run):
        pass
    assert not run.has(layout.CRATE)  # the one of before would describe other files
    report = verify(run.path)
    assert report.is_whole
    assert [(each.code, each.path) for each in report.information] == [("step_failed", layout.CRATE.pattern)]
    (event,) = events_named(run.journal.read(), "step_failed")
    assert event.details["step"] == "crate"
    monkeypatch.undo()
    with changing(run):
        pass
    assert run.has(layout.CRATE)
    assert verify(run.path).is_whole


def test_it_is_written_after_the_report_and_before_the_list_of_digests(run):
    metadata = run.read(layout.METADATA)
    assert layout.CRATE.pattern in metadata.files
    assert metadata.files[layout.CRATE.pattern].md5 == hashlib.md5(run.path_of(layout.CRATE).read_bytes()).hexdigest()
    assert layout.CRATE.pattern in (run.path / MANIFEST_NAMES["blake3"]).read_text()


def test_opening_an_archive_imports_nothing_of_it():
    code = (
        "import sys, archiver, archiver.archive.verifying\n"
        "assert not [name for name in sys.modules if name.startswith('archiver.report.crate')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
