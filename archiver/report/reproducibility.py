"""What it takes to get a run again: what the archive holds of it, and what stands in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archiver.archive.summary import counted
from archiver.report.markdown import Safe, markdown_text
from archiver.report.values import known, split_title

NOTHING = Safe("\N{CHECK MARK} nothing known")


@dataclass(frozen=True)
class Requirement:
    """One row of the checklist."""

    what: str
    held: Safe
    """What of it the archive holds."""
    obstacles: Safe
    """What stands in the way."""


def checklist(records: dict[str, Any]) -> list[Requirement]:
    """The rows, in the order in which somebody would go about it."""
    rows = [_code(records), _command(records["run"]), _environment(records), _data(records["dataset_stats"])]
    return [*rows, _seed(records["train_config"]), _machine(records["system"])]


def sources_of_variation(train_config: Any) -> list[str]:
    """What is left that can make a repetition differ, over all phases."""
    found: dict[str, None] = {}
    for phase in train_config.phases if train_config is not None else ():
        part = known(phase.determinism)
        found |= dict.fromkeys(part.sources_of_variation if part is not None else ())
    return list(found)


def _row(what: str, held: Sequence[str], obstacles: Sequence[str]) -> Requirement:
    return Requirement(what, Safe("; ".join(held) or "nothing"), Safe("; ".join(obstacles)) or NOTHING)


def _code(records: dict[str, Any]) -> Requirement:
    git, source = records["git"], records["source"]
    held, obstacles = [], []
    if source is not None and source.files:
        held.append(f"{counted(len(source.files), 'source file')} in `environment/source/`")
        if source.left_out_count:
            obstacles.append(f"{counted(source.left_out_count, 'file')} left out")
    repository: Any = known(git.repository) if git is not None else None
    commit = known(repository.commit) if repository is not None else None
    if repository is not None and commit is not None:
        branch = known(repository.branch)
        held.append(f"commit `{commit.hash[:12]}`" + (f" of branch {markdown_text(branch, 80)}" if branch else ""))
        held += _patches(repository)
        obstacles += _code_obstacles(repository)
    elif git is not None:
        obstacles.append("no commit: not in a git repository")
    return _row("Code", held, obstacles)


def _patches(repository: Any) -> list[str]:
    patch = known(repository.patch)
    return ["uncommitted changes as a patch"] if patch is not None and patch.size_bytes and not patch.withheld else []


def _code_obstacles(repository: Any) -> list[str]:
    found = []
    patch, untracked = known(repository.patch), known(repository.untracked)
    if known(repository.on_remote) is not True:
        found.append("the commit is on no known remote")
    if patch is not None and patch.withheld:
        found.append(f"the patch was withheld: {markdown_text(patch.withheld)}")
    if patch is not None and patch.lfs_object_count:
        found.append(f"{counted(patch.lfs_object_count, 'changed file')} in git-lfs only")
    if untracked is not None and untracked.count:
        found.append(f"{counted(untracked.count, 'untracked file')}")
    return found


def _command(run: Any) -> Requirement:
    command = known(run.command) if run is not None else None
    if command is None:
        return _row("Command", [], ["it is not known"])
    held = f"started as {command.start.replace('_', ' ')}"
    return _row("Command", [held], ["a secret was taken out of it"] if command.redacted else [])


def _environment(records: dict[str, Any]) -> Requirement:
    packages, system = records["packages"], records["system"]
    held, obstacles = [], []
    if system is not None:
        held.append(f"Python {markdown_text(system.python.version.split()[0])}")
    if packages is not None:
        held.append(f"{counted(len(packages.packages), 'package')} with versions and fingerprints")
        editable = sorted(name for name, part in packages.packages.items() if part.editable)
        if editable:
            names = ", ".join(markdown_text(name, 40) for name in editable[:3])
            obstacles.append(f"installed from a working folder: {names}{', ...' if len(editable) > 3 else ''}")  # noqa: PLR2004
        edited = known(packages.edited, {})
        if edited:
            names = ", ".join(markdown_text(name, 40) for name in list(edited)[:3])
            obstacles.append(f"changed after they were installed: {names}{', ...' if len(edited) > 3 else ''}")  # noqa: PLR2004
    return _row("Environment", held, obstacles)


def _data(stats: Any) -> Requirement:
    held, obstacles = [], []
    splits = stats.splits if stats is not None else {}
    known_splits = [name for name, split in splits.items() if known(split.samples_fingerprint) is not None]
    if known_splits:
        held.append("fingerprints of " + ", ".join(markdown_text(split_title(name), 40) for name in known_splits))
    unknown = [name for name, split in splits.items() if name not in known_splits and split.same_as is None]
    if unknown:
        obstacles.append("no fingerprint of " + ", ".join(markdown_text(split_title(name), 40) for name in unknown))
    if stats is not None and stats.source:
        held.append("where it came from")
    else:
        obstacles.append("where it came from was not said (`dataset_source=`)")
    return _row("Data", held, [*obstacles, "the samples themselves are not in the archive"])


def _seed(train_config: Any) -> Requirement:
    phases = train_config.phases if train_config is not None else ()
    held = []
    for phase in phases:
        seed = known(phase.seed)
        if seed is not None:
            held.append(f"seed {seed.seed}" + (", deterministic operations" if seed.deterministic_ops else ""))
    obstacles = [] if held else ["no seed was set (`archiver.seed(...)` before the model is made)"]
    count = len(sources_of_variation(train_config))
    return _row(
        "Random numbers", list(dict.fromkeys(held)), obstacles + ([f"{_things(count)}, below"] if count else [])
    )


def _things(count: int) -> str:
    return f"{counted(count, 'thing')} that can vary"


def _machine(system: Any) -> Requirement:
    if system is None:
        return _row("Machine", [], ["it is not known"])
    processor, gpus = known(system.processor.model), known(system.gpus)
    held: list[str] = [markdown_text(processor, 80)] if processor else []
    held += [markdown_text(device.name, 60) for device in (known(gpus.devices, ()) if gpus is not None else ())]
    return _row("Machine", held, [])
