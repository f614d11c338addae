"""What is collected when `fit` begins: what identifies the run at once, what takes long beside the training."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from archiver import layout
from archiver.archive.lineage import find_parents
from archiver.archive.run import Run
from archiver.collect.git import collect_git
from archiver.collect.identity import this_process
from archiver.collect.package_changes import find_changed_files
from archiver.collect.packages import collect_packages
from archiver.collect.processor import cpu_details_once
from archiver.collect.program import program_command, program_snapshot
from archiver.collect.source import copy_source, with_later_cells
from archiver.collect.source_files import folder_of
from archiver.collect.splits import split_name
from archiver.collect.system import collect_gpus, collect_numeric_libraries, collect_system
from archiver.records.base import Unavailable, local_offset_seconds, utc_now
from archiver.records.environment import ChangedFilesPart, GitRecord
from archiver.records.lineage import ParentPart
from archiver.records.run import RunNamePart, RunRecord
from archiver.records.training import OptimizerConfig, TrainConfig
from archiver.storage import files
from archiver.storage.journal import events_named
from archiver.training.architecture import model_config
from archiver.training.background import Job, Task, start
from archiver.training.capture import FitCall
from archiver.training.data_stats import collect_data, described_windows
from archiver.training.fit_config import optimizer_with_first_step, phase_config, with_first_step
from archiver.training.framework import framework_state
from archiver.training.optimizers import phase_optimizer
from archiver.training.preprocessing_layers import preprocessing
from archiver.training.session import Session
from archiver.version import __version__

PATIENCE_SECONDS = 0.0
"""How long the end of a training waits for the details of the CPU, which take a second of a CPU that is not busy. What
comes later is written when the archive changes next, such as by `finalize`."""

_SYSTEM_LOCK = threading.Lock()
"""Two threads add to the record of the system."""


def collect_all(session: Session, call: FitCall, callbacks: list[Any]) -> None:
    """Write the records that are known before the first step."""
    if session.phase == 0:
        _collect_run(session)
        _collect_environment(session)
        session.attempt("lineage", lambda: _find_parents(session), layout.RESULTS)
    else:
        session.attempt("source", lambda: add_later_cells(session.run), layout.SOURCE)
    _collect_configs(session, call, callbacks)
    collect_data(session, call)


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
        command=program_command(),
        group=options.group,
        tags=options.tags,
        notes=options.notes,
        dataset_source=options.dataset_source,
        formats=options.formats,
        monitor=options.monitor,
        unfinished_runs=tuple(run.name for run in session.unfinished),
        redirected_from=options.redirected_from,
    )


def _find_parents(session: Session) -> None:
    """Look beside the training for the runs from whose weights this one goes on."""
    if session.adopted is not None and any(events_named(session.run.journal.read(), "parent_found")):
        return
    wait_for_digest, stated = session.changes.initial_digest(), session.options.parent

    def publish(found: list[ParentPart]) -> None:
        for part in found:
            session.say("parent_found", **part.model_dump())

    task = Task(lambda: find_parents(session.run, wait_for_digest(), stated), publish)
    start(task)
    session.jobs.append(Job("lineage", layout.RESULTS, task))


def _collect_environment(session: Session) -> None:
    """At once what is quick, the rest beside the training, each record written as soon as it is known.

    What runs is taken down now (`program_snapshot`); files and the repository are read within the first second.
    """
    run = session.run
    is_known = session.attempt("system", lambda: _write_system(run), layout.SYSTEM)
    snapshot = program_snapshot()
    source = Task(lambda: copy_source(run.path, snapshot=snapshot), _writer(run, layout.SOURCE))
    git = Task(lambda: collect_git(folder_of(snapshot)), partial(_write_git, run))
    jobs = [Job("source", layout.SOURCE, source), Job("git", layout.GIT, git)]
    if is_known:
        jobs.append(Job("devices", layout.SYSTEM, Task(_find_devices, partial(_add_to_system, run))))
    jobs.append(Job("packages", layout.PACKAGES, Task(collect_packages, _writer(run, layout.PACKAGES))))
    jobs.append(Job("edited packages", layout.PACKAGES, Task(find_changed_files, partial(_add_edited, run))))
    start(*(job.task for job in jobs))
    if is_known:
        details = Task(lambda: {"cpu_details": cpu_details_once()}, partial(_add_to_system, run))
        start(details)
        jobs.append(Job("cpu details", layout.SYSTEM, details, patience_seconds=PATIENCE_SECONDS))
    session.jobs += jobs


def add_later_cells(run: Run) -> None:
    """In a notebook, record the cells that have run since training began: they belong to the program, too."""
    record = run.read_if_there(layout.SOURCE)
    changed = with_later_cells(run.path, record) if record is not None and record.notebook is not None else None
    if changed is not None:
        run.write(layout.SOURCE, changed)


def _writer(run: Run, file: layout.RecordFile[Any]) -> Callable[[Any], None]:
    return lambda record: run.write(file, record)


def _write_system(run: Run) -> bool:
    not_yet = Unavailable(unavailable="the training ended before it was known")
    system = collect_system(run.path, framework_state(), cpu_details=not_yet, gpus=not_yet, numeric_libraries=not_yet)
    run.write(layout.SYSTEM, system)
    return True


def _find_devices() -> dict[str, Any]:
    return {"gpus": collect_gpus(), "numeric_libraries": collect_numeric_libraries()}


def _add_to_system(run: Run, found: dict[str, Any]) -> None:
    with _SYSTEM_LOCK:
        run.write(layout.SYSTEM, run.read(layout.SYSTEM).model_copy(update=found))


def _add_edited(run: Run, found: dict[str, ChangedFilesPart]) -> None:
    packages = run.read_if_there(layout.PACKAGES)  # where that failed, it was told
    if packages is not None:
        run.write(layout.PACKAGES, packages.model_copy(update={"edited": found}))


def _write_git(run: Run, found: tuple[GitRecord, bytes, bytes]) -> None:
    record, patch, submodules_patch = found
    for file, data in ((layout.PATCH, patch), (layout.SUBMODULES_PATCH, submodules_patch)):
        if data:
            files.write_bytes(run.path_of(file), data)
    run.write(layout.GIT, record)


def _collect_configs(session: Session, call: FitCall, callbacks: list[Any]) -> None:
    run, model, options, phase = session.run, session.model, session.options, session.phase
    session.data_sets |= {split_name(role, phase): each for role, each in described_windows(call).items()}
    records = session.phase_records

    def write_train_config() -> None:
        records["train config"].append(phase_config(model, call, phase, callbacks, options.hyperparameters))
        _write_train_config(session)

    def write_optimizer_config() -> None:
        records["optimizer config"].append(phase_optimizer(model, phase))
        _write_optimizer_config(session)

    session.attempt("model config", lambda: run.write(layout.MODEL_CONFIG, model_config(model)), layout.MODEL_CONFIG)
    session.attempt("train config", write_train_config, layout.TRAIN_CONFIG)
    session.attempt("optimizer config", write_optimizer_config, layout.OPTIMIZER_CONFIG)
    session.attempt(
        "preprocessing",
        lambda: run.write(layout.PREPROCESSING, preprocessing(model, options.preprocessing, session.data_sets)),
        layout.PREPROCESSING,
    )
    session.after_first_epoch = lambda model: _complete_configs(session, model)


def _complete_configs(session: Session, model: Any) -> None:
    """Losses, metrics and the optimizer's variables are made in the first step: describe them beside the training."""
    records, phase = session.phase_records, session.phase

    def complete() -> None:
        if _belongs(records["train config"], phase):
            records["train config"][-1] = with_first_step(records["train config"][-1], model)
            _write_train_config(session)
        if _belongs(records["optimizer config"], phase):
            records["optimizer config"][-1] = optimizer_with_first_step(records["optimizer config"][-1], model)
            _write_optimizer_config(session)

    task = Task(complete)
    start(task)
    session.jobs.append(Job("resolved configs", layout.TRAIN_CONFIG, task))


def _belongs(parts: list[Any], phase: int) -> bool:
    return bool(parts) and parts[-1].phase == phase


def _write_train_config(session: Session) -> None:
    session.run.write(layout.TRAIN_CONFIG, TrainConfig(phases=tuple(session.phase_records["train config"])))


def _write_optimizer_config(session: Session) -> None:
    session.run.write(layout.OPTIMIZER_CONFIG, OptimizerConfig(phases=tuple(session.phase_records["optimizer config"])))
