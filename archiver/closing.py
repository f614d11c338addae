"""Bringing a run to its end: history and results from its journal, then the seal.

Serves the live run as well as `archiver finalize`, which closes what a killed process left.
"""

from __future__ import annotations

from collections.abc import Mapping

from archiver import layout
from archiver.archive.outcome import build_history, build_results
from archiver.archive.run import Run
from archiver.archive.secrets import require_allowed, search_secrets
from archiver.archive.status import still_running
from archiver.archive.verifying import require_whole
from archiver.archive.workers import (
    EVENTS_NAME,
    FOLDER,
    MAXIMAL_DIGITS,
    MAXIMAL_EVENTS_BYTES,
    MAXIMAL_WORKERS,
    build_workers,
)
from archiver.errors import ArchiverError, RunStateError, UnsafeFileError
from archiver.records.base import Unavailable
from archiver.records.results import Results, TestResults
from archiver.records.training import History
from archiver.records.workers import WorkersRecord
from archiver.report.report import ReportOptions
from archiver.sealing import DEFAULT_REPORT, changing, seal, unseal
from archiver.storage import files
from archiver.storage.beneath import opened_folder, walk
from archiver.storage.digests import ALGORITHMS
from archiver.storage.hashing import hash_files, regular_files
from archiver.storage.journal import JOURNAL_NAME, Journal, JournalContents, parse_journal
from archiver.storage.manifests import MANIFEST_NAMES, MAXIMAL_MANIFEST_BYTES, PREVIOUS_SEAL, parse_manifest
from archiver.storage.reading import read_below


def outcome(run: Run, test: TestResults | Unavailable | None = None) -> tuple[History, Results]:
    """History and results as the journal tells them now.

    Args:
        run: the run.
        test: results on test data; None keeps those the archive holds, if they are of the weights it holds.
    """
    contents = run.journal.read()
    history = build_history(contents)
    results = build_results(run, contents, history, test or Unavailable(unavailable="not evaluated"))
    if test is None:
        results = results.model_copy(update={"test": _kept_test_results(run, results)})
    return history, results


def _kept_test_results(run: Run, results: Results) -> TestResults | Unavailable:
    try:
        old = run.read_if_there(layout.RESULTS)
    except ArchiverError:
        old = None
    if old is None or isinstance(old.test, Unavailable):
        return Unavailable(unavailable="finalize(test_data=...) was not called")
    if old.test.weights_digest != results.weights_digest:
        return Unavailable(unavailable="the weights have changed since the model was evaluated; finalize it again")
    return old.test


def write_history(run: Run) -> None:
    """Write the metrics of every epoch."""
    run.write(layout.HISTORY, build_history(run.journal.read()))


def write_results(run: Run, test: TestResults | Unavailable | None = None) -> None:
    """Write the results; `test` as for `outcome`. Predictions of weights that are no longer there go with theirs."""
    results = outcome(run, test)[1]
    run.write(layout.RESULTS, results)
    if isinstance(results.test, Unavailable):
        _remove_test_files(run)


def read_workers(run: Run) -> dict[int, JournalContents]:
    """By number of the process, what those that trained together wrote; what cannot be read is left out."""
    folder = run.path / FOLDER
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    numbers = [int(name) for name in names[:MAXIMAL_WORKERS] if name.isdecimal() and len(name) < MAXIMAL_DIGITS]
    found = {number: read_worker(run, number) for number in numbers}
    return {number: contents for number, contents in found.items() if contents is not None}


def read_worker(run: Run, number: int) -> JournalContents | None:
    """What one of the processes wrote; None: nothing that can be read."""
    try:
        data = read_below(run.path, f"{FOLDER}/{number}/{EVENTS_NAME}", MAXIMAL_EVENTS_BYTES)
        return parse_journal(data)
    except (OSError, ArchiverError):
        return None


def write_workers(run: Run, count: int | None = None, reasons: Mapping[int, str] | None = None) -> WorkersRecord:
    """Sum up what several processes wrote. `count`, `reasons`: what the chief knows of them."""
    record = build_workers(read_workers(run), count, reasons)
    run.write(layout.WORKERS, record)
    return record


def forget_test_results(run: Run) -> None:
    """Remove what describes the test results, before they are replaced; see `forget_models`."""
    files.remove(run.path_of(layout.RESULTS))
    _remove_test_files(run)


def _remove_test_files(run: Run) -> None:
    for file in (layout.PREDICTIONS, layout.TEST_SCORES):
        files.remove(run.path_of(file))


