"""Made up ensembles: a journal, without anything that was trained."""

from __future__ import annotations

from pathlib import Path

from archiver.data.lines import as_line
from archiver.ensemble.journal import FOLDER_SUFFIX, JOURNAL_NAME
from archiver.ensemble.prediction import MINIMAL_ROWS
from archiver.records.base import utc_now
from archiver.records.ensemble import (
    MEBIBYTE,
    EnsembleBegan,
    EnsembleCompleted,
    EnsembleIteration,
    MemoryUse,
    Prediction,
    StageTwoPart,
)
from archiver.storage import files
from archiver.version import __version__

TYPES = ("GaussianNB", "RandomForestClassifier", "SVC")
_ALERT, _ALERTED = "took 64 MB, more than the 40 MB expected at most", 7
_BASE_BYTES = 200 * MEBIBYTE


def tiny_ensemble(
    root: Path, name: str = "tiny", *, iterations: int = 9, with_memory: bool = True, complete: bool = True
) -> Path:
    """Write the journal of an ensemble in which every other candidate was accepted.

    Args:
        root: the store.
        name: of the ensemble.
        iterations: how many candidates were tried.
        with_memory: whether memory was measured, as it was not by tools before this one.
        complete: whether the search came to its end.

    Returns:
        its folder.
    """
    folder = root / f"{name}{FOLDER_SUFFIX}"
    members: dict[str, int] = {}
    lines = [_began(name)]
    for number in range(iterations):
        line = _iteration(name, number, members, with_memory=with_memory)
        members = line.members
        lines.append(line)
    if complete:
        lines.append(EnsembleCompleted(ended=utc_now(), iteration_count=iterations, score=0.9, test_score=0.875))
    files.write_bytes(folder / JOURNAL_NAME, b"".join(as_line(line) for line in lines))
    return folder


def _began(name: str) -> EnsembleBegan | EnsembleIteration | EnsembleCompleted:
    return EnsembleBegan(
        name=name,
        created=utc_now(),
        archiver_version=__version__,
        scikit_learn="1.5.0",
        host="host",
        metric="roc_auc",
        classes=("even", "odd"),
        data={"train": "0" * 32, "selection": "1" * 32},
        sample_count=1000,
        feature_count=20,
        data_bytes=80_000,
        settings={"seed": 0, "tolerance": 0.0, "stage_two": None},
    )


def _iteration(ensemble: str, number: int, before: dict[str, int], *, with_memory: bool) -> EnsembleIteration:
    candidate, is_accepted = f"candidate-{number}", number % 2 == 0
    members = before | {candidate: 1} if is_accepted else before
    memory = _memory(8 * (number + 1)) if with_memory else None
    stage_two = _stage_two(ensemble, number, tuple(members)) if is_accepted else None
    stage_two_mb = stage_two.memory.added_mb if stage_two is not None and with_memory else None
    return EnsembleIteration(
        iteration=number,
        ended=utc_now(),
        candidate=candidate,
        classifier_type=TYPES[number % len(TYPES)],
        configuration={"size": number},
        score=0.75 + number / 1024,
        ensemble_score=0.8 + len(members) / 1024,
        score_gain=None if not before else 1 / 1024 if is_accepted else 0.0,
        accepted=is_accepted,
        added=(candidate,) if is_accepted else (),
        members=members,
        memory=memory,
        training_seconds=0.5 * (number + 1),
        training_memory_mb=memory.added_mb if memory is not None else None,
        stage2=stage_two,
        stage2_memory_mb=stage_two_mb,
        prediction=None if number < MINIMAL_ROWS else _prediction(number),
        alerts=(_ALERT,) if number == _ALERTED and with_memory else (),
    )


def _prediction(number: int) -> Prediction:
    return Prediction(memory_mb=10.0, high_mb=40.0, typical_error=0.5, row_count=number)


def _memory(added_mebibytes: int) -> MemoryUse:
    after = _BASE_BYTES + added_mebibytes * MEBIBYTE // 2
    peak = _BASE_BYTES + added_mebibytes * MEBIBYTE
    return MemoryUse(before_bytes=_BASE_BYTES, after_bytes=after, peak_bytes=peak, is_peak_exact=True)


def _stage_two(ensemble: str, number: int, members: tuple[str, ...]) -> StageTwoPart:
    return StageTwoPart(
        run=f"{ensemble}_stage2_{number:04}",
        seal_id=None,
        members=members,
        is_expanded=len(members) > 1,
        score=0.82 + number / 1024,
        memory=_memory(96 + number),
        seconds=4.0 + number,
    )
