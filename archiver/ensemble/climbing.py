"""`hill_climb`: candidates trained in parallel, the best of them chosen one by one, a network trained on the chosen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from archiver.archive.claiming import redirected
from archiver.collect.identity import this_process
from archiver.collect.program import running_program
from archiver.ensemble import console
from archiver.ensemble.candidates import Candidate, as_candidates
from archiver.ensemble.data import Splits, checked_splits, write_data
from archiver.ensemble.dispatching import Dispatcher, OnMemory
from archiver.ensemble.ensemble import Ensemble
from archiver.ensemble.journal import FOLDER_SUFFIX, EnsembleJournal
from archiver.ensemble.scores import METRICS, Metric, score
from archiver.ensemble.selection import Selection, mean_probabilities
from archiver.ensemble.stage_two import StageTwo, StageTwoJob, train_stage_two
from archiver.ensemble.training import CandidateJob, CandidateResult, read_probabilities
from archiver.errors import ArchiverError, ArgumentError, MissingExtraError, RunStateError
from archiver.naming import FOLDER_SUFFIX as RUN_SUFFIX
from archiver.naming import run_name
from archiver.records.base import utc_now
from archiver.records.ensemble import EnsembleBegan, EnsembleCompleted, EnsembleIteration, StageTwoPart
from archiver.storage import files
from archiver.version import __version__


def hill_climb(
    store: str | os.PathLike[str],
    *,
    name: str,
    candidates: Mapping[str, Any] | Iterable[Any],
    train: tuple[Any, Any],
    selection: tuple[Any, Any],
    test: tuple[Any, Any] | None = None,
    metric: Metric = "roc_auc",
    stage_two: StageTwo | None = StageTwo(),  # noqa: B008 - frozen
    n_jobs: int | None = -1,
    seed: int = 0,
    tolerance: float = 0.0,
    on_memory: OnMemory = "warn",
    memory_alert_mb: float | None = None,
    verbose: bool = True,
) -> Ensemble:
    """Search an ensemble by greedy selection with replacement (Caruana et al. 2004).

    Each candidate is trained on the training data in a process of its own, where its memory is measured: before, after,
    true peak. It joins the library; as long as one more model of the library, a repeated one too, raises the score of
    the mean of probabilities on the selection data, it is added. When the members change, a Keras network over their
    probabilities is trained, in a process of its own too; each of its trainings is an archive in the store.

    Every candidate is a line in `<store>/<name>_ensemble/ensemble.jsonl`. A search that was killed goes on from there
    when it is called again with the same arguments; candidates may be added at the end.

    Args:
        store: the folder of runs; the variable ARCHIVER_ROOT, where it is set, stands for it.
        name: of the ensemble.
        candidates: scikit-learn classifiers or pipelines, in order; or a dict of them by name.
        train: features and labels the candidates are fitted on. Features are what the candidates take, usually an
            array of shape (samples, features).
        selection: features and labels the ensemble is chosen on; other samples.
        test: features and labels for scores at the end, which decide nothing.
        metric: what is climbed; a larger value is better.
        stage_two: how the network is trained; None: there is none.
        n_jobs: how many candidates are trained at once; -1: as many as joblib's backend has; None: as many as
            `joblib.parallel_config` says.
        seed: of the split for the second stage, of its training, and of the random numbers that candidates draw which
            have no seed of their own.
        tolerance: by how much the score must rise at least for a model to be added.
        on_memory: what becomes of a candidate whose memory is expected not to fit: "warn" or "skip".
        memory_alert_mb: a candidate that takes more, in 2**20 bytes, is told.
        verbose: a line for each candidate on standard output.

    Raises:
        ArgumentError: an argument cannot be used.
        DataError: features, labels and splits do not fit each other.
        RunStateError: an ensemble of this name was begun with other arguments, or is worked on by another process.
        MissingExtraError: joblib or scikit-learn is not installed.
    """
    if metric not in METRICS:
        raise ArgumentError(f"Received metric={metric!r}. Expected one of {', '.join(METRICS)}.")
    root, cleaned = Path(redirected(store)).absolute(), run_name(name).name
    chosen, splits = as_candidates(candidates), checked_splits(train, selection, test)
    folder = root / f"{cleaned}{FOLDER_SUFFIX}"
    settings = {"seed": seed, "tolerance": tolerance, "stage_two": asdict(stage_two) if stage_two else None}
    began = _began(cleaned, metric, splits, settings)
    dispatcher = Dispatcher(folder, began, n_jobs, on_memory, memory_alert_mb)
    journal = EnsembleJournal(folder)
    try:
        search = _Search(root, folder, journal, splits, metric, seed, stage_two, os.fspath(store))
        search.take_up(began, chosen)
        search.run(chosen, dispatcher, verbose=verbose)
    finally:
        journal.close()
    return Ensemble.open(folder)


def _began(name: str, metric: Metric, splits: Splits, settings: dict[str, Any]) -> EnsembleBegan:
    try:
        import sklearn
    except ImportError as error:
        raise MissingExtraError("scikit-learn is not installed. pip install 'keras-archiver[ensemble]'") from error
    return EnsembleBegan(
        name=name,
        created=utc_now(),
        archiver_version=__version__,
        scikit_learn=sklearn.__version__,
        host=this_process().host,
        metric=metric,
        classes=splits.classes,
        data=splits.digests,
        sample_count=splits.sample_count,
        feature_count=splits.feature_count,
        data_bytes=splits.data_bytes,
        settings=settings,
    )


@dataclass
class _Search:
    """A search, as far as it has come."""

    store: Path
    folder: Path
    journal: EnsembleJournal
    splits: Splits
    metric: Metric
    seed: int
    stage_two: StageTwo | None
    asked_store: str
    """As the program named it."""
    selection: Selection = field(init=False)
    last_stage_two: StageTwoPart | None = None

    @property
    def done(self) -> list[EnsembleIteration]:
        """The iterations so far."""
        return self.journal.contents.iterations

    def take_up(self, began: EnsembleBegan, candidates: list[Candidate]) -> None:
        """Begin, or go on where the journal ends."""
        tolerance = float(began.settings["tolerance"])
        self.selection = Selection(self.metric, self.splits.numbers["selection"], tolerance)
        known = self.journal.contents.began
        if known is None:
            self._require_new(began.name)
            self.journal.add(began)
        else:
            _require_same(known, began, self.done, candidates, self.journal.path)
        for candidate, line in zip(candidates, self.done, strict=False):
            if line.error is None:
                self.selection.library[line.candidate] = read_probabilities(self._job(candidate), "selection")
            self.selection.members, self.selection.score = dict(line.members), line.ensemble_score
            self.last_stage_two = line.stage2 or self.last_stage_two

    def _require_new(self, name: str) -> None:
        taken = sorted(self.store.glob(f"{name}_stage2_*{RUN_SUFFIX}"))
        if taken:
            raise RunStateError(
                f"{taken[0]} is of an earlier ensemble of this name, whose journal is gone. Expected a new name, or "
                "that these archives are moved away."
            )

    def _job(self, candidate: Candidate) -> CandidateJob:
        return CandidateJob(candidate, self.folder, self.splits.classes, self.seed)

    def run(self, candidates: list[Candidate], dispatcher: Dispatcher, *, verbose: bool) -> None:
        """Train what is not trained, and choose."""
        waiting = candidates[len(self.done) :]
        if waiting or self.journal.contents.completed is None:
            if waiting:
                write_data(self.folder, self.splits)
            tell = console.Console(len(candidates), self.metric, verbose=verbose)
            tell.begin(self.folder, len(self.done))
            dispatcher.learn(self.done)
            for candidate, result in dispatcher.results([self._job(each) for each in waiting], tell):
                line = self._iterate(candidate, result, dispatcher)
                self.journal.add(line)
                tell.iteration(line)
            self._complete(candidates)
            tell.end(self.journal.contents, self.last_stage_two)

    def _iterate(self, candidate: Candidate, result: CandidateResult, dispatcher: Dispatcher) -> EnsembleIteration:
        before, own, added = self.selection.score, None, []
        members_before = set(self.selection.members)
        if result.error is None:
            own = self.selection.add(candidate.name, read_probabilities(self._job(candidate), "selection"))
            added = self.selection.climb()
        stage2, alerts = None, dispatcher.alerts(candidate, result)
        if set(self.selection.members) != members_before and self.stage_two is not None:
            try:
                stage2 = self.last_stage_two = self._train_stage_two(self.stage_two)
            except ArchiverError as error:
                alerts.append(str(error))
        after = self.selection.score
        memory_mb = result.memory.added_mb if result.memory is not None else None
        return EnsembleIteration(
            iteration=len(self.done),
            ended=utc_now(),
            candidate=candidate.name,
            classifier_type=candidate.classifier_type,
            configuration=candidate.configuration,
            score=own,
            ensemble_score=after,
            score_gain=after - before if after is not None and before is not None else None,
            accepted=candidate.name in added,
            added=tuple(added),
            members=dict(self.selection.members),
            memory=result.memory,
            training_seconds=result.seconds,
            training_memory_mb=memory_mb,
            stage2=stage2,
            stage2_memory_mb=stage2.memory.added_mb if stage2 is not None else None,
            prediction=dispatcher.predictions.get(candidate.name),
            alerts=tuple(alerts),
            error=result.error,
        )

    def _train_stage_two(self, settings: StageTwo) -> StageTwoPart:
        members = tuple(self.selection.members)
        previous = self.last_stage_two if settings.growth == "transfer" else None
        job = StageTwoJob(
            store=self.store,
            folder=self.folder,
            ensemble=self._name,
            number=len(self.done),
            members=members,
            settings=settings,
            metric=self.metric,
            class_count=len(self.splits.classes),
            seed=self.seed,
            previous=previous.run if previous is not None else None,
            program=running_program(),
            asked_store=self.asked_store,
        )
        side_by_side = np.concatenate([self.selection.library[member] for member in members], axis=1)
        inputs = self.splits.stage_two_parts(side_by_side, settings.validation_share, self.seed)
        if "test" in self.splits.numbers:
            of_test = [read_probabilities(self._job_named(member), "test") for member in members]
            inputs["test"] = np.concatenate(of_test, axis=1), self.splits.numbers["test"]
        return train_stage_two(job, inputs)

    @property
    def _name(self) -> str:
        return self.folder.name.removesuffix(FOLDER_SUFFIX)

    def _job_named(self, name: str) -> CandidateJob:
        return self._job(Candidate(name, None))

    def _complete(self, candidates: list[Candidate]) -> None:
        self.journal.add(
            EnsembleCompleted(
                ended=utc_now(),
                iteration_count=len(candidates),
                score=self.selection.score,
                test_score=self._test_score(),
            )
        )
        for path in _leftovers(self.folder):
            files.remove(path)

    def _test_score(self) -> float | None:
        if "test" not in self.splits.numbers or not self.selection.members:
            return None
        library = {name: read_probabilities(self._job_named(name), "test") for name in self.selection.members}
        return score(self.metric, self.splits.numbers["test"], mean_probabilities(library, self.selection.members))


def _leftovers(folder: Path) -> Iterator[Path]:
    """What only a search needs: the data are the user's own."""
    yield from folder.glob("data.joblib*")
    yield from (folder / "stage2").glob("*.inputs.npz")


def _require_same(
    known: EnsembleBegan,
    began: EnsembleBegan,
    done: list[EnsembleIteration],
    candidates: list[Candidate],
    path: Path,
) -> None:
    """A search that goes on is the same one.

    Raises:
        RunStateError: it differs.
    """
    hint = "Expected the same arguments, with which it goes on, or another name."
    for field_name in ("metric", "classes", "data", "settings"):
        before, now = getattr(known, field_name), getattr(began, field_name)
        if before != now:
            raise RunStateError(
                f"{path}: this ensemble was begun with {field_name} {before!r}, received {now!r}. {hint}"
            )
    if len(candidates) < len(done):
        raise RunStateError(f"{path}: {len(done)} candidates were tried, received {len(candidates)}. {hint}")
    for line, candidate in zip(done, candidates, strict=False):
        if (line.candidate, line.configuration) != (candidate.name, candidate.configuration):
            received = candidate.name if line.candidate != candidate.name else "one of this name with other parameters"
            raise RunStateError(f"{path}: candidate {line.iteration} was {line.candidate}, received {received}. {hint}")
