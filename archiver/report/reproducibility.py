"""What it takes to get a run again: what the archive holds of it, what stands in the way, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archiver.archive.summary import counted
from archiver.report.markdown import Safe, markdown_text
from archiver.report.values import known, split_title

NOTHING = Safe("\N{CHECK MARK} nothing known")
SHOWN_NAMES = 3

_STARTS = {
    "interactive": "an interactive session",
    "code": "code on the command line",
    "standard_input": "code from standard input",
}


@dataclass(frozen=True)
class Obstacle:
    """One thing in the way."""

    text: Safe
    remedy: Safe
    """What to do about it, next time or now."""


@dataclass(frozen=True)
class Requirement:
    """One row of the checklist."""

    what: str
    held: Safe
    """What of it the archive holds."""
    found: tuple[Obstacle, ...]

    @property
    def is_met(self) -> bool:
        """Whether nothing is known to stand in the way."""
        return not self.found

    @property
    def obstacles(self) -> Safe:
        """What stands in the way."""
        return Safe("; ".join(each.text for each in self.found)) or NOTHING

    @property
    def remedies(self) -> Safe:
        """What to do, in the same order."""
        return Safe("; ".join(dict.fromkeys(each.remedy for each in self.found)))


def checklist(records: dict[str, Any]) -> list[Requirement]:
    """The rows, in the order in which somebody would go about it."""
    rows = [_code(records), _command(records), _environment(records), _data(records["dataset_stats"])]
    return [*rows, _seed(records["train_config"]), _machine(records["system"])]


def score(rows: Sequence[Requirement]) -> str:
    """In how many rows nothing is in the way: `4 of 6`."""
    return f"{sum(row.is_met for row in rows)} of {len(rows)}"


def sources_of_variation(train_config: Any) -> list[str]:
    """What is left that can make a repetition differ, over all phases."""
    found: dict[str, None] = {}
    for phase in train_config.phases if train_config is not None else ():
        part = known(phase.determinism)
        found |= dict.fromkeys(part.sources_of_variation if part is not None else ())
    return list(found)


def _row(what: str, held: Sequence[str], found: Iterable[tuple[str, str]]) -> Requirement:
    obstacles = tuple(Obstacle(Safe(text), Safe(remedy)) for text, remedy in found)
    return Requirement(what, Safe("; ".join(held) or "nothing"), obstacles)


def _code(records: dict[str, Any]) -> Requirement:
    git, source = records["git"], records["source"]
    held: list[str] = []
    found: list[tuple[str, str]] = []
    if source is not None and source.files:
        held.append(f"{counted(len(source.files), 'source file')} in `environment/source/`")
        if source.left_out_count:
            left_out = f"{counted(source.left_out_count, 'file')} left out"
            found.append((left_out, "commit them; `environment/source.json` names them and says why"))
    repository: Any = known(git.repository) if git is not None else None
    commit = known(repository.commit) if repository is not None else None
    if repository is not None and commit is not None:
        branch = known(repository.branch)
        held.append(f"commit `{commit.hash[:12]}`" + (f" of branch {markdown_text(branch, 80)}" if branch else ""))
        held += _patches(repository)
        found += _code_obstacles(repository)
    elif git is not None:
        remedy = "keep the code in one: then what is not imported, such as configuration files, is known too"
        found.append(("no commit: not in a git repository", remedy))
    return _row("Code", held, found)


def _patches(repository: Any) -> list[str]:
    patch = known(repository.patch)
    return ["uncommitted changes as a patch"] if patch is not None and patch.size_bytes and not patch.withheld else []


def _code_obstacles(repository: Any) -> Iterator[tuple[str, str]]:
    patch, untracked = known(repository.patch), known(repository.untracked)
    if known(repository.on_remote) is not True:
        yield "the commit is on no known remote", "push it"
    if patch is not None and patch.withheld:
        yield f"the patch was withheld: {markdown_text(patch.withheld)}", "commit the changes before training"
    if patch is not None and patch.lfs_object_count:
        text = f"{counted(patch.lfs_object_count, 'changed file')} in git-lfs only"
        yield text, "commit and push them, or keep the store of git-lfs"
    if untracked is not None and untracked.count:
        remedy = "commit or ignore them; those with source are in `environment/source/`"
        yield counted(untracked.count, "untracked file"), remedy


def _command(records: dict[str, Any]) -> Requirement:
    run, source = records["run"], records["source"]
    command = known(run.command) if run is not None else None
    if command is None:
        return _row("Command", [], [("it is not known", "train from a script")])
    held, found = [f"started as {command.start.replace('_', ' ')}"], []
    if command.redacted:
        found.append(("a secret was taken out of it", "give secrets in environment variables"))
    has_cells = source is not None and source.notebook is not None
    if has_cells:
        held.append("the cells that ran, as a script")
    elif command.start in _STARTS:
        found.append((f"started from {_STARTS[command.start]}, which cannot be started again", "train from a script"))
    return _row("Command", held, found)


def _environment(records: dict[str, Any]) -> Requirement:
    packages, system = records["packages"], records["system"]
    held = [f"Python {markdown_text(system.python.version.split()[0])}"] if system is not None else []
    if packages is None:
        return _row("Environment", held, [("the packages are not known", "`journal.jsonl` says why")])
    held.append(f"{counted(len(packages.packages), 'package')} with versions and fingerprints")
    return _row("Environment", held, _package_obstacles(packages))


def _package_obstacles(packages: Any) -> Iterator[tuple[str, str]]:
    parts = packages.packages
    editable = [name for name, part in parts.items() if part.editable]
    if editable:
        yield f"installed from a working folder: {_names(editable)}", "install a release, or commit and push the folder"
    edited = known(packages.edited, {})
    if edited:
        yield f"changed after they were installed: {_names(edited)}", "install them anew, or keep the changes as a fork"
    unpinned = [name for name, part in parts.items() if not part.editable and not _is_pinned(part)]
    if unpinned:
        yield f"from a place that may change: {_names(unpinned)}", "install them from an index, or from a commit"


def _is_pinned(part: Any) -> bool:
    """Whether the version, or a commit or hash, says what it was."""
    url = part.direct_url if isinstance(part.direct_url, dict) else None
    if url is None:
        return isinstance(part.version, str)
    archive = url.get("archive_info")
    return "vcs_info" in url or (isinstance(archive, dict) and bool(archive.get("hashes") or archive.get("hash")))


def _names(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join([markdown_text(name, 40) for name in found[:SHOWN_NAMES]] + ["..."] * (len(found) > SHOWN_NAMES))


def _data(stats: Any) -> Requirement:
    held, found = [], []
    splits = stats.splits if stats is not None else {}
    known_splits = [name for name, split in splits.items() if known(split.samples_fingerprint) is not None]
    if known_splits:
        held.append("fingerprints of " + _titles(known_splits) + ", not the samples themselves")
    unknown = [name for name, split in splits.items() if name not in known_splits and split.same_as is None]
    if unknown or not splits:
        what = f"no fingerprint of {_titles(unknown)}" if unknown else "nothing is known of it"
        found.append((what, "give arrays or data sets that can be read twice, or `data=`"))
    if stats is not None and stats.source:
        held.append("where it came from")
    else:
        found.append(("where it came from was not said", "`dataset_source=`"))
    return _row("Data", held, found)


def _titles(names: Sequence[str]) -> str:
    return ", ".join(markdown_text(split_title(name), 40) for name in names)


def _seed(train_config: Any) -> Requirement:
    phases = train_config.phases if train_config is not None else ()
    held, found = [], []
    for phase in phases:
        seed = known(phase.seed)
        if seed is not None:
            held.append(f"seed {seed.seed}" + (", deterministic operations" if seed.deterministic_ops else ""))
    if not held:
        found.append(("no seed was set", "`archiver.seed(...)` before data and model are made"))
    count = len(sources_of_variation(train_config))
    if count:
        found.append((f"{counted(count, 'thing')} that can vary", "each is named below, with what to do"))
    return _row("Random numbers", list(dict.fromkeys(held)), found)


def _machine(system: Any) -> Requirement:
    if system is None:
        return _row("Machine", [], [("it is not known", "`journal.jsonl` says why")])
    processor, gpus = known(system.processor.model), known(system.gpus)
    held: list[str] = [markdown_text(processor, 80)] if processor else []
    held += [markdown_text(device.name, 60) for device in (known(gpus.devices, ()) if gpus is not None else ())]
    return _row("Machine", held, [])
