"""Packages of conda, from notes as conda and micromamba write them."""

from __future__ import annotations

import json
from pathlib import Path

from archiver.collect.conda import collect_conda_packages
from archiver.records.base import Unavailable


def note(folder: Path, name: str, version: str, build: str, indent: int = 2, **fields: object) -> None:
    (folder / "conda-meta").mkdir(exist_ok=True)
    files = [f"lib/{number}.py" for number in range(200)]
    paths = [{"_path": path, "sha256": "f" * 64, "sha256_in_prefix": "f" * 64} for path in files]
    document = {"build": build, "files": files, **fields, "name": name, "paths_data": {"paths": paths}}
    (folder / "conda-meta" / f"{name}-{version}-{build}.json").write_text(json.dumps(document, indent=indent))


def test_no_environment_of_conda(tmp_path: Path) -> None:
    assert collect_conda_packages(tmp_path) is None


def test_what_the_notes_tell(tmp_path: Path) -> None:
    note(tmp_path, "cudatoolkit", "11.8.0", "h6a678d5_0", channel="https://conda.anaconda.org/conda-forge/linux-64",
         sha256="a" * 64)  # fmt: skip
    note(tmp_path, "ca-certificates", "2026.1.4", "hbcca054_0", indent=4, sha256="b" * 64,
         channel="https://conda.anaconda.org/t/tk-1a2b3c4d-aaaa-bbbb-cccc-0123456789ab/own")  # fmt: skip
    note(tmp_path, "local", "1", "0")
    (tmp_path / "conda-meta" / "odd.json").write_text("{}")
    packages = collect_conda_packages(tmp_path)
    assert packages is not None
    assert list(packages) == ["ca-certificates", "cudatoolkit", "local"]
    assert packages["cudatoolkit"].model_dump() == {
        "version": "11.8.0", "build": "h6a678d5_0", "sha256": "a" * 64,
        "channel": "https://conda.anaconda.org/conda-forge/linux-64",
    }  # fmt: skip
    assert packages["ca-certificates"].channel == "https://conda.anaconda.org/t/[redacted]/own"
    assert packages["ca-certificates"].sha256 == "b" * 64
    assert isinstance(packages["local"].channel, Unavailable)
    assert isinstance(packages["local"].sha256, Unavailable), "those of its files are not its own"
