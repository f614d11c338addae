"""Installed packages, checked against pip and importlib.metadata."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archiver.collect.packages import collect_packages, normalised_name
from archiver.records.base import Unavailable
from archiver.records.environment import PackagesRecord


def install(folder: Path, name: str, version: str, files: dict[str, str], **metadata: str | None) -> Path:
    """Lay a distribution out as an installer does."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    defaults: dict[str, str | None] = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: not this\n",
        "INSTALLER": "pip\n",
        "WHEEL": "Wheel-Version: 1.0\nTag: cp311-cp311-linux_x86_64\nTag: py3-none-any\n",
    }
    for file, text in (defaults | {key.replace("_json", ".json"): text for key, text in metadata.items()}).items():
        if text is not None:
            (info / file).write_text(text)
    rows = []
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f'"{path}",sha256={digest},{len(text)}')
    rows += [f"{info.name}/INSTALLER,sha256=varies{len(str(folder))},4", f"{info.name}/RECORD,,", "../bin/x,sha256=a,1"]
    (info / "RECORD").write_text("\r\n".join(reversed(rows)) + "\r\n")
    return info


@pytest.fixture
def empty_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder)])
    return folder


def test_the_same_as_pip() -> None:
    try:
        output = subprocess.run(
            [sys.executable, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    except subprocess.CalledProcessError:
        pytest.skip("there is no pip")
    expected = {normalised_name(each["name"]): each["version"] for each in json.loads(output)}
    assert {name: part.version for name, part in collect_packages().packages.items()} == expected


def test_the_same_as_importlib_metadata() -> None:
    record = collect_packages()
    assert list(record.packages) == sorted(record.packages)
    for distribution in importlib.metadata.distributions():
        part = record.packages[normalised_name(distribution.metadata["Name"])]
        assert part.name == distribution.metadata["Name"]
        assert part.version == importlib.metadata.version(part.name)
    archiver = record.packages["keras-archiver"]
    direct_url = importlib.metadata.distribution("keras-archiver").read_text("direct_url.json")
    assert archiver.editable == ("editable" in (direct_url or ""))


def test_the_record_survives_being_written() -> None:
    record = collect_packages()
    assert PackagesRecord.model_validate_json(record.model_dump_json(by_alias=True)) == record


def test_what_is_read_of_a_distribution(empty_path: Path) -> None:
    install(
        empty_path, "Some_Tool.x", "1.0", {"tool.py": "1", "a b/c.py": "2"}, REQUESTED="",
        direct_url_json=json.dumps({"url": "https://ada:hunter2@h/r.git?x=y", "vcs_info": {"vcs": "git",
                                    "commit_id": "a" * 40}}),
    )  # fmt: skip
    (part,) = collect_packages().packages.values()
    assert collect_packages().packages.keys() == {"some-tool-x"}
    assert (part.name, part.version, part.installer, part.requested) == ("Some_Tool.x", "1.0", "pip", True)
    assert part.direct_url == {"url": "https://h/r.git", "vcs_info": {"vcs": "git", "commit_id": "a" * 40}}
    assert part.tags == ("cp311-cp311-linux_x86_64", "py3-none-any")
    assert part.file_count == 2
    assert not part.editable


def test_the_fingerprint_tells_contents_and_not_machines(empty_path: Path, tmp_path: Path) -> None:
    def fingerprint(text: str, folder: Path) -> object:
        info = install(folder, "tool", "1.0", {"tool.py": text})
        part = collect_packages().packages["tool"]
        shutil.rmtree(info)
        return part.record_sha256

    first = fingerprint("one", empty_path)
    longer = tmp_path / "another-machine-with-another-installer"
    sys.path[:] = [str(longer)]
    assert fingerprint("one", longer) == first
    assert fingerprint("two", longer) != first


def test_the_fingerprint_is_what_the_record_says(empty_path: Path) -> None:
    info = install(
        empty_path, "tool", "1.0", {f'tool/{number}, "é".py'.replace('"', "'"): "" for number in range(2500)}
    )
    rows = []
    for line in csv.reader((info / "RECORD").read_text().splitlines()):
        if line[0].startswith("tool/"):
            rows.append(line[:2])
    canonical = json.dumps(sorted(rows), separators=(",", ":")).encode()
    part = collect_packages().packages["tool"]
    assert (part.file_count, part.record_sha256) == (2500, hashlib.sha256(canonical).hexdigest())


def test_the_first_on_the_path_counts(empty_path: Path, tmp_path: Path) -> None:
    install(empty_path, "tool", "2.0", {})
    second = tmp_path / "second"
    install(second, "Tool", "1.0", {})
    sys.path += [str(second), str(second), str(empty_path)]
    part = collect_packages().packages["tool"]
    assert part.version == "2.0"
    assert [(each.version, each.location) for each in part.shadowed] == [("1.0", str(second))]


def test_two_versions_in_one_folder(empty_path: Path) -> None:
    install(empty_path, "tool", "2.0", {})
    install(empty_path, "tool", "1.0", {})
    part = collect_packages().packages["tool"]
    assert {part.version, *(each.version for each in part.shadowed)} == {"1.0", "2.0"}


def test_broken_metadata_is_listed_and_stops_nothing(empty_path: Path) -> None:
    install(empty_path, "good", "1.0", {})
    (empty_path / "empty-1.0.dist-info").mkdir()
    nameless = install(empty_path, "nameless", "1.0", {}, METADATA="Version: 1.0\n")
    no_text = install(empty_path, "no-text", "1.0", {})
    (no_text / "METADATA").write_bytes(b"Name: \xff\xfe\n")
    record = collect_packages()
    assert list(record.packages) == ["good"]
    reasons = {Path(each.location).name: each.reason for each in record.unreadable}
    assert "no name" in reasons["empty-1.0.dist-info"]
    assert "no name" in reasons[nameless.name]
    assert "UnicodeDecodeError" in reasons[no_text.name]


def test_what_is_missing_is_said(empty_path: Path) -> None:
    info = install(empty_path, "tool", "1.0", {}, METADATA="Name: tool\n", INSTALLER=None, WHEEL=None)
    (info / "RECORD").unlink()
    (info / "direct_url.json").write_text("{")
    part = collect_packages().packages["tool"]
    assert isinstance(part.version, Unavailable)
    assert isinstance(part.record_sha256, Unavailable)
    assert isinstance(part.file_count, Unavailable)
    assert part.installer is None
    assert part.tags == ()
    assert "unavailable" in part.direct_url


def test_a_finder_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        @staticmethod
        def find_spec(*arguments: object) -> None:
            return None

        @staticmethod
        def find_distributions(context: object) -> object:
            raise RuntimeError("broken finder")

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Broken])
    record = collect_packages()
    assert "numpy" in record.packages
    assert record.unreadable[-1].reason == "RuntimeError: broken finder"


