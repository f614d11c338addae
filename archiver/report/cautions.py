"""What a reader must know before they trust a run: each a sentence, the gravest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archiver.archive.run import Run
from archiver.archive.summary import counted
from archiver.errors import ArchiverError
from archiver.records.results import Results
from archiver.records.scores import ClassScores
from archiver.report.markdown import Safe, format_number, markdown_text
from archiver.report.values import is_finite, known, split_title, test_scores_of
from archiver.storage.journal import JournalContents, events_named

WEAK_CLASS_GAP = 0.1
"""By how much a class's recall lies below the mean recall of all classes for a caution."""
IMBALANCE = 10.0
"""Samples of the largest class by those of the smallest, from which on a caution is due."""
SHOWN_GROUPS = 3


def cautions(run: Run, records: dict[str, Any]) -> list[Safe]:
    """The sentences, as Markdown."""
    results, data = records["results"], records["dataset_stats"]
    contents = _journal_of(run)
    found = [
        *_of_repairs(contents),
        *_of_results(results),
        *_of_shared_groups(data),
        *_of_duplicates(data),
        *_of_values(data),
        *_of_scores(results, data, records["test_scores"]),
        *_of_source_files(data),
        *_of_models(records["weights"], records["model_config"]),
        *_of_code(records["git"]),
        *_of_journal(contents),
    ]
    return [Safe(sentence) for sentence in found]


def _of_results(results: Results | None) -> Iterator[str]:
    if results is None:
        return
    first = results.first_non_finite_loss
    if isinstance(first, dict) and isinstance(first.get("epoch"), int):
        phase = (
            f" of phase {first['phase'] + 1}" if results.phase_count > 1 and isinstance(first.get("phase"), int) else ""
        )
        yield f"the loss was **not finite** in epoch {first['epoch'] + 1}{phase}"
    if known(results.test) is None and results.status == "complete":
        yield "not tested: no test data was given (`archive.finalize(test_data=...)`)"


def _of_duplicates(data: Any) -> Iterator[str]:
    if data is None:
        return
    for first, others in data.duplicates.between.items():
        for second, found in others.items():
            if known(found) is not None and found.count:
                share = f"{format_number(100 * found.share)} %"
                text = (
                    f"**{counted(found.count, 'sample')}** of {_split(second)} ({share}) also stand in {_split(first)}"
                )
                yield text.replace("also stand", "also stands") if found.count == 1 else text
    for split, found in data.duplicates.within.items():
        conflicts = known(known(found, None) and found.conflicting_count, 0)
        if conflicts:
            yield f"{_split(split)}: {counted(conflicts, 'input')} with more than one label"


def _of_shared_groups(data: Any) -> Iterator[str]:
    for first, others in data.shared_groups.items() if data is not None else ():
        for second, kinds in others.items():
            for kind, found in kinds.items():
                if found.count:
                    names = ", ".join(markdown_text(name, 40) for name in found.first[:SHOWN_GROUPS])
                    more = ", ..." if found.count > SHOWN_GROUPS else ""
                    what = "group" if found.count == 1 else "groups"
                    stand = "stands" if found.count == 1 else "stand"
                    where = f"in {_split(first)} and in {_split(second)}"
                    kind_of = markdown_text(kind, 40)
                    yield f"**{found.count:,} {what} of the kind {kind_of}** {stand} {where}: {names}{more}"


def _split(name: str) -> str:
    role, _, phase = split_title(name).partition(" of ")
    return f"the {markdown_text(role, 40)} data" + (f" of {phase}" if phase else "")


def _of_values(data: Any) -> Iterator[str]:
    for name, split in data.splits.items() if data is not None else ():
        for array in known(split.arrays, ()):
            missing, infinite = known(array.missing, 0), known(array.infinite, 0)
            if missing or infinite:
                what = " and ".join(
                    text
                    for text, count in ((f"{missing:,} missing", missing), (f"{infinite:,} infinite", infinite))
                    if count
                )
                yield f"{_split(name)} hold {what} values in {markdown_text(array.name, 60)}"


def _of_scores(results: Results | None, data: Any, tables: Any) -> Iterator[str]:
    for output, score in test_scores_of(results).items():
        accuracy, baseline = score.values.get("accuracy"), _majority_share(data, output)
        if is_finite(accuracy) and baseline is not None and accuracy <= baseline:  # type: ignore[operator]
            of = f" of {markdown_text(output, 40)}" if len(test_scores_of(results)) > 1 else ""
            yield (
                f"accuracy{of} {format_number(accuracy)} is not above {format_number(baseline)}, that of always "
                "answering with the most frequent class"
            )
    outputs = tables.outputs if tables is not None else {}
    for name, table in outputs.items():
        if isinstance(table, ClassScores):
            yield from _weak_classes(table, f" of {markdown_text(name, 40)}" if len(outputs) > 1 else "")


