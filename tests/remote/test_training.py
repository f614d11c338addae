"""Trainings whose root is a store: what is there while they run, and at each of their ends."""

from __future__ import annotations

import os
import secrets
import signal
import time

import pytest

import archiver
from archiver.archive.snapshots import newest_snapshot
from archiver.errors import ArchiverWarning, ArgumentError, MissingExtraError
from tests.remote.conftest import Store, folder_bytes, put
from tests.training.small import arrays, model

SEAL = "manifest-blake3.txt"


def fit(archive, epochs: int = 3, callbacks=()) -> None:
    x, y = arrays()
    model_ = model()
    model_.fit(x, y, epochs=epochs, verbose=0, callbacks=[*callbacks, archive])
    archive.model_of_the_test = model_


def eventually(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_training_is_there_while_it_runs_and_in_the_end(store, tmp_path):
    """Under a name that is taken there."""
    import keras

    put(store, "runs/digits_models/journal.jsonl")

    seen: list[dict[str, bytes]] = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                url = f"{store.url}/runs/digits-2_models"
                eventually(
                    lambda: any("snapshot-000001/manifest" in path for path in store.files("runs/digits-2_models"))
                )
                seen.append(store.files("runs/digits-2_models"))
                assert archiver.verify(url).status.startswith("running")

    key = secrets.token_hex(20)
    options = {"key": "tester", "secret": key}
    archive = archiver.RunArchiver(f"{store.url}/runs", name="digits", figures=False, storage_options=options)
    fit(archive, callbacks=[Look()])
    x, y = arrays(seed=1)
    run = archive.finalize(test_data=(x, y))
    assert any(b'"epoch_ended"' in files["journal.jsonl"] for files in seen)
    assert not any(SEAL in files for files in seen)
    assert store.files("runs/digits-2_models") == folder_bytes(run.path)
    archiver.verify(f"{store.url}/runs/digits-2_models", deep=True).raise_for_findings()
    assert run.path.is_relative_to(tmp_path / "cache" / "archiver" / "staging")
    assert store.files("runs/digits_models") == {"journal.jsonl": b"x"}
    assert key.encode() not in b"".join(folder_bytes(run.path).values())
    assert not any(key in path.read_text() for path in (tmp_path / "cache").rglob("*.jsonl"))


def test_a_network_that_is_down_stops_nothing_and_loses_nothing(store, tmp_path):
    store.plan(is_down=True)
    archive = archiver.RunArchiver(store.url, name="digits", staging=tmp_path / "staging", figures=False)
    fit(archive)
    told = r"could not be uploaded.*`archiver push .*digits_models s3://bucket.* goes on"
    with pytest.warns(ArchiverWarning, match=told):
        run = archive.finalize()
    assert run.path == tmp_path / "staging" / "digits_models"
    archiver.verify(run.path).raise_for_findings()
    store.plan()
    archiver.push(run.path, store.url)
    assert store.files("digits_models") == folder_bytes(run.path)


def body(store: Store, at: str) -> str:
    """A script that does something in its second epoch; nothing in its environment tells of the store."""
    options = {
        "endpoint_url": store.environment["AWS_ENDPOINT_URL"],
        "key": "tester",
        "secret": store.environment["AWS_SECRET_ACCESS_KEY"],
    }
    return (
        f"store = {{'staging': 'staging', 'storage_options': {options!r}, 'keep_staging': False}}\n"
        f"archive = archiver.RunArchiver('{store.url}/runs', name='run', figures=False, **store)\n"
        f"fit(archive, At('on_epoch_end', {at}))\n"
    )


def test_an_exception_in_fit_is_sealed_and_uploaded_before_the_end(store, server, tmp_path):
    """And nothing is left here, where that was asked for."""
    ended = server.run(tmp_path, body(store, "fail"))
    assert "planted" in ended.errors
    report = archiver.verify(f"{store.url}/runs/run_models")
    assert report.is_whole, report.findings
    assert report.status.startswith("failed")
    assert os.listdir(tmp_path / "staging") == []


def test_what_is_there_of_a_killed_training_can_be_gone_on_with_elsewhere(store, server, tmp_path):
    running = server.start(tmp_path, body(store, "lambda: time.sleep(100)"))
    eventually(lambda: any("snapshot-000001/manifest" in path for path in store.files("runs/run_models")))
    running.send(signal.SIGKILL)
    running.wait()
    pulled = archiver.pull(f"{store.url}/runs/run_models", tmp_path / "elsewhere")
    assert [finding.code for finding in pulled.report.findings] == ["not_sealed"]
    snapshot = newest_snapshot(archiver.Run.open(pulled.path))
    assert snapshot is not None
    assert snapshot.state.epochs_done == 1


def test_arguments(tmp_path):
    with pytest.raises(ArgumentError, match=r"Received staging= with root='runs'"):
        archiver.RunArchiver("runs", name="a", staging=tmp_path)
    with pytest.raises(ArgumentError, match=r"Received storage_options= with root='runs'"):
        archiver.RunArchiver("runs", name="a", storage_options={"key": "x"})
    with pytest.raises(ArgumentError, match="no JSON"):
        archiver.RunArchiver("s3://bucket", name="a", storage_options={"key": object()})
    with pytest.raises(MissingExtraError, match="keras-archiver\\[azure\\]"):
        archiver.RunArchiver("abfs://c@account/x", name="a")
    archive = archiver.RunArchiver("s3://bucket", name="a", storage_options={"secret": "hunter2"})
    assert "hunter2" not in repr(archive.options)
    assert not (tmp_path / "runs").exists()
