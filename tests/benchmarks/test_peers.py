"""The peers: what is not installed says why, and every case has its adapter and its requirements."""

from __future__ import annotations

import re

import pytest

from benchmarks.peers import __main__ as peers
from benchmarks.peers import environments

ADAPTERS = environments.ROOT / "benchmarks" / "peers" / "adapters"


def test_why_a_peer_cannot_be_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    assert environments.why_missing("aim") == "not installed: `make peers`"
    (tmp_path / "aim").mkdir()
    (tmp_path / "aim" / "failed").write_text("No matching distribution found for aim==1\n")
    assert environments.why_missing("aim") == "does not install: No matching distribution found for aim==1"
    (tmp_path / "aim" / "failed").unlink()
    (tmp_path / "aim" / "installed").write_text("aim==1")
    assert environments.why_missing("aim") is None


def test_the_reason_is_the_last_error_of_pip():
    errors = (
        "WARNING: slow\nERROR: Could not find a version\nERROR: No matching distribution found for x==1\nhint: none"
    )
    assert environments._reason(errors) == "No matching distribution found for x==1"
    assert environments._reason("") == "pip failed"


def test_what_is_not_installed_has_a_row_that_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    aim = next(case for case in peers.CASES if case.name == "Aim")
    peers.costs([aim], rounds=2, epochs=3, steps=3)
    printed = re.sub(r"[^\w:`]+", " ", capsys.readouterr().out)
    assert "Aim" in printed
    assert "not" in printed
    assert "installed" in printed


@pytest.mark.parametrize("case", peers.CASES, ids=lambda case: case.name)
def test_a_case_has_its_adapter_and_its_environment(case):
    source = (ADAPTERS / f"{case.adapter}.py").read_text(encoding="utf-8")
    assert "train" in source
    assert "load" in source
    assert case.environment in (environments.BASE, *environments.names())
    assert set(case.counts) <= set(peers.MEASURES)


@pytest.mark.parametrize("path", sorted(environments.REQUIREMENTS.glob("*.txt")), ids=lambda path: path.stem)
def test_requirements_are_pinned(path):
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pins = [line for line in lines if line]
    assert len(pins) > 1
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", pin)] == []
