"""Several processes train one model: the first one writes the archive, each its part, and they are compared."""

import contextlib
import json
import re
import socket
from pathlib import Path

import jsonschema
import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.archive.workers import build_workers
from archiver.closing import read_workers, write_workers
from archiver.export.public import publish
from archiver.records.training import DistributionPart
from archiver.report.worker_table import workers_report
from archiver.sealing import changing
from archiver.storage.journal import Journal
from archiver.testing import tiny_run
from tests.training.scripts import Ended, Order, Server

ROOT = Path(archiver.__file__).parents[1]
_PAGE = (ROOT / "docs" / "workers.md").read_text(encoding="utf-8")
PROGRAMS = dict(
    zip(
        ("devices", "jax", "torch", "tensorflow"),
        re.findall(r"^```python\n(.*?)^```", _PAGE, re.DOTALL | re.MULTILINE),
        strict=True,
    )
)
"""What docs/workers.md shows, by backend."""

pytestmark = pytest.mark.timeout(600)


def free_port() -> int:
    """The first of two that nobody uses."""
    while True:
        with socket.socket() as first, contextlib.suppress(OSError), socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            number = first.getsockname()[1]
            second.bind(("127.0.0.1", number + 1))
            return int(number)


def train(server: Server, backend: str, folder: Path, after: str = "", **more: str) -> list[Ended]:
    """Two processes of the page's program, and what comes `after` it, to their end."""
    port = free_port()
    program = PROGRAMS[backend].replace("12345", str(port)).replace("12346", str(port + 1))
    program = program.replace("RunArchiver(", "RunArchiver(figures=False, sampling_hertz=5, root=")
    (folder / "train.py").write_text(f"{program}\n{after}")
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "CUDA_VISIBLE_DEVICES": ""}
    orders = [
        Order(str(folder), ["train.py", str(index)], more | shared | {"RANK": str(index)}, streams=f"-{index}")
        for index in range(2)
    ]
    return server.run_together(*orders)


def check_agreeing(run: Run, backend: str, epochs: int) -> None:
    """An archive of two processes in step."""
    report = archiver.verify(run.path, deep=True)
    assert report.findings == ()
    assert [each for each in report.information if each.code in ("step_failed", "worker")] == []
    record = run.read(layout.WORKERS)
    assert (record.backend, record.count, record.disagreement_count) == (backend, 2, 0)
    assert [part.outcome for part in record.workers] == ["complete", "complete"]
    assert record.compared_epoch_count == epochs
    assert {part.weights_digest for part in record.workers} == {run.read(layout.RESULTS).weights_digest}
    assert all(part.peak_rss_bytes > 50 << 20 for part in record.workers)
    assert record.slowest in (0, 1)
    files = {path.relative_to(run.path).as_posix() for path in (run.path / "workers").rglob("*") if path.is_file()}
    assert {"workers/0/events.jsonl", "workers/1/events.jsonl", "workers/1/system.json"} <= files
    assert "workers/1/traces/memory.csv" in files
    readme = (run.path / "README.md").read_text()
    assert "2 processes trained together" in readme
    assert "they had the same weights, bit for bit" in readme
    assert "(slowest)" in readme


MORE_ON_TORCH = """
model.fit(*part, batch_size=8, verbose=0, callbacks=[archive])  # a second phase
assert archive.finalize().path.name == "torch_models"

def again(name, all_reduce):
    torch.distributed.all_reduce = all_reduce
    archive = archiver.RunArchiver("runs", name=name, figures=False)
    model.fit(*part, epochs=2, batch_size=8, verbose=0, callbacks=[archive])

def die(gradient, really=torch.distributed.all_reduce):
    os._exit(9) if index == 1 else really(gradient)

again("differ", lambda gradient: None)
try:
    archiver.fit(archiver.RunArchiver("runs", name="resumed", resume=True), model, *part, verbose=0)
except archiver.errors.RunStateError as error:
    print("refused:", error)
again("lost", die)
"""
MORE_ON_JAX = """
try:
    archive.finalize(test_data=(x, x[:, :1]))
except archiver.errors.RunStateError as error:
    print("refused:", error)
"""
MORE_ON_TENSORFLOW = """
other = archiver.RunArchiver("others", name="refused")
for attempt in (
    lambda: archiver.fit(other, model, x, x[:, :1], verbose=0),
    lambda: model.fit(x, x[:, :1], verbose=0, callbacks=[other]),
):
    try:
        attempt()
    except (archiver.errors.RunStateError, ValueError) as error:
        print(f"refused: {type(error).__name__}: {str(error)[:400]}")
assert not os.path.exists("others")
"""


