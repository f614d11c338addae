"""Many processes archive into one folder at once, also where the file system has no locks: nothing collides."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from archiver import open_store
from archiver.archive.run import find_archives
from archiver.archive.store_verifying import verify_store
from tests.property.campaigns import campaign

WRITERS, RUNS = campaign(4, 50), campaign(4, 20)
NAMES = ("alpha", "beta")

WRITER = """
import errno, fcntl, json, sys
from pathlib import Path

root, runs, names, has_locks = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4] == "True"

def no_locks(descriptor, operation):
    raise OSError(errno.ENOLCK, "no locks available")

if not has_locks:
    fcntl.flock = no_locks
from archiver.testing import tiny_run
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps([tiny_run(root, names[number % len(names)]).path.name for number in range(runs)]))
"""

INDEXER = "import sys, archiver\nwhile not sys.stdin.closed: archiver.open_store(sys.argv[1]).runs()"


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.stress
@pytest.mark.timeout(campaign(300, 1800))
@pytest.mark.parametrize("has_locks", [True, False])
def test_each_run_has_a_folder_of_its_own_and_is_whole(tmp_path: Path, has_locks: bool) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    command = [sys.executable, "-c", WRITER, str(root), str(RUNS), json.dumps(NAMES), str(has_locks)]
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(started(command)) for _ in range(WRITERS)]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        indexer = stack.enter_context(started([sys.executable, "-c", INDEXER, str(root)]))
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("go\n")
            writer.stdin.flush()
        written = [name for writer in writers for name in json.loads(writer.communicate()[0])]
        assert indexer.poll() is None, "an indexer that runs beside them goes on"
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    assert max(Counter(written).values()) == 1
    assert sorted(written) == sorted(path.name for path in find_archives(root))
    assert len(written) == WRITERS * RUNS
    verified = list(verify_store(find_archives(root)))
    assert [each.item for each in verified if each.result is None or each.result.findings] == []
    assert len({each.result.seal_id for each in verified if each.result is not None}) == WRITERS * RUNS
    runs = open_store(root).runs(columns=["name", "version", "status", "is_sealed", "problem"])
    expected = sorted((name, version) for name in NAMES for version in range(1, WRITERS * RUNS // len(NAMES) + 1))
    assert sorted((run["name"].partition("-")[0], run["version"]) for run in runs) == expected
    assert {(run["status"], run["is_sealed"], run["problem"]) for run in runs} == {("complete", True, None)}
