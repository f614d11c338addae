"""Running a run again from its archive, and the verdict on it: the seven steps in their order."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from archiver import layout
from archiver.archive.ownership import note_own
from archiver.archive.run import Run, is_archive
from archiver.archive.verifying import verify
from archiver.collect.command import recordable
from archiver.errors import RunStateError
from archiver.records.base import utc_now
from archiver.records.reproduction import OriginalRunPart, ReproductionRecord, VerdictPart
from archiver.reproduction import environment as environments
from archiver.reproduction.cells import obstacles
from archiver.reproduction.command import Command, cells_file, command_of, link_data
from archiver.reproduction.consent import announcement, package_lines, require_consent
from archiver.reproduction.environment import Environment, Kind, Plan, Say
from archiver.reproduction.machine import machine_differences, why_not_equal
from archiver.reproduction.pinning import keras_home, pinned_variables
from archiver.reproduction.recipe import Recipe, cannot, read_recipe
from archiver.reproduction.running import repetition_of, run_program, variables
from archiver.reproduction.source_tree import SourceTree, rebuild
from archiver.reproduction.verdict import verdict
from archiver.sealing import changing
from archiver.storage import files


@dataclass(frozen=True)
class Options:
    """How a run is run again."""

    store: Path
    """Where the new archive goes; an empty folder, or none yet."""
    environment: Kind = "current"
    trust: bool = False
    """Whether the program of somebody else's archive may run."""
    data: dict[str, Path] = field(default_factory=dict)
    """Where data has gone, by the name or the path that the archive has for it."""
    repository: Path | None = None
    """Where the commit is to be found; None: where it was recorded."""
    fetch: bool = False
    """Whether the recorded remote may be asked for the commit."""
    keep: bool = False
    """Whether the rebuilt source tree stays."""


@dataclass(frozen=True)
class Reproduction:
    """What came of it."""

    repetition: Run
    record: ReproductionRecord

    @property
    def is_positive(self) -> bool:
        """Whether the verdict is identical or equivalent."""
        return self.record.verdict.judgement in ("identical", "equivalent")


def reproduce(
    path: str | os.PathLike[str], options: Options, say: Say, ask: Callable[[str], bool] | None = None
) -> Reproduction:
    """Run a run again and judge what came of it.

    Args:
        path: the archive.
        options: how.
        say: is told what happens, line by line; what an archive says is in these lines.
        ask: puts a question to the user; None: nobody is there.

    Raises:
        FindingsError: the archive is not whole.
        CannotReproduceError: it cannot be run again; the message names what is missing.
        RunStateError: it is not sealed, or the store is not empty.
    """
    run = Run.open(path)
    seal_id = _checked(run, options, say)
    recipe = read_recipe(run)
    with _work(options, say) as work:
        prepared = _prepare(recipe, options, work)
        prepared.announce(say)
        is_own = require_consent(run, ask, trust=options.trust)
        environment = prepared.environment(say)
        exit_code = prepared.run(options.store)
        repetition = _found(run, options.store, exit_code)
        judged = verdict(run, repetition)
    record = prepared.record(seal_id, environment, exit_code, judged)
    with changing(repetition):
        repetition.write(layout.REPRODUCTION, record)
    if is_own and repetition.seal_id is not None:
        note_own(repetition.seal_id)
    return Reproduction(repetition, record)


def _checked(run: Run, options: Options, say: Say) -> str:
    report = verify(run.path)
    report.raise_for_findings()
    if report.seal_id is None:
        raise RunStateError(f"{run.path} is not sealed; `archiver finalize` seals it.")
    if any(is_archive(folder) for folder in (options.store, *options.store.absolute().parents)):
        raise RunStateError(f"{options.store} lies in an archive. Give an --output elsewhere to the new archive.")
    if options.store.is_dir() and any(options.store.iterdir()):
        raise RunStateError(f"{options.store} is not empty. Give an --output of its own to the new archive.")
    say(f"{run.path}: whole, seal {report.seal_id[:16]}")
    return report.seal_id