def close_unfinished(
    run: Run, *, force: bool = False, report: ReportOptions = DEFAULT_REPORT, allow_secrets: bool = False
) -> str:
    """Seal what a run left behind whose process is gone, or whose seal was interrupted.

    Args:
        run: the run.
        force: also where the process cannot be looked at because it belongs to another machine, and where files are
            not those of an earlier seal of which a manifest is left.
        report: how the report is made.
        allow_secrets: seal although something in it looks like a secret.

    Returns:
        The seal id; that of a sealed archive, which is left alone, too.

    Raises:
        RunStateError: its process is still there, or files were changed after an earlier seal.
        SecretsFoundError: something in it looks like a secret; it stays unsealed.
        StorageError: the file system refused.
    """
    sealed = run.seal_id
    if sealed is not None:
        return sealed
    _require_plain_files(run)
    status = run.status
    if status.status == "running" and not (force and status.note):
        raise still_running(run.path, status, "--force seals it all the same" if status.note else None)
    changed = changed_since_manifest(run)
    if changed and not force:
        raise RunStateError(
            f"{run.path}: {', '.join(changed[:5])}{' ...' if len(changed) > 5 else ''} changed after it was sealed, "  # noqa: PLR2004
            "as a manifest of that seal tells; somebody removed the rest of it. --force seals it as it is now."
        )
    journal = Journal(run.path, part=next_part(run))
    unseal(run, journal)
    if changed:
        journal.append(
            "warning", message="sealed although files differ from a manifest of an earlier seal", files=changed
        )
    if status.note is not None:
        journal.append("status", status="interrupted", note=status.note)
    write_history(run)
    write_results(run)
    if (run.path / FOLDER).is_dir():
        write_workers(run)
    return seal(run, journal, report, allow_secrets=allow_secrets)


def _require_plain_files(run: Run) -> None:
    """Refuse to write into a folder of a stranger whose links may lead elsewhere."""
    with opened_folder(run.path) as folder:
        found = next((entry for entry in walk(folder) if entry.kind not in ("file", "folder")), None)
    if found is not None:
        raise UnsafeFileError(
            f"{run.path}: {found.path!r} is a {found.kind}, and nothing is written where it may lead. "
            "Expected files and folders only; remove it, or put a copy in its place."
        )


def render_again(run: Run, report: ReportOptions, *, allow_secrets: bool = False) -> str:
    """Make the report of a sealed archive anew, and seal it.

    Args:
        run: the archive.
        report: how the report is made.
        allow_secrets: seal although something in it looks like a secret.

    Returns:
        The new seal id.

    Raises:
        SecretsFoundError: something in it looks like a secret; nothing is touched.
        RunStateError: it is not sealed, or files were changed since: a new seal would hide it.
        StorageError: the file system refused.
    """
    require_whole(run)
    if not allow_secrets:
        require_allowed(run, search_secrets(run).findings, run.journal.read())
    with changing(run, report=report, allow_secrets=allow_secrets):
        pass
    return str(run.seal_id)


def changed_since_manifest(run: Run) -> list[str]:
    """Files that are not what a manifest says that an interrupted seal, or somebody who removed the seal, has left.

    Unsealing itself appends to the journal and renames the seal before it removes the manifests; these are left out.
    """
    for algorithm in reversed(ALGORITHMS):
        path = run.path / MANIFEST_NAMES[algorithm]
        if not path.is_file():
            continue
        listed, _ = parse_manifest(read_below(run.path, path.name, MAXIMAL_MANIFEST_BYTES), algorithm)
        sizes = {name: size for name, size in regular_files(run.path).items() if name in listed}
        digests = hash_files(run.path, sizes, (algorithm,))
        found = {name: each[algorithm] for name, each in digests.items()}
        compared = set(listed) - {JOURNAL_NAME, PREVIOUS_SEAL}
        return sorted(name for name in compared if found.get(name) != listed[name])
    return []


def next_part(run: Run) -> int:
    """The number of the process that goes on with a run, in its journal."""
    return max((event.part for event in run.journal.read().events), default=0) + 1


def forget_models(run: Run) -> None:
    """Remove what describes the files in `models/`, before they are replaced by those of other weights.

    They cannot all be replaced at once: what a kill in between leaves is not described at all, instead of wrongly.
    """
    files.remove(run.path_of(layout.CHECKPOINT_STATE))
    files.remove(run.path_of(layout.WEIGHTS))
