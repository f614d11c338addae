"""Archives of all kinds of runs that there are, for the validators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from archiver import layout
from archiver.archive.run import Run
from archiver.closing import write_history, write_results
from archiver.records.lineage import ParentPart
from archiver.sealing import changing, seal
from archiver.storage.journal import Journal
from archiver.testing import gone_process, tiny_run
from tests.report.hostile import HOSTILE

ODD_NAMES = (
    "a b/50%.txt", "面试.mp4", "été.json", "e\u0301te\u0301.csv", "#1?.md", "@type", "a:b;c=d&e", "(1) [2] {3}.html",
    "\u202etxt", "🐈.h5", "%20", "-", "no suffix", "double.h5.zip", "UPPER.JSON", "'\"<script>.svg", "~", "a,b+c",
)  # fmt: skip


def tested(root: Path) -> Run:
    return tiny_run(root, "tested", phases=2, tested=True)


def failed(root: Path) -> Run:
    return tiny_run(root, "failed", status="failed")


def interrupted(root: Path) -> Run:
    return tiny_run(root, "interrupted", status="interrupted")


def resumed(root: Path) -> Run:
    """Cut off after its epochs, gone on with by another process, and complete then."""
    run = tiny_run(root, "resumed", status="interrupted", sealed=False)
    journal = Journal(run.path, part=1)
    process = gone_process().model_dump()
    journal.append("resumed", phase=0, epoch=1, step=None, process=process, local_offset_seconds=0)
    metrics = {"accuracy": 0.5, "loss": 1.0, "val_accuracy": 0.5, "val_loss": 1.0}
    journal.append("epoch_ended", phase=0, epoch=1, metrics=metrics, seconds=1.0, learning_rate=0.01)
    journal.append("status", phase=0, status="complete", stop_reason="epochs")
    write_history(run)
    write_results(run)
    seal(run, journal)
    return run


def with_parents(root: Path) -> Run:
    """One whose weights it began with, and one that was only stated."""
    parent = tiny_run(root, "parent")
    run = tiny_run(root, "with_parents")
    digest = parent.read(layout.WEIGHTS).weights_digest
    found = ParentPart(
        run="parent", folder=parent.path.name, seal_id=parent.seal_id, weights="final", weights_digest=digest,
        is_stated=False,
    )  # fmt: skip
    stated = ParentPart(run="tëst", folder=None, seal_id=None, weights=None, weights_digest=None, is_stated=True)
    with changing(run):
        for part in (found, stated):
            run.journal.append("parent_found", **part.model_dump())
        write_results(run)
    return run


def with_odd_files(root: Path) -> Run:
    """Also with a license and authors."""
    run = tiny_run(root, "with_odd_files")
    notes = {"license": "apache-2.0", "author": ["A. Researcher", "B. Researcher"], "affiliation": "A Lab"}
    with changing(run):
        run.write(layout.RUN, run.read(layout.RUN).model_copy(update={"notes": notes}))
        for name in ODD_NAMES:
            path = run.path / "files" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{name}\n", encoding="utf-8")
        (run.path / "odd name!.bin").write_bytes(b"")
        (run.path / "@id").write_bytes(b"")
    return run


def with_hostile_records(root: Path) -> Run:
    """Whatever a user may say, said by somebody who means no good."""
    run = tiny_run(root, "with_hostile_records", tested=True)
    record, train = run.read(layout.RUN), run.read(layout.TRAIN_CONFIG)
    words = {text: text for text in HOSTILE}
    notes = words | {"license": HOSTILE[0], "author": list(HOSTILE), "affiliation": HOSTILE[5], "@id": "./"}
    phase = train.phases[-1].model_copy(update={"hyperparameters": words | {"@type": "File", "big": 10**400}})
    with changing(run):
        run.write(layout.RUN, record.model_copy(update={"tags": HOSTILE, "notes": notes, "group": HOSTILE[0]}))
        run.write(layout.TRAIN_CONFIG, train.model_copy(update={"phases": (phase,)}))
        for text in HOSTILE:
            run.journal.append("logged", name=text, value=text)
        write_results(run)
    return run


def without_records(root: Path) -> Run:
    """Whatever could get lost is lost."""
    run = tiny_run(root, "without_records", status="interrupted")
    with changing(run):
        for folder in ("configs", "results", "environment", "models", "traces", "files"):
            for path in sorted((run.path / folder).rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
    return run


KINDS: tuple[Callable[[Path], Run], ...] = (
    tested, failed, interrupted, resumed, with_parents, with_odd_files, with_hostile_records, without_records,
)  # fmt: skip
