"""Who finds what has happened to an archive: random faults of every kind, and untouched copies, by several checkers.

python -m benchmarks.faults [--faults 10000] [--untouched 1000] [--dvc PROGRAM]

The faults are those of the tests (`tests/property/faults.py`): they keep the times of files, and sizes where they can.
Each is done to a copy of one of several archives, which is also the payload of a bag (RFC 8493), and is looked at by

- `archiver verify`;
- `bagit.py`, validating the bag (from `.venv-standards`, see `make standards`; left out where that is not there);
- `md5sum --strict -c` with the archive's own manifest;
- the rule of `dvc status`: a file whose modification time, size and inode are those recorded is unchanged, any
  other is hashed. With `--dvc`, the real program looks at some of the faults too, and the two are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from archiver import verify
from archiver.archive.findings import VerifyReport
from archiver.testing import tiny_run
from benchmarks.common import figure, print_machine, print_note, print_table
from tests.property.faults import WAYS, Damage, Subject, is_named
from tests.property.test_faults import COPIES
from tests.standards.environment import PROGRAMS

SEED = 1
HANGING_SECONDS = 0.5
"""How long md5sum is waited for where a pipe took the place of a file: nobody will ever write to it."""

_BAGIT = """
import logging, sys, bagit
logging.disable(logging.CRITICAL)
for line in sys.stdin:
    try:
        bagit.Bag(line.rstrip("\\n")).validate()
        print("whole", flush=True)
    except Exception as error:
        print("found", flush=True)
"""

Checker = Callable[[Path, dict[str, Any]], bool]
"""Whether the bag in a folder is reported; gets what was recorded of its files while they were whole."""


class Bagit:
    """`bagit.py` in one process for all bags: starting it takes ten times as long as checking so small a bag."""

    def __init__(self) -> None:
        command = [str(PROGRAMS / "python"), "-c", _BAGIT]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def make(self, folder: Path) -> None:
        """Turn a folder into a bag."""
        command = [str(PROGRAMS / "python"), "-c", "import bagit, sys; bagit.make_bag(sys.argv[1])", str(folder)]
        subprocess.run(command, check=True, capture_output=True)

    def __call__(self, bag: Path, _: dict[str, Any]) -> bool:
        """Whether a bag is reported."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{bag}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip() == "found"


class Archiver:
    """`archiver verify`; keeps its last report."""

    report: VerifyReport

    def __call__(self, bag: Path, _: dict[str, Any]) -> bool:
        """Whether an archive is reported."""
        self.report = verify(bag / "data")
        return not self.report.is_whole


def md5sum(bag: Path, _: dict[str, Any]) -> bool:
    command = ["md5sum", "--strict", "--quiet", "-c", "manifest-md5.txt"]
    has_pipe = any(stat.S_ISFIFO(path.lstat().st_mode) for path in (bag / "data").rglob("*"))
    try:
        ended = subprocess.run(
            command, cwd=bag / "data", capture_output=True, check=False, timeout=HANGING_SECONDS if has_pipe else 60
        )
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode != 0


def recorded(folder: Path) -> dict[str, Any]:
    """Of each file: modification time, size and inode, and its MD5."""
    return {name: (_token(folder / name), _md5(folder / name)) for name in _files(folder)}


def dvc_rule(bag: Path, known: dict[str, Any]) -> bool:
    folder = bag / "data"
    if set(_files(folder)) != set(known):
        return True
    return any(
        _token(folder / name) != token and (not (folder / name).is_file() or _md5(folder / name) != digest)
        for name, (token, digest) in known.items()
    )


def _files(folder: Path) -> list[str]:
    found = (Path(where, name) for where, _, names in os.walk(folder, followlinks=True) for name in names)
    return [path.relative_to(folder).as_posix() for path in found]


