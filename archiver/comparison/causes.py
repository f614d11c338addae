"""The candidate causes: every input of two runs that differs, the most meaningful first.

What cannot matter is none: times, names, paths, numbers of processes, what archiver says of itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.comparison.code import FileDifference, causes_in_code, causes_in_git, gaps_in_code
from archiver.comparison.data_causes import causes_in_data, causes_in_preprocessing
from archiver.comparison.differences import Cause, Found, Gap, Place, Rank, first_line
from archiver.comparison.facts import known, short
from archiver.comparison.model_causes import causes_in_model
from archiver.comparison.package_causes import causes_in_packages
from archiver.comparison.system_causes import causes_in_system
from archiver.comparison.training_causes import causes_in_command, causes_in_optimizer, causes_in_training
from archiver.errors import ArchiverError
from archiver.layout import RecordFile
from archiver.records.results import Results

MAXIMAL_CAUSES = 2000
MAXIMAL_GAPS = 200


def causes_in_origin(before: Results, after: Results) -> Found:
    """The weights a training began with."""
    digests = [short(known(record.initial_weights_digest)) for record in (before, after)]
    if digests[0] and digests[1] and digests[0] != digests[1]:
        parents = [", ".join(part.run for part in record.parents if part.weights) for record in (before, after)]
        told = " and ".join(f"{text or 'no other run'}" for text in parents)
        went_on = f" (went on from {told})" if any(parents) else ""
        why = f"training began with other weights: the reason lies before the first step{went_on}"
        where = "results#/initial_weights_digest"
        rank = Rank.PARENT if any(parents) else Rank.ORIGIN
        yield Cause("origin", "initial weights", digests[0], digests[1], rank, why, where)


_SUBJECTS: tuple[tuple[RecordFile[Any], Callable[[Any, Any], Found]], ...] = (
    (layout.DATASET_STATS, causes_in_data),
    (layout.TRAIN_CONFIG, causes_in_training),
    (layout.OPTIMIZER_CONFIG, causes_in_optimizer),
    (layout.MODEL_CONFIG, causes_in_model),
    (layout.PREPROCESSING, causes_in_preprocessing),
    (layout.SOURCE, gaps_in_code),
    (layout.RUN, causes_in_command),
    (layout.RESULTS, causes_in_origin),
    (layout.PACKAGES, causes_in_packages),
    (layout.SYSTEM, causes_in_system),
    (layout.GIT, causes_in_git),
)


def causes_between(before: Run, after: Run) -> list[Cause]:
    """What was done differently, the most meaningful first; what came out is not in it.

    Records that cannot be read are left out; `inputs_compared` says which.
    """
    return inputs_compared(before, after)[0]


def inputs_compared(before: Run, after: Run, code: list[FileDifference] | None = None) -> tuple[list[Cause], list[Gap]]:
    """The candidate causes, and what could not be compared.

    Args:
        before: one run.
        after: the other one.
        code: the differences of the source, where they are known already.
    """
    causes: list[Cause] = []
    gaps: list[Gap] = []
    for file, compare in _SUBJECTS:
        records = _read(before, "before", file, gaps), _read(after, "after", file, gaps)
        if None not in records:
            _sorted_in(compare(*records), causes, gaps)
        if file is layout.SOURCE:
            _sorted_in(causes_in_code(before, after, code), causes, gaps)
    causes.sort(key=lambda cause: cause.rank)
    return _once(causes[: 2 * MAXIMAL_CAUSES])[:MAXIMAL_CAUSES], gaps[:MAXIMAL_GAPS]


def _once(causes: list[Cause]) -> list[Cause]:
    """What two records tell alike is told where it ranks first."""
    return list({(cause.subject, cause.text): cause for cause in reversed(causes)}.values())[::-1]


def _sorted_in(found: Found, causes: list[Cause], gaps: list[Gap]) -> None:
    for each in found:
        if isinstance(each, Gap):
            gaps.append(each)
        else:
            causes.append(each)


def _read(run: Run, side: Place, file: RecordFile[Any], gaps: list[Gap]) -> Any:
    path = file.path(run.name)
    try:
        record = run.read_if_there(file)
    except ArchiverError as error:
        gaps.append(Gap(side, path, first_line(error)))
        return None
    if record is None:
        gaps.append(Gap(side, path, f"there is no {file.description}"))
    return record
