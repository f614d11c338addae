"""The limit on memory against the kernel: programs that leak until they are killed, and the same ones archived."""

from __future__ import annotations

import random
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.records.base import Unavailable
from tests.property.campaigns import campaign
from tests.training import scripts
from tests.training.memory_limits import MIB, MemoryLimit, group_limit, resource_limit

ROOM_BYTES = 640 * MIB
"""What the kernel allows; a training of the tiny model takes less than a third of it."""

TRIALS = campaign(1, 20)

KEEPS = """
kept = []


def keep(size):
    kept.append(np.ones(size, "uint8"))


class Keep(keras.callbacks.Callback):
    step = 0

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        after_step(self.step)
"""

LEAKS = {
    "slow": """
def after_step(step):
    keep({size} << 18)  # a quarter of the size in MiB
    time.sleep(0.002)
""",
    "fast": """
def after_step(step):
    keep({size} << 20)
""",
    "jumps": """
def after_step(step):
    time.sleep(0.005)
    if step % 4 == 0:
        keep({size} << 22)  # 4 times the size in MiB, between two looks of the guard
""",
    "data_loading_thread": """
def after_step(step):
    pass


class Leaking(Batches):
    def __len__(self):
        return 100_000

    def __getitem__(self, index):
        keep({size} << 18)
        return x[:8], y[:8]
""",
}


def program(leak: str, size: int, limit: MemoryLimit, archived: bool) -> str:
    """A training that leaks without end; `size` is 4 to 16."""
    callbacks = "Keep(), archive" if archived else "Keep()"
    data = "data=Leaking(workers=1), " if leak == "data_loading_thread" else ""
    made = f"archive = archiver.RunArchiver('runs', name='run', {limit.arguments})\n" if archived else ""
    return f"{limit.join}{KEEPS}{LEAKS[leak].format(size=size)}\n{made}fit({callbacks}, {data}epochs=100_000)\n"


@pytest.fixture(params=["control group", "RLIMIT_DATA"])
def limit(request: pytest.FixtureRequest) -> Iterator[MemoryLimit]:
    if request.param == "RLIMIT_DATA":
        yield resource_limit(ROOM_BYTES)
        return
    with group_limit(ROOM_BYTES) as found:
        if isinstance(found, str):
            pytest.skip(found)
        yield found


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not in memory, where the tests' files may be: a control group counts those."""
    with tempfile.TemporaryDirectory(prefix="archiver-tests-") as path:
        yield Path(path)


def test_without_archiver_the_program_comes_to_a_bad_end(
    limit: MemoryLimit, server: scripts.Server, folder: Path
) -> None:
    ended = server.run(folder, program("fast", 8, limit, archived=False))
    if limit.kills:
        assert ended.exit_code == -signal.SIGKILL
    else:  # who gets no memory may be numpy, which raises, or TensorFlow, which aborts
        assert (ended.exit_code == 1 and "MemoryError" in ended.errors) or ended.exit_code == -signal.SIGABRT


@pytest.mark.stress
@pytest.mark.parametrize("seed", range(TRIALS))
def test_with_archiver_it_ends_in_time_and_is_archived(
    seed: int, limit: MemoryLimit, server: scripts.Server, folder: Path
) -> None:
    leak = list(LEAKS)[(seed + (not limit.kills)) % len(LEAKS)]
    size = random.Random(seed).randint(4, 16)
    ended = server.run(folder, program(leak, size, limit, archived=True))
    assert ended.exit_code == 0, (leak, size, ended.errors)
    run = Run.open(folder / "runs" / "run_models")
    assert (run.status.status, run.status.stop_reason, run.status.sealed) == ("complete", "memory_limit", True)
    assert archiver.verify(run.path, deep=True).findings == ()
    guard = run.read(layout.TELEMETRY).phases[0].guard
    assert not isinstance(guard, Unavailable)
    assert [event.level for event in guard.events] == ["soft", "hard"]
    assert "training ends after this step, and is archived" in ended.errors
    assert run.has(layout.KERAS_MODEL)
