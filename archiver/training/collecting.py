"""What is collected when `fit` begins: what identifies the run at once, what takes long beside the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.collect.command import collect_command
from archiver.collect.git import collect_git
from archiver.collect.identity import this_process
from archiver.collect.packages import collect_packages
from archiver.collect.processor import collect_cpu_details
from archiver.collect.source import copy_source
from archiver.collect.source_files import entry_file
from archiver.collect.system import collect_system
from archiver.records.base import Json, Unavailable, local_offset_seconds, utc_now
from archiver.records.run import RunNamePart, RunRecord
from archiver.records.training import OptimizerConfig, TrainConfig
from archiver.storage import files
from archiver.training import describing
from archiver.training.background import Job, Task
from archiver.training.capture import FitCall
from archiver.training.datasets import Data, dataset_stats, describe_split
from archiver.training.framework import framework_state
from archiver.training.session import Session
from archiver.version import __version__

PATIENCE_SECONDS = 0.0
"""How long the end of a training waits for the details of the CPU, which take a second of a CPU that is not busy. What
comes later is written when the archive changes next, such as by `finalize`."""


def collect_all(session: Session, call: FitCall, callbacks: list[Any]) -> None:
    """Write the records that are known before the first step."""
    if session.phase == 0:
        _collect_run(session)
        _collect_environment(session)
    _collect_configs(session, call, callbacks)
    _collect_data(session, call)


def _collect_run(session: Session) -> None:
    session.attempt("run record", lambda: session.run.write(layout.RUN, _run_record(session)), layout.RUN)


def _run_record(session: Session) -> RunRecord:
    options = session.options
    name = options.name
    return RunRecord(
        name=RunNamePart(
            name=session.run.name,
            original=name.original,
            condition=name.condition,
            architecture=name.architecture,
            config=name.config,
            version=session.version,
        ),
        created=utc_now(),
        local_offset_seconds=local_offset_seconds(),
        archiver_version=__version__,
        process=this_process(),
        command=collect_command(),
        group=options.group,
        tags=options.tags,
        notes=options.notes,
        dataset_source=options.dataset_source,
        formats=options.formats,
        monitor=options.monitor,
        unfinished_runs=tuple(run.name for run in session.unfinished),
    )


def _collect_environment(session: Session) -> None:
    run = session.run
    if session.attempt("system", lambda: _write_system(run), layout.SYSTEM):
        details = Task(collect_cpu_details)
        job = Job("cpu details", layout.SYSTEM, details, lambda found: _write_cpu_details(run, found), PATIENCE_SECONDS)
        session.jobs.append(job)
    session.attempt("packages", lambda: run.write(layout.PACKAGES, collect_packages()), layout.PACKAGES)
    session.attempt("git", lambda: _write_git(run), layout.GIT)
    session.attempt("source", lambda: run.write(layout.SOURCE, copy_source(run.path)), layout.SOURCE)


def _write_system(run: Run) -> bool:
    not_yet = Unavailable(unavailable="the training ended before it was known")
    run.write(layout.SYSTEM, collect_system(run.path, framework_state(), not_yet))
    return True


def _write_cpu_details(run: Run, details: Json | Unavailable) -> None:
    run.write(layout.SYSTEM, run.read(layout.SYSTEM).model_copy(update={"cpu_details": details}))


def _write_git(run: Run) -> None:
    entry = entry_file()
    record, patch = collect_git(entry.parent if isinstance(entry, Path) else Path.cwd())
    if patch:
        files.write_bytes(run.path_of(layout.PATCH), patch)
    run.write(layout.GIT, record)


def _collect_configs(session: Session, call: FitCall, callbacks: list[Any]) -> None:
    run, model, options, phase = session.run, session.model, session.options, session.phase
    records = session.phase_records

    def write_train_config() -> None:
        config = describing.phase_config(model, call, phase, callbacks, options.hyperparameters)
        records["train config"].append(config)
        run.write(layout.TRAIN_CONFIG, TrainConfig(phases=tuple(records["train config"])))

    def write_optimizer_config() -> None:
        records["optimizer config"].append(describing.phase_optimizer(model, phase))
        run.write(layout.OPTIMIZER_CONFIG, OptimizerConfig(phases=tuple(records["optimizer config"])))

    session.attempt(
        "model config", lambda: run.write(layout.MODEL_CONFIG, describing.model_config(model)), layout.MODEL_CONFIG
    )
    session.attempt("train config", write_train_config, layout.TRAIN_CONFIG)
    session.attempt("optimizer config", write_optimizer_config, layout.OPTIMIZER_CONFIG)
    session.attempt(
        "preprocessing",
        lambda: run.write(layout.PREPROCESSING, describing.preprocessing(model, options.preprocessing)),
        layout.PREPROCESSING,
    )


def _collect_data(session: Session, call: FitCall) -> None:
    """Fingerprints read the arrays in full: beside the training, by a thread that also writes the record."""
    suffix = "" if session.phase == 0 else f"_{session.phase + 1}"
    splits = {name + suffix: data for name, data in (_seen_data(call) | session.options.data).items()}

    def describe() -> None:
        for name, data in splits.items():
            session.splits[name] = describe_split(*data)
        write_dataset_stats(session)

    session.jobs.append(Job("dataset stats", layout.DATASET_STATS, Task(describe)))


def _seen_data(call: FitCall) -> dict[str, Data]:
    known = call.given | call.resolved
    seen = {
        "train": (known.get("x"), known.get("y"), known.get("sample_weight")),
        "validation": (known.get("val_x"), known.get("val_y"), known.get("val_sample_weight")),
    }
    return {name: data for name, data in seen.items() if data[0] is not None}


def write_dataset_stats(session: Session) -> None:
    """Write the record of all splits known so far."""
    options = session.options
    stats = dataset_stats(session.splits, session.class_names, options.dataset_source)
    session.run.write(layout.DATASET_STATS, stats)