def test_torch_processes(server_of, tmp_path):
    """In step, out of step, and where one of them dies."""
    chief, worker = train(server_of("torch"), "torch", tmp_path, MORE_ON_TORCH)
    assert "refused: Received resume=True" in chief.output, chief.errors[-3000:]
    assert (worker.exit_code, chief.exit_code != 0) == (9, True), chief.errors[-3000:]
    runs = tmp_path / "runs"
    assert sorted(path.name for path in runs.iterdir()) == ["differ_models", "lost_models", "torch_models"]
    check_agreeing(Run.open(runs / "torch_models"), "torch", epochs=3)
    differ = archiver.verify(runs / "differ_models")
    assert [each.code for each in differ.findings] == ["replicas", "replicas"]
    lost = Run.open(runs / "lost_models")
    assert (lost.status.status, lost.status.sealed) == ("failed", True)
    report = archiver.verify(lost.path)
    assert report.findings == ()
    told = {each.path: each.message for each in report.information if each.code == "worker"}
    assert "its process is gone" in told["workers/1"]
    assert [part.outcome for part in lost.read(layout.WORKERS).workers] == ["failed", "lost"]


def test_jax_processes_with_two_devices_each(server_of, tmp_path):
    two_devices = "--xla_force_host_platform_device_count=2"
    done = train(server_of("jax"), "jax", tmp_path, MORE_ON_JAX, XLA_FLAGS=two_devices)
    assert [each.exit_code for each in done] == [0, 0], done[0].errors[-3000:] + done[1].errors[-3000:]
    assert all("refused: Received test_data in process" in each.output for each in done)
    run = Run.open(tmp_path / "runs" / "jax_models")
    check_agreeing(run, "jax", epochs=2)
    distribution = run.read(layout.TRAIN_CONFIG).phases[0].distribution
    assert isinstance(distribution, DistributionPart)
    assert (distribution.class_name.rpartition(".")[2], distribution.replicas) == ("DataParallel", 4)
    assert [len(part.devices) for part in run.read(layout.WORKERS).workers] == [2, 2]


def test_tensorflow_processes_with_a_loop_of_their_own(server, tmp_path):
    """Keras' `fit` cannot do it: `archiver.fit` says so, and `fit` itself fails before any callback is called."""
    done = train(server, "tensorflow", tmp_path, MORE_ON_TENSORFLOW)
    assert [each.exit_code for each in done] == [0, 0], done[0].errors[-3000:] + done[1].errors[-3000:]
    for each in done:
        refusals = [line for line in each.output.splitlines() if line.startswith("refused: ")]
        assert "RunStateError: Keras' fit cannot train under MultiWorkerMirroredStrategy" in refusals[0]
        assert "ValueError: Attempt to convert a value (PerReplica" in refusals[1]
    check_agreeing(Run.open(tmp_path / "runs" / "tensorflow_models"), "tensorflow", epochs=2)


def test_one_process_with_several_devices(server_of, tmp_path):
    (tmp_path / "train.py").write_text(PROGRAMS["devices"])
    done = server_of("jax").run_file(tmp_path, Path("train.py"))
    assert (done.exit_code, done.output.strip()) == (0, "4"), done.errors[-3000:]
    run = Run.open(tmp_path / "runs" / "devices_models")
    assert archiver.verify(run.path, deep=True).findings == ()
    assert not run.has(layout.WORKERS)


# -- without processes


def with_workers(run: Run, digests: list[list[str]], *, ended: bool = True) -> None:
    """Write what processes would have written, a list of digests for each."""
    for index, each in enumerate(digests):
        (run.path / "workers" / str(index)).mkdir(parents=True)
        journal = Journal(run.path / "workers" / str(index), index, "events.jsonl")
        journal.append("phase_started", phase=0, index=index, count=len(digests), backend="jax", devices=[], process={})
        for epoch, digest in enumerate(each):
            journal.append(
                "epoch_ended", phase=0, epoch=epoch, seconds=1.0 + index, metrics={}, weights_digest=digest * 64
            )
        if ended or index == 0:
            journal.append("status", status="complete", reason=None, phase=0, seconds=3.0, peak_rss_bytes=1000 + index)