def _majority_share(data: Any, output: str) -> float | None:
    split = data.splits.get("test") if data is not None else None
    classes = known(split.classes, {}) if split is not None else {}
    found = {name: part for name, part in classes.items() if known(part) is not None and part.kind != "multi_label"}
    part = next(iter(found.values())) if len(found) == 1 == len(classes) else found.get(f"y/{output}")
    return part.majority_share if part is not None else None


def _weak_classes(table: ClassScores, of: str) -> Iterator[str]:
    present = [part for part in table.classes if part.support]
    if len(present) < 2:  # noqa: PLR2004 - weaker than what
        return
    mean = sum(part.recall for part in present) / len(present)
    weak = sorted((part for part in present if part.recall < mean - WEAK_CLASS_GAP), key=lambda part: part.recall)
    if weak:
        worst = weak[0]
        more = f"; {len(weak):,} classes lie more than {WEAK_CLASS_GAP} below the mean of {format_number(mean)}"
        right = f"{worst.correct:,} of {worst.support:,} found"
        name = markdown_text(worst.name, 60)
        yield f"class {name}{of} has recall {format_number(worst.recall)}, {right}{more if len(weak) > 1 else ''}"


def _of_source_files(data: Any) -> Iterator[str]:
    for part in known(data.source_files, ()) if data is not None else ():
        images = getattr(part, "images", None)
        if images is not None:
            where = markdown_text(part.path, 80)
            if images.damaged_count:
                yield f"{counted(images.damaged_count, 'damaged image')} in {where}"
            if images.duplicates.conflicting_count:
                yield f"{counted(images.duplicates.conflicting_count, 'image')} in {where} with two labels"
            if images.duplicates.between_splits_count:
                yield f"{counted(images.duplicates.between_splits_count, 'image')} in {where} in two splits"
    split = data.splits.get("train") if data is not None else None
    for classes in known(split.classes, {}).values() if split is not None else ():
        if known(classes) is not None and classes.imbalance_ratio >= IMBALANCE:
            ratio = format_number(classes.imbalance_ratio)
            yield f"classes are uneven: the largest has {ratio} times the training samples of the smallest"


def _of_models(weights: Any, model: Any) -> Iterator[str]:
    if weights is not None and any(part.redacted for part in weights.formats.values()):
        yield "secrets were taken out of the saved model: it must be given them anew before it works as it did"
    if model is not None and model.needs_trust:
        names = ", ".join(markdown_text(name, 60) for name in model.needs_trust[:3])
        yield f"loading the model runs code: {names}; do so only where you trust its origin"


def _of_code(git: Any) -> Iterator[str]:
    repository = known(git.repository) if git is not None else None
    if repository is None:
        return
    if known(repository.dirty) is True:
        withheld = known(repository.patch) is not None and repository.patch.withheld
        kept = "are not in this archive" if withheld else "are in `environment/uncommitted.patch`"
        yield f"the code had uncommitted changes, which {kept}"
    if known(repository.on_remote) is False:
        yield "no remote is known to hold the commit: others cannot fetch it"


def _journal_of(run: Run) -> JournalContents:
    try:
        return run.journal.read()
    except ArchiverError:
        return JournalContents((), (), 0)


def _of_repairs(contents: JournalContents) -> Iterator[str]:
    for event in events_named(contents, "repaired"):
        told = event.details.get("files")
        parts = [part for part in told if isinstance(part, dict)] if isinstance(told, list) else []
        rebuilt = [str(part.get("file")) for part in parts if part.get("what") == "rebuilt"]
        names = ", ".join(markdown_text(name, 80) for name in rebuilt[:SHOWN_GROUPS])
        more = f" and {len(rebuilt) - SHOWN_GROUPS} more" if len(rebuilt) > SHOWN_GROUPS else ""
        yield (
            f"this archive was damaged and repaired on {event.utc:%Y-%m-%d}: {names}{more} written anew with the "
            "recorded tensors, the other files as they were sealed (`journal.jsonl` has both digests)"
        )


def _of_journal(contents: JournalContents) -> Iterator[str]:
    failed = [event.details for event in events_named(contents, "step_failed")]
    names = list(dict.fromkeys(str(details.get("step", details.get("name", "a step"))) for details in failed))
    if names:
        shown = ", ".join(markdown_text(name, 60) for name in names[:5])
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""  # noqa: PLR2004
        yield f"not all could be archived: {shown}{more} failed (`journal.jsonl` says why)"
