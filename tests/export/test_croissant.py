"""mlcroissant itself reads what is written, in an environment of its own, and may not ask the network for anything."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archiver import layout, verify
from archiver.archive.run import Run
from archiver.collect.data_paths import named_paths
from archiver.collect.data_sources import describe_paths
from archiver.collect.reading_limits import Limits
from archiver.errors import RunStateError
from archiver.export.croissant import CONTEXT, export_croissant
from archiver.sealing import changing
from archiver.testing import tiny_run
from tests.standards.environment import run_program

READ = """
import json, socket, sys
def refuse(*arguments, **options): raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refuse
import mlcroissant as mlc
data = mlc.Dataset(sys.argv[1])
def plain(value): return value.decode() if isinstance(value, bytes) else value
print(json.dumps({
    "issues": data.metadata.ctx.issues.report(),
    "name": data.metadata.name,
    "protocol": data.metadata.data_preprocessing_protocol,
    "files": [[each.name, each.sha256] for each in data.metadata.file_objects],
    "folders": [each.name for each in data.metadata.file_sets],
    "records": {each.id: [{k: plain(v) for k, v in record.items()} for record in data.records(each.id)]
                for each in data.metadata.record_sets},
}))
"""

STATED = {
    "name": "Digits",
    "license": "https://spdx.org/licenses/CC-BY-4.0",
    "url": "https://example.org/digits",
    "version": "2.1.0",
    "citation": "Digits, 2020",
    "published": "2020-02-03",
}


def read(path: Path) -> Any:
    """What mlcroissant makes of it; it raises where there is an error."""
    result = run_program("python", "-c", READ, path)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "not standard" not in result.stderr
    return json.loads(result.stdout)


def with_sources(run: Run, source: Any) -> Run:
    """As a training leaves it that was told where its data came from."""
    stats = run.read(layout.DATASET_STATS)
    parts = describe_paths(named_paths(source), Limits())
    with changing(run):
        run.write(layout.DATASET_STATS, stats.model_copy(update={"source": source, "source_files": parts}))
    assert verify(run.path).is_whole
    return run


def test_data_in_memory(run, tmp_path):
    stats = run.read(layout.DATASET_STATS)
    found = read(export_croissant(run, tmp_path / "data.json", license_text="https://spdx.org/licenses/CC0-1.0"))
    assert found["issues"] == ""
    assert found["name"] == "data of tiny"
    assert found["protocol"] == ["none"]
    assert found["files"] == []
    records = found["records"]
    assert [record["splits/name"] for record in records["splits"]] == list(stats.splits)
    for record, split in zip(records["splits"], stats.splits.values(), strict=True):
        assert record["splits/sample_count"] == split.sample_count
        assert record["splits/samples_fingerprint"] == split.samples_fingerprint
    arrays = [(name, array) for name, split in stats.splits.items() for array in split.arrays]
    for record, (split, array) in zip(records["arrays"], arrays, strict=True):
        assert (record["arrays/split"], record["arrays/name"]) == (split, array.name)
        assert record["arrays/shape"] == ",".join(map(str, array.shape))
        assert (record["arrays/dtype"], record["arrays/sha256"]) == (array.dtype, array.sha256)
        assert record["arrays/mean"] == pytest.approx(array.mean)
    if stats.class_names:
        assert [record["classes/name"] for record in records["classes"]] == list(stats.class_names)
    counts = {(each["class_counts/split"], each["class_counts/class"]): each["class_counts/sample_count"]
              for each in records["class_counts"]}  # fmt: skip
    assert counts[("train", "0")] == stats.splits["train"].class_counts["0"]


def test_without_a_licence_that_alone_is_warned_of(run, tmp_path):
    issues = read(export_croissant(run, tmp_path / "data.json"))["issues"]
    assert issues.count("Property") == 1
    assert "schema.org/license" in issues


def test_files_folders_and_what_the_user_states(run, tmp_path):
    folder = tmp_path / "images [1]"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train data.csv").write_text(f"x,y\n1,{name}\n")
    source = {**STATED, "train": str(tmp_path / "a" / "train data.csv"), "more": str(tmp_path / "b" / "train data.csv")}
    run = with_sources(run, {**source, "images": str(folder)})
    path = export_croissant(run, tmp_path / "data.json")
    found = read(path)
    assert found["issues"] == ""
    assert found["name"] == "Digits"
    parts = run.read(layout.DATASET_STATS).source_files
    assert found["files"] == [["train data.csv", part.sha256] for part in parts if part.kind == "file"]
    assert found["folders"] == ["images [1]"]
    assert [record["sources/kind"] for record in found["records"]["sources"]] == ["file", "file", "folder"]
    document = json.loads(path.read_text())
    stated = {"license": STATED["license"], "url": STATED["url"], "version": "2.1.0", "datePublished": "2020-02-03"}
    assert {name: document[name] for name in stated} == stated
    assert document["citeAs"] == "Digits, 2020"
    assert len({each["@id"] for each in document["distribution"]}) == 3


def test_numbers_that_json_has_not(run, tmp_path):
    stats = run.read(layout.DATASET_STATS)
    train = stats.splits["train"]
    arrays = tuple(array.model_copy(update={"mean": np.nan, "maximum": np.inf}) for array in train.arrays)
    splits = {**stats.splits, "train": train.model_copy(update={"arrays": arrays})}
    with changing(run):
        run.write(layout.DATASET_STATS, stats.model_copy(update={"splits": splits}))
    path = export_croissant(run, tmp_path / "data.json", license_text="MIT")
    assert json.loads(path.read_text())["recordSet"][1]["data"][0]["arrays/mean"] is None
    assert read(path)["issues"] == ""


def test_the_context_is_that_of_the_specification():
    """mlcroissant warns of another one, but only where a name is missing."""
    code = (
        "import json; from mlcroissant._src.core.rdf import make_context;"
        "from mlcroissant._src.core.context import Context;"
        "print(json.dumps(make_context(Context(conforms_to='http://mlcommons.org/croissant/1.1'))))"
    )
    assert json.loads(run_program("python", "-c", code).stdout) == CONTEXT


def test_never_overwritten_and_only_of_whole_runs(run, tmp_path):
    (tmp_path / "data.json").touch()
    with pytest.raises(RunStateError, match="never overwritten"):
        export_croissant(run, tmp_path / "data.json")
    with pytest.raises(RunStateError, match="not sealed"):
        export_croissant(tiny_run(tmp_path / "other", sealed=False), tmp_path / "other.json")