def _token(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def who(checker: str) -> str:
    """Ours has the name that it has everywhere in RESULTS.md."""
    return checker.removesuffix(" verify")


def make_archives(root: Path) -> list[Path]:
    """Runs of every kind, those of two seals and more first."""
    made = [
        tiny_run(root, phases=2, tested=True),
        tiny_run(root, phases=3),
        tiny_run(root, tested=True),
        tiny_run(root, phases=2, status="interrupted"),
        tiny_run(root, epochs=1, status="failed"),
    ]
    return [run.path for run in made]


def _into_data(folder: Path) -> None:
    """What making a bag would do with the files."""
    inner = folder.rename(folder.with_name("data"))
    folder.mkdir()
    inner.rename(folder / "data")


def try_faults(
    wholes: list[Path], older: dict[str, bytes], archiver: Archiver, checkers: dict[str, Checker], count: int
) -> list[list[str]]:
    """A row for each way: how many faults, and how many of them each checker reported."""
    rows, totals, unnamed = [], Counter[str](), 0
    for way in WAYS:
        found = Counter[str]()

        def judge(subject: Subject, damage: Damage, known: dict[str, Any], found: Counter[str] = found) -> None:
            nonlocal unnamed
            found["faults"] += 1
            for name, checker in checkers.items():
                found[name] += checker(subject.folder.parent, known)
            unnamed += not is_named(archiver.report, damage)

        for number, whole in enumerate(wholes):  # the first ones have one more where it does not come out even
            campaign(whole, older, way, (count + len(wholes) - 1 - number) // len(wholes), judge)
        totals += found
        rows.append(_row(way.__name__.replace("_", " "), (way.__doc__ or "").rstrip("."), found, checkers))
        print(way.__name__, dict(found), file=sys.stderr, flush=True)
    print_note(f"archiver named what was hit in {totals['faults'] - unnamed:,} of {totals['faults']:,}")
    figure("faults_named", "archiver", 100 * (1 - unnamed / totals["faults"]), "%")
    for name in checkers:
        figure("faults_found", who(name), 100 * totals[name] / totals["faults"], "%")
    return [*rows, _row("all", "", totals, checkers)]


def campaign(whole: Path, older: dict[str, bytes], way: Any, count: int, judge: Callable[..., None]) -> None:
    """Do a way `count` times, each time to a fresh copy."""

    @seed(SEED)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
    )
    @given(data=st.data(), ticket=st.integers(0, 1 << 60))
    def try_it(data: st.DataObject, ticket: int) -> None:
        del ticket  # without it hypothesis would end once every file was deleted
        with tempfile.TemporaryDirectory() as folder:
            bag = Path(shutil.copytree(whole, Path(folder, "bag")))
            known = recorded(bag / "data")
            subject = Subject(bag / "data", older, Path(folder))
            judge(subject, way(subject, data.draw), known)

    try_it()


def _row(name: str, text: str, found: Counter[str], checkers: dict[str, Checker]) -> list[str]:
    counts = [f"{found[checker]:,}" for checker in checkers]
    return [name, text, f"{found['faults']:,}", *counts]


def try_untouched(wholes: list[Path], checkers: dict[str, Checker], count: int) -> list[str]:
    """How often each checker reports a copy that has nothing wrong with it."""
    found = Counter[str]()
    for index in range(count):
        whole = wholes[index % len(wholes)]
        known = recorded(whole / "data")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "moved away").mkdir()
            bag = COPIES[index // len(wholes) % len(COPIES)](whole, Path(folder))
            for name, checker in checkers.items():
                found[name] += checker(bag.resolve(), known)
    for name in checkers:
        figure("untouched_reported", who(name), found[name], "")
    return ["untouched copies", "", f"{count:,}", *(f"{found[name]:,}" for name in checkers)]


def compare_with_dvc(whole: Path, older: dict[str, bytes], program: str, count: int) -> None:
    """Whether the real program says what its rule says, fault by fault."""
    outcomes = Counter[str]()
    with tempfile.TemporaryDirectory() as store:
        repository = Path(store, "repository")
        repository.mkdir()

        def dvc(*arguments: str) -> str:
            command = [program, *arguments]
            return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False).stdout

        dvc("init", "--no-scm", "-q")

        def judge(subject: Subject, damage: Damage, known: dict[str, Any]) -> None:
            del damage
            received = "up to date" not in dvc("status")
            outcomes["same" if received == dvc_rule(subject.folder.parent, known) else subject_of["way"]] += 1

        subject_of = {"way": ""}
        for way in WAYS:
            if way.__name__ == "fifo":
                continue  # dvc waits for the pipe for ever
            subject_of["way"] = way.__name__
            for number in range(count):
                shutil.rmtree(repository / "data", ignore_errors=True)
                shutil.copytree(whole / "data", repository / "data")
                dvc("add", "-q", "data")
                known = recorded(repository / "data")
                _one(way, Subject(repository / "data", older, Path(store)), number, known, judge)
                shutil.rmtree(Path(store, "target"), ignore_errors=True)
                Path(store, "target").unlink(missing_ok=True)
    print_note(f"dvc status and its rule, fault by fault: {dict(outcomes)}")


def _one(way: Any, subject: Subject, number: int, known: dict[str, Any], judge: Callable[..., None]) -> None:
    @seed(SEED + number)
    @settings(max_examples=1, deadline=None, database=None, phases=[Phase.generate])
    @given(data=st.data())
    def try_it(data: st.DataObject) -> None:
        judge(subject, way(subject, data.draw), known)

    try_it()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", type=int, default=10_000)
    parser.add_argument("--untouched", type=int, default=1_000)
    parser.add_argument("--dvc", help="the program dvc, to be compared with its rule")
    arguments = parser.parse_args()
    print_machine()
    archiver = Archiver()
    checkers: dict[str, Checker] = {"archiver verify": archiver}
    with tempfile.TemporaryDirectory() as folder:
        first = tiny_run(Path(folder, "older"), tested=True).path
        older = {str(path.relative_to(first)): path.read_bytes() for path in first.rglob("*") if path.is_file()}
        wholes = make_archives(Path(folder, "whole"))
        if (PROGRAMS / "python").exists():
            checkers["bagit.py"] = bagit = Bagit()
            for whole in wholes:
                bagit.make(whole)
        else:
            for whole in wholes:
                _into_data(whole)
        checkers |= {"md5sum -c": md5sum, "mtime, size, inode (dvc status)": dvc_rule}
        rows = try_faults(wholes, older, archiver, checkers, -(-arguments.faults // len(WAYS)))
        rows.append(try_untouched(wholes, checkers, arguments.untouched))
        if arguments.dvc:
            compare_with_dvc(wholes[0], older, arguments.dvc, 3)
    print_table("Faults found", ("fault", "what is done", "faults", *checkers), rows)


if __name__ == "__main__":
    main()