def test_an_egg(empty_path: Path) -> None:
    (empty_path / "old.egg-info").write_text("Metadata-Version: 1.0\nName: old\nVersion: 0.1\n")
    (empty_path / "older.egg-info").mkdir()
    (empty_path / "older.egg-info" / "PKG-INFO").write_text("Name: older\nVersion: 0.0.1\n")
    assert {name: part.version for name, part in collect_packages().packages.items()} == {
        "old": "0.1",
        "older": "0.0.1",
    }


def test_a_package_that_is_installed_anew_has_another_fingerprint(empty_path: Path) -> None:
    """Each fingerprint is made once in a process: as long as RECORD stays as it is."""
    record = install(empty_path, "tool", "1.0", {"tool.py": "value = 1\n"}) / "RECORD"
    (first,) = collect_packages().packages.values()
    assert collect_packages().packages["tool"] == first
    before = record.stat()
    shutil.rmtree(empty_path / "tool-1.0.dist-info")
    record = install(empty_path, "tool", "1.0", {"tool.py": "value = 2\n"}) / "RECORD"
    os.utime(record, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert record.stat().st_size == before.st_size
    assert collect_packages().packages["tool"].record_sha256 != first.record_sha256


def test_a_thousand_packages(empty_path: Path) -> None:
    """The record stays small enough to read."""
    for number in range(1000):
        install(empty_path, f"package-{number}", f"1.{number}", {f"package_{number}/{name}.py": "" for name in "abcde"})
    record = collect_packages()
    assert len(record.packages) == 1000
    assert all(part.file_count == 5 for part in record.packages.values())
    assert len(record.model_dump_json(by_alias=True)) < 600_000


def test_packages_of_conda_stand_beside(empty_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert collect_packages().conda_packages is None
    (tmp_path / "conda-meta").mkdir()
    (tmp_path / "conda-meta" / "python-3.11.9-h955ad1f_0.json").write_text("{}")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    packages = collect_packages().conda_packages
    assert packages is not None
    assert (packages["python"].version, packages["python"].build) == ("3.11.9", "h955ad1f_0")
