"""verify compares the crate with the files, whatever the manifests say."""

import json
import shutil

import pytest

from archiver import layout, verify
from archiver.archive import crate_agreement
from archiver.archive.run import Run
from archiver.testing import tiny_run
from tests.archive.resealing import edit_json, rewrite_manifests

CRATE = layout.CRATE.pattern


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    return tiny_run(tmp_path_factory.mktemp("sealed"), tested=True)


@pytest.fixture
def run(sealed, tmp_path):
    return Run.open(shutil.copytree(sealed.path, tmp_path / "tiny_models"))


def entity_of(document, path):
    (found,) = (each for each in document["@graph"] if each["@id"] == path)
    return found


def index_of(run, path):
    graph = json.loads((run.path / CRATE).read_bytes())["@graph"]
    (found,) = (place for place, each in enumerate(graph) if each["@id"] == path)
    return found


def findings_after(run, edit):
    """What is found once the crate is changed and the manifests fit it again, but for the metadata's own list."""
    edit_json(run.path / CRATE, edit)
    rewrite_manifests(run.path)
    metadata = layout.METADATA.path(run.name)
    findings = verify(run.path).findings
    return [(each.code, each.path, each.message) for each in findings if not each.path.startswith(metadata)]


@pytest.mark.parametrize(("name", "value"), [("contentSize", "1"), ("sha256", "0" * 64), ("sha256", None)])
def test_size_and_digest_of_another_file(run, name, value):
    path = "files/notes.txt"
    place = index_of(run, path)
    ((code, where, message),) = findings_after(run, lambda crate: entity_of(crate, path).update({name: value}))
    assert (code, where) == ("disagreement", f"{CRATE}#/@graph/{place}/{name}")
    assert f"received {value}, expected " in message


def test_a_file_that_is_not_there(run):
    def edit(crate):
        crate["@graph"].append({"@id": "files/none%20such.txt", "@type": ["File", "SoftwareSourceCode"]})

    ((code, where, message),) = findings_after(run, edit)
    assert code == "disagreement"
    assert where.startswith(f"{CRATE}#/@graph/")
    assert message == "describes files/none such.txt, which is not there"


def test_a_file_that_is_not_described(run):
    def edit(crate):
        crate["@graph"].remove(entity_of(crate, "files/notes.txt"))

    assert findings_after(run, edit) == [("disagreement", CRATE, "does not describe files/notes.txt")]


def test_a_file_that_is_described_twice(run):
    def edit(crate):
        crate["@graph"].append(entity_of(crate, "files/notes.txt") | {"@id": "./files/notes.txt"})

    ((_, _, message),) = findings_after(run, edit)
    assert message == "describes files/notes.txt once more"


@pytest.mark.parametrize("identifier", ["../../etc/passwd", "file:///etc/passwd", "http://example.org/a", None, 3])
def test_a_path_that_leads_elsewhere(run, identifier):
    def edit(crate):
        crate["@graph"].append({"@id": identifier, "@type": "File"})

    ((code, where, _),) = findings_after(run, edit)
    assert code == "disagreement"
    assert where.startswith(f"{CRATE}#/@graph/")


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"@graph": {}}', b"[" * 100_000, b"\xff", b'{"@graph": 1e999}'])
def test_what_is_no_crate(run, data):
    (run.path / CRATE).write_bytes(data)
    rewrite_manifests(run.path)
    found = {(each.code, each.path.partition("#")[0]) for each in verify(run.path).findings}
    assert ("record", CRATE) in found


def test_odd_entities_are_passed_over(run):
    def edit(crate):
        crate["@graph"] += [None, 3, [], {}, {"@type": {"a": 1}}, {"@type": [["File"]]}]

    assert findings_after(run, edit) == []


def test_an_archive_of_before_is_whole_without_one(run):
    (run.path / CRATE).unlink()
    metadata = run.path_of(layout.METADATA)
    edit_json(metadata, lambda record: record["files"].pop(CRATE))
    rewrite_manifests(run.path)
    assert verify(run.path).is_whole


def test_a_damaged_file_is_found_once(run):
    (run.path / "files" / "notes.txt").write_text("other\n")
    assert [(each.code, each.path) for each in verify(run.path).findings] == [("changed", "files/notes.txt")]


def test_a_missing_file_is_found_once(run):
    (run.path / "files" / "notes.txt").unlink()
    assert [each.path for each in verify(run.path).findings if each.code == "missing"] == ["files/notes.txt"]
    assert not [each for each in verify(run.path).findings if each.path.startswith(CRATE)]


def test_where_there_are_too_many_files_to_list(run, monkeypatch):
    listed = len([each for each in json.loads((run.path / CRATE).read_bytes())["@graph"] if each["@type"] == "File"])
    monkeypatch.setattr(crate_agreement, "MAXIMAL_CRATE_FILES", listed - 1)

    def edit(crate):
        crate["@graph"].remove(entity_of(crate, "files/notes.txt"))

    assert findings_after(run, edit) == []