def test_replicas_out_of_step_are_a_finding_and_a_record_that_says_otherwise_too(tmp_path):
    run = tiny_run(tmp_path)
    with changing(run):
        with_workers(run, [["a", "b", "c"], ["a", "b", "d"], ["a", "e"]])
        record = write_workers(run)
    document = json.loads(run.path_of(layout.WORKERS).read_bytes())
    jsonschema.validate(document, json.loads((run.path / "schemas" / "workers.schema.json").read_bytes()))
    report = archiver.verify(run.path)
    assert [(each.code, "epoch 1" in each.message) for each in report.findings] == [
        ("replicas", True),
        ("replicas", False),
    ]
    assert (record.slowest, record.compared_epoch_count, record.disagreement_count) == (2, 3, 2)
    assert (
        "After 2 of 3 epochs they did not have the same weights, first after epoch 1"
        in (run.path / "README.md").read_text()
    )
    with changing(run):
        run.write(layout.WORKERS, record.model_copy(update={"disagreements": (), "disagreement_count": 0}))
    assert [each.code for each in archiver.verify(run.path).findings] == ["disagreement"]


def test_a_public_copy_does_not_tell_of_other_hosts(tmp_path):
    run = tiny_run(tmp_path)
    with changing(run):
        with_workers(run, [["a"], ["a"]])
        write_workers(run)
    copy = publish(run, tmp_path / "copy_models")
    assert archiver.verify(copy.path).findings == ()
    assert not (copy.path / "workers").exists()
    assert not copy.has(layout.WORKERS)


def test_who_did_not_end_or_was_not_there_is_told(tmp_path):
    run = tiny_run(tmp_path)
    with changing(run):
        with_workers(run, [["a"], ["a"]], ended=False)
        record = write_workers(run, 3, {1: "its process is gone"})
    assert [(part.outcome, part.reason) for part in record.workers[:2]] == [
        ("complete", None),
        ("lost", "its process is gone"),
    ]
    assert record.workers[2].outcome == "absent"
    report = archiver.verify(run.path)
    assert report.findings == ()
    assert [each.path for each in report.information if each.code == "worker"] == ["workers/1", "workers/2"]
    text = json.dumps(workers_report(record), default=str)
    assert "lost: its process is gone" in text


def test_an_archive_that_the_chief_left_behind_is_summed_up_when_it_is_finalized(tmp_path):
    run = tiny_run(tmp_path, status="interrupted", sealed=False)
    with_workers(run, [["a"], ["a"]])
    archiver.closing.close_unfinished(run, force=True)
    assert archiver.verify(run.path).findings == ()
    assert run.read(layout.WORKERS).count == 2


def test_what_strangers_wrote_is_read_without_trust(tmp_path):
    run = tiny_run(tmp_path)
    folder = run.path / "workers" / "0"
    folder.mkdir(parents=True)
    journal = Journal(folder, 0, "events.jsonl")
    journal.append("phase_started", phase="x", count=10**9, devices={"a": 1}, process=[1], backend=3)
    journal.append("epoch_ended", phase=[], epoch={}, seconds="1", weights_digest=5)
    journal.append("status", status=7, peak_rss_bytes="many")
    for index, (phase, digest) in enumerate([(-1, "z"), (10**30, "a" * 64), (10**30, "b" * 64)], start=1):
        other = Journal(run.path / "workers" / str(index), index, "events.jsonl")
        other.path.parent.mkdir()
        other.append("epoch_ended", phase=phase, epoch=-5, seconds=10**400, weights_digest=digest)
        other.append("status", status="complete", peak_rss_bytes=-(10**400), reason={"a": []})
    (run.path / "workers" / "x").symlink_to("/etc")
    record = build_workers(read_workers(run))
    assert record.disagreement_count == 1
    run.write(layout.WORKERS, record)
    assert all(isinstance(each.message, str) for each in archiver.verify(run.path).findings)
    assert len(record.workers) == record.count <= 4096
    assert record.workers[0].outcome == "failed"