@contextmanager
def _work(options: Options, say: Say) -> Iterator[Path]:
    """A fresh folder for tree and links, for this user alone."""
    work = Path(tempfile.mkdtemp(prefix="archiver-reproduce-"))
    try:
        yield work
    finally:
        if options.keep:
            say(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


@dataclass
class _Prepared:
    """All that is known before anything runs."""

    recipe: Recipe
    work: Path
    tree: SourceTree
    command: Command
    plan: Plan | Environment
    pinned: dict[str, str | None]
    expected: list[str]
    differences: list[str]

    def announce(self, say: Say) -> None:
        plan = self.plan.part if isinstance(self.plan, Environment) else self.plan
        for line in announcement(self.command, self.tree.part, plan, self.pinned, self.differences):
            say(line)
        self._warn(say)

    def _warn(self, say: Say) -> None:
        if self.expected:
            say("bits cannot be expected to be equal:")
            for reason in self.expected:
                say(f"  - {reason}")

    def environment(self, say: Say) -> Environment:
        """The environment; a planned one is made now."""
        if isinstance(self.plan, Environment):
            return self.plan
        made = environments.rebuilt(self.plan, say)
        for line in package_lines(made.part):
            say(line)
        new = [why for why in why_not_equal(self.recipe, made.part.differences) if why not in self.expected]
        if new:
            self.expected += new
            self._warn(say)
        return made

    def run(self, store: Path) -> int:
        """Run the program."""
        files.claim_folder(store)
        ourselves = environments.link_ourselves(self.work)
        return run_program(self.command, variables(self.command, self.pinned, store, ourselves, self.work))

    def record(self, seal_id: str, environment: Environment, exit_code: int, judged: VerdictPart) -> ReproductionRecord:
        """The record of the repetition."""
        run = self.recipe.run
        return ReproductionRecord(
            created=utc_now(),
            original=OriginalRunPart(
                name=run.name,
                path=recordable(str(run.path.absolute())),
                seal_id=seal_id,
                created=self.recipe.record.created,
                weights_digest=run.read(layout.RESULTS).weights_digest,
            ),
            command=tuple(map(recordable, self.command.words)),
            working_directory=recordable(str(self.command.folder)),
            source=self.tree.part,
            environment=environment.part,
            pinned=self.pinned,
            data_paths={recordable(each.recorded): recordable(str(each.path)) for each in self.command.moved},
            expected_differences=tuple(self.expected),
            machine_differences=tuple(self.differences),
            exit_code=exit_code,
            verdict=judged,
        )


def _prepare(recipe: Recipe, options: Options, work: Path) -> _Prepared:
    tree = rebuild(recipe, work, options.repository, fetch=options.fetch)
    plan: Plan | Environment = (
        environments.planned(recipe) if options.environment == "rebuild" else environments.current(recipe)
    )
    command = command_of(recipe, tree, work, plan.python, options.data)
    notes = [*_cells_left_out(recipe, tree), *link_data(recipe, tree, command, work), *_of_options(command)]
    if notes:
        tree.part = tree.part.model_copy(update={"notes": (*tree.part.notes, *notes)})
    version = plan.version if isinstance(plan, Plan) else plan.part.python_version
    packages = () if isinstance(plan, Plan) else plan.part.differences
    pinned = pinned_variables(recipe, _usable_cores()) | keras_home(recipe, work)
    return _Prepared(
        recipe, work, tree, command, plan, pinned, why_not_equal(recipe, packages), machine_differences(recipe, version)
    )


def _of_options(command: Command) -> list[str]:
    """Options of Python itself that keep it from finding what is in its place."""
    ignoring = [word for word in command.words[1:2] if re.fullmatch(r"-[a-zA-Z]*[EI][a-zA-Z]*", word)]
    return [f"Python's option {word} makes it ignore PYTHONPATH, and so the rebuilt modules" for word in ignoring]


def _cells_left_out(recipe: Recipe, tree: SourceTree) -> list[str]:
    if not recipe.is_notebook:
        return []
    text = cells_file(recipe, tree).read_text(encoding="utf-8", errors="replace")
    return [f"of the notebook, this is no Python and is left out: {each[:200]}" for each in obstacles(text)]


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _found(run: Run, store: Path, exit_code: int) -> Run:
    """The new run, sealed and complete as the original is.

    Raises:
        CannotReproduceError: there is none.
    """
    repetition = repetition_of(run, store)
    ended = f"the program ended with {exit_code}"
    hint = "; where it misses data, --data NAME=PATH says where they are"
    if repetition is None:
        raise cannot(run, [f"{ended} and made no run named {run.name!r}{hint if exit_code else ''}"])
    status = repetition.status
    if run.status.status == "complete" and status.status != "complete":
        raise cannot(run, [f"{ended}; its run is {status.describe()}: {repetition.path}{hint}"])
    if repetition.seal_id is None:
        raise cannot(run, [f"{ended} and left a run that is not sealed: {repetition.path}"])
    return repetition
