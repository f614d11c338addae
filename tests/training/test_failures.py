"""Training is never broken by archiving: every step, every writer and a full disk are made to fail in turn."""

import contextlib
import errno
import os
import subprocess
import warnings
from pathlib import Path

import keras
import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.closing import close_unfinished
from archiver.errors import ArchiverWarning, StorageError
from archiver.storage import files
from archiver.storage.journal import events_named
from archiver.training.session import Session
from archiver.training.weights import weights_digest
from tests.training import small


def train(root, name, callbacks=(), finalize=True):
    """Train; returns the digest of the final weights. Warnings of archiver are collected, not raised.

    Without a graph, which takes longer to trace than these trainings do.
    """
    keras.utils.set_random_seed(7)
    model = small.model()
    model.run_eagerly = True
    x, y = small.arrays()
    archive = archiver.RunArchiver(root, name=name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        validation = small.arrays(16, 1)
        model.fit(x, y, validation_data=validation, epochs=2, batch_size=16, verbose=0, callbacks=[archive, *callbacks])
        if finalize:
            archive.finalize(test_data=small.arrays(16, 2))
    mine = [str(each.message) for each in caught if issubclass(each.category, ArchiverWarning)]
    return weights_digest(model.weights), archive.run, mine


@pytest.fixture(scope="module", autouse=True)
def patience():
    """These trainings are shorter than it takes to find out about the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("archiver.training.collecting.PATIENCE_SECONDS", 120)
        yield


@pytest.fixture(scope="module")
def reference(patience, tmp_path_factory):
    """The weights of an undisturbed training, and the names of all steps."""
    steps: list[str] = []
    attempt = Session.attempt

    def noting(self, step, function, file=None):
        steps.append(step)
        return attempt(self, step, function, file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "attempt", noting)
        digest, run, mine = train(tmp_path_factory.mktemp("reference"), "a")
    assert mine == []
    assert archiver.verify(run.path, deep=True).is_whole
    return digest, list(dict.fromkeys(steps))


STEPS = (
    "advice", "watch", "batches", "timing", "stop reason", "early stopping", "unseal", "initial weights",
    "weight changes", "telemetry",
    "run record", "system", "packages", "edited packages", "git", "source", "cpu details", "devices", "data sources",
    "model config", "train config", "optimizer config", "preprocessing", "dataset stats", "step trace", "best weights",
    "resolved configs", "models", "weights table", "checkpoint", "earlier test results", "predictions", "test scores",
    "history", "results", "seal", "snapshot", "data state", "lineage",
)  # fmt: skip


FINALIZED = ("earlier test results", "predictions", "test scores")


def test_the_steps_are_those_we_think_of(reference):
    assert set(reference[1]) == set(STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_raises_is_named_and_breaks_nothing(step, reference, tmp_path, monkeypatch):
    attempt = Session.attempt

    def broken(self, name, function, file=None):
        def fail():
            raise RuntimeError("planted")

        return attempt(self, name, fail if name == step else function, file)

    monkeypatch.setattr(Session, "attempt", broken)
    # what fails in fit leaves finalize without what it needs; only what finalize itself does is finalized here
    digest, run, mine = train(tmp_path, "a", finalize=step in FINALIZED)
    assert digest == reference[0]
    failed = {event.details["step"] for event in events_named(run.journal.read(), "step_failed")}
    assert failed == {step}
    assert len([message for message in mine if step in message]) == 1
    if step == "seal":
        assert {finding.code for finding in archiver.verify(run.path).findings} == {"not_sealed"}
        close_unfinished(run)
    report = archiver.verify(run.path, deep=True)
    assert report.findings == ()
    assert step in {finding.message.split(" failed: ")[0] for finding in report.information}


class BrokenOs:
    """`os`, whose n-th change of a file fails."""

    def __init__(self, fail_at=None, error=errno.EIO):
        self.calls = 0
        self.fail_at = fail_at
        self.error = error

    def __getattr__(self, name):
        function = getattr(os, name)
        return self._counted(function) if name in ("open", "write", "replace", "unlink", "makedirs") else function

    def _counted(self, function):
        def call(*args, **kwargs):
            self.calls += 1
            if self.calls == self.fail_at:
                raise OSError(self.error, os.strerror(self.error))
            return function(*args, **kwargs)

        return call


def count_changes(tmp_path, monkeypatch):
    counter = BrokenOs()
    monkeypatch.setattr(files, "os", counter)
    train(tmp_path / "count", "a", finalize=False)
    monkeypatch.undo()
    return counter.calls


def test_any_write_may_fail(reference, tmp_path, monkeypatch):
    """One write in so many fails, in turn over the whole training: the claim may raise, nothing else does."""
    total = count_changes(tmp_path, monkeypatch)
    share = 1 if os.environ.get("ARCHIVER_STRESS") else 131
    for position in range(1, total + 1, share):
        root = tmp_path / str(position)
        monkeypatch.setattr(files, "os", BrokenOs(position))
        try:
            digest, run, _ = train(root, "a", finalize=False)
        except StorageError:
            assert position < 12, "only the claim and the journal's first line may raise"
            assert not list(root.glob("*_models"))
            continue
        finally:
            monkeypatch.undo()
        assert digest == reference[0]
        if run.seal_id is None:
            close_unfinished(run)
        report = archiver.verify(run.path, deep=True)
        assert report.findings == (), position


@contextlib.contextmanager
def small_disk(folder: Path, size: str):
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class FillDisk(keras.callbacks.Callback):
    """Fills the disk in the middle of training."""

    def __init__(self, folder: Path):
        super().__init__()
        self.path = folder / "filler"

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            with contextlib.suppress(OSError), self.path.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))


def test_a_disk_that_is_full_in_mid_training(reference, tmp_path):
    with small_disk(tmp_path / "disk", "4m") as disk:
        filler = FillDisk(disk)
        digest, run, mine = train(disk / "runs", "a", [filler], finalize=False)
        assert digest == reference[0]
        assert mine
        contents = run.journal.read()
        failed = {event.details["step"] for event in events_named(contents, "step_failed")}
        assert {"checkpoint", "seal"} <= failed
        assert [event.details["epoch"] for event in events_named(contents, "epoch_ended")] == [0, 1]
        assert run.status.status == "complete"
        assert {finding.code for finding in archiver.verify(run.path).findings} >= {"not_sealed"}
        filler.path.unlink()
        close_unfinished(run)
        assert archiver.verify(run.path).findings == ()
        assert run.read(layout.HISTORY).phases[0].epochs == (0, 1)


def test_a_disk_that_is_full_before_training(tmp_path):
    with small_disk(tmp_path / "disk", "64k") as disk:
        with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with pytest.raises(StorageError, match="free space"):
            train(disk / "runs", "a")
        assert not list(disk.glob("runs/*"))


def test_a_user_s_log_with_a_broken_object_does_not_break_training(tmp_path):
    class Rude:
        def __repr__(self):
            raise RuntimeError("no")

    _, run, _ = train(tmp_path, "a", finalize=False)
    archive = archiver.RunArchiver(tmp_path, name="b", hyperparameters={"rude": Rude()})
    model = small.model()
    x, y = small.arrays()
    model.fit(x, y, epochs=1, verbose=0, callbacks=[archive])
    config = archive.run.read(layout.TRAIN_CONFIG)
    assert config.phases[0].hyperparameters == {"rude": {"object": f"{__name__}.{Rude.__qualname__}"}}
    assert Run.open(run.path).status.status == "complete"
