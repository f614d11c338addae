"""Archives of strangers: each gives the findings that are due, soon, in little memory, and touches nothing outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from archiver.archive.run import Run
from archiver.testing import tiny_run
from tests.hostile.archives import ARCHIVES, CANARY, Hostile, made, outside_of, remove
from tests.property.campaigns import campaign

ROOT = Path(__file__).resolve().parents[2]
MEASURED = Path(__file__).with_name("measured.py")
ARCHIVER = Path(sys.executable).with_name("archiver")
ADDRESS_SPACE_BYTES = 6 << 30
PATIENCE = 6
"""How much longer than its limit an archive may take on a machine that is busy; the limit itself is processor time."""


@dataclass(frozen=True)
class Taken:
    """What a command printed, and what it took."""

    code: int
    output: str
    errors: str
    processor_seconds: float
    mebibytes: float


def run_measured(command: list[str], folder: Path, seconds: float) -> Taken:
    """A program in a process of its own."""
    result = folder / "result.json"
    wrapped = [sys.executable, "-I", str(MEASURED), str(result), str(ADDRESS_SPACE_BYTES), *command]
    ended = subprocess.run(wrapped, cwd=folder, capture_output=True, timeout=seconds, check=True)
    taken = json.loads(result.read_text())
    result.unlink()
    output, errors = (text.decode("utf-8", "surrogateescape") for text in (ended.stdout, ended.stderr))
    return Taken(taken["code"], output, errors, taken["processor_seconds"], taken["mebibytes"])


class Forking:
    """Commands in children of a process that has imported archiver: twenty times as quick as starting it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.hostile.forking"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )

    def run(self, arguments: list[str], folder: Path, seconds: float) -> Taken:
        """One command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"arguments": arguments, "folder": str(folder), "seconds": seconds}
        self._process.stdin.write(json.dumps(request | {"address_space_bytes": ADDRESS_SPACE_BYTES}) + "\n")
        self._process.stdin.flush()
        return Taken(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End it."""
        self._process.communicate()


@pytest.fixture(scope="module")
def forking() -> Iterator[Forking]:
    process = Forking()
    yield process
    process.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two seals, and everything that a run can have."""
    return tiny_run(tmp_path_factory.mktemp("whole"), phases=2, tested=True)


@dataclass(frozen=True)
class Place:
    """An archive of a stranger, and what lies around it."""

    run: Run
    outside: Path
    work: Path


@pytest.fixture
def place(tmp_path: Path, whole: Run) -> Iterator[Place]:
    outside = outside_of(tmp_path)
    (tmp_path / "work").mkdir()
    run = Run.open(shutil.copytree(whole.path, tmp_path / "runs" / "tiny_models"))
    yield Place(run, outside, tmp_path / "work")
    remove(tmp_path / "runs")


def state_of(folder: Path) -> dict[str, Any]:
    """Every file with its bytes, and when it was last read and changed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[path.name] = (status.st_atime, status.st_mtime, status.st_size)
    return found


def forbidden(text: str) -> list[str]:
    """What must not reach a terminal: control characters, and marks that turn the text around."""
    return sorted({each for each in text if each != "\n" and unicodedata.category(each) in ("Cc", "Cf", "Cs")})


def assert_harmless(taken: Taken, place: Place) -> None:
    assert "Traceback" not in taken.errors, taken.errors[-3000:]
    assert CANARY not in taken.output + taken.errors
    assert forbidden(taken.output + taken.errors) == []
    assert not Path("/tmp/archiver-unpickled").exists()
    assert not Path("/tmp/archiver-executed").exists()
    assert list(place.work.iterdir()) == []


IN_A_PROCESS_OF_THEIR_OWN = ARCHIVES if campaign(0, 1) else ARCHIVES[::6]


@pytest.mark.stress
@pytest.mark.parametrize("case", ARCHIVES, ids=lambda case: case.name)
def test_a_hostile_archive_gives_what_is_due(case: Hostile, place: Place, forking: Forking) -> None:
    with made(case, place.run, place.outside):
        before = state_of(place.outside)
        command = ["verify", "--deep", "--format", "json", str(place.run.path)]
        if case in IN_A_PROCESS_OF_THEIR_OWN:
            taken = run_measured([str(ARCHIVER), *command], place.work, case.seconds * PATIENCE)
        else:
            taken = forking.run(command, place.work, case.seconds * PATIENCE)
    assert_harmless(taken, place)
    assert_due(case, taken)
    assert taken.mebibytes < case.mebibytes
    assert taken.processor_seconds < case.seconds
    if case.name != "hard_link_to_the_outside":  # which is a file of the archive, too
        assert state_of(place.outside) == before


def assert_due(case: Hostile, taken: Taken) -> None:
    (report,) = json.loads(taken.output)
    findings, information = report["findings"], report["information"]
    assert {finding["code"] for finding in findings} >= case.due, findings[:5]
    assert {finding["code"] for finding in information} >= case.told, information[:5]
    assert taken.code == (0 if case.is_whole else 1), findings[:5]
    assert report["is_whole"] is case.is_whole
    due = [each for each in findings + information if each["code"] in case.due | case.told]
    texts = [f"{each['path']}: {each['message']}" for each in due]
    assert not texts or any(re.search(case.about, text) for text in texts), texts[:5]
    assert len(findings) + len(information) < 20_000


READERS = (
    ["verify", "RUN"],
    ["verify", "STORE"],
    ["show", "RUN"],
    ["index", "STORE"],
    ["list", "STORE"],
    ["render", "--no-figures", "RUN"],
    ["finalize", "RUN"],
)
"""Other commands that read an archive; those that write, last."""

SOME = (
    "links_in_a_circle", "journal_of_values_of_other_types", "terminal_codes_in_fields",
)  # fmt: skip
FOR_ALL_COMMANDS = [case for case in ARCHIVES if campaign(0, 1) or case.name in SOME]
ALL_COMMANDS_SECONDS = 60
ALL_COMMANDS_MEBIBYTES = 2000


@pytest.mark.stress
@pytest.mark.parametrize("case", FOR_ALL_COMMANDS, ids=lambda case: case.name)
def test_every_command_survives_a_hostile_archive(case: Hostile, place: Place, forking: Forking) -> None:
    with made(case, place.run, place.outside):
        before = state_of(place.outside)
        for command in READERS:
            survive(command, place, forking)
        seal = place.run.path / "manifest-blake3.txt"
        if seal.exists() or seal.is_symlink():
            seal.unlink()
        for command in (["show", "RUN"], ["list", "STORE"], ["finalize", "RUN"], ["finalize", "--force", "RUN"]):
            survive(command, place, forking)
    if case.name != "hard_link_to_the_outside":
        assert state_of(place.outside) == before


def survive(command: list[str], place: Place, forking: Forking) -> None:
    names = {"RUN": str(place.run.path), "STORE": str(place.run.path.parent)}
    taken = forking.run([names.get(word, word) for word in command], place.work, ALL_COMMANDS_SECONDS * PATIENCE)
    assert_harmless(taken, place)
    assert 0 <= taken.code < 20, (command, taken.code, taken.errors[-2000:])
    assert taken.processor_seconds < ALL_COMMANDS_SECONDS, command
    assert taken.mebibytes < ALL_COMMANDS_MEBIBYTES, command


def test_there_are_many() -> None:
    assert len(ARCHIVES) >= 45
