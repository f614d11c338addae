"""Searches: what is chosen, measured, written, and gone on with."""

import fcntl
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB

import archiver
from archiver import layout
from archiver.ensemble import Candidate, Ensemble, StageTwo, hill_climb
from archiver.ensemble.journal import JOURNAL_NAME, EnsembleJournal, read_ensemble
from archiver.errors import ArgumentError, DataError, NotAnArchiveError, RecordError, RunStateError
from archiver.testing import tiny_ensemble
from tests.clusters import dask_cluster

SCRIPT = Path(__file__).with_name("search.py")
_spec = importlib.util.spec_from_file_location("search", SCRIPT)
search = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(search)


def run(store, *arguments, check=True):
    done = subprocess.run([sys.executable, str(SCRIPT), str(store), *arguments], capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory, worker_id):
    """The store, the ensemble and the output of a search with a second stage; one for all processes of the tests."""
    base = tmp_path_factory.getbasetemp()
    store = (base if worker_id == "master" else base.parent) / "ensemble_store"
    store.mkdir(exist_ok=True)
    with (store / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        output = store / "output.txt"
        if not output.exists():
            output.write_text(run(store))
    return store, Ensemble.open(store / "iris_ensemble"), output.read_text()


def test_every_candidate_is_a_line_with_its_memory_and_score(made):
    _, ensemble, output = made
    assert [line.candidate for line in ensemble.iterations] == list(search.candidates())
    assert ensemble.contents.completed is not None
    for line in ensemble.iterations:
        assert line.error is None
        assert line.memory.before_bytes > 20 << 20
        assert line.memory.peak_bytes >= max(line.memory.before_bytes, line.memory.after_bytes)
        assert line.training_memory_mb == pytest.approx((line.memory.peak_bytes - line.memory.before_bytes) / 2**20)
        assert line.accepted == (line.candidate in line.added)
    assert ensemble.iterations[3].classifier_type == "LogisticRegression"
    assert ensemble.iterations[3].configuration["logisticregression__C"] == 0.1
    scores = [line.ensemble_score for line in ensemble.iterations]
    assert scores == sorted(scores)
    assert scores[-1] >= max(line.score for line in ensemble.iterations) - 0.02
    assert output.count("\n[") == 5
    assert "memory " in output
    assert "rejected" in output or all(line.accepted for line in ensemble.iterations)


def test_the_members_say_what_the_journal_says(made):
    _, ensemble, _ = made
    x, y = search.data()["selection"]
    numbers = np.searchsorted(np.unique(y), y)
    assert roc_auc_score(numbers, ensemble.predict_proba(x), multi_class="ovr") == pytest.approx(
        ensemble.score, abs=1e-9
    )
    x_test, y_test = search.data()["test"]
    of_test = roc_auc_score(np.searchsorted(np.unique(y), y_test), ensemble.predict_proba(x_test), multi_class="ovr")
    assert of_test == pytest.approx(ensemble.contents.completed.test_score, abs=1e-9)
    network = ensemble.predict_proba(x_test, stage="network")
    last = [line.stage2 for line in ensemble.iterations if line.stage2][-1]
    assert roc_auc_score(np.searchsorted(np.unique(y), y_test), network, multi_class="ovr") == pytest.approx(
        last.test_score, abs=1e-6
    )


def test_every_second_stage_is_an_archive_that_names_the_one_before(made):
    store, ensemble, _ = made
    parts = [line.stage2 for line in ensemble.iterations if line.stage2 is not None]
    assert len(parts) >= 2
    assert sorted(path.name for path in store.glob("*_models")) == [f"{part.run}_models" for part in parts]
    for before, part in zip([None, *parts], parts, strict=False):
        found = archiver.Run.open(store / f"{part.run}_models")
        assert archiver.verify(found.path, deep=True).is_whole
        assert found.seal_id == part.seal_id
        parents = found.read(layout.RESULTS).parents
        assert [parent.run for parent in parents] == ([] if before is None else [before.run])
        assert part.is_expanded == (before is not None)
        assert part.memory.peak_bytes > part.memory.before_bytes
        if before is not None:
            assert part.members[: len(before.members)] == before.members
    grown = [line for line in ensemble.iterations if line.stage2 is not None]
    assert all(line.stage2_memory_mb == line.stage2.memory.added_mb for line in grown)


def test_nothing_is_left_of_the_users_data(made):
    store, *_ = made
    assert not list((store / "iris_ensemble").rglob("data.joblib*"))
    assert not list((store / "iris_ensemble").rglob("*.inputs.npz"))


def test_the_same_call_again_does_nothing(made):
    store, ensemble, _ = made
    before = (ensemble.path / JOURNAL_NAME).read_bytes()
    assert run(store) == ""
    assert (ensemble.path / JOURNAL_NAME).read_bytes() == before


def comparable(store):
    """What must be the same however often a search was killed."""
    ensemble = Ensemble.open(store / "iris_ensemble")
    lines = [
        (line.candidate, line.score, line.ensemble_score, line.added, tuple(line.members.items()), line.error)
        for line in ensemble.iterations
    ]
    stages = [line.stage2 for line in ensemble.iterations if line.stage2 is not None]
    digests = [archiver.Run.open(store / f"{part.run}_models").read(layout.RESULTS).weights_digest for part in stages]
    return lines, [(part.members, part.score, part.test_score) for part in stages], digests


KILLS = 30 if os.environ.get("ARCHIVER_STRESS") else 2


@pytest.mark.stress
def test_a_search_that_is_killed_goes_on_as_if_it_had_not_been(made, tmp_path):
    store, *_ = made
    waits = np.random.default_rng(KILLS).uniform(2.0, 9.0, KILLS)
    for seconds in waits:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            process.wait(timeout=float(seconds))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        error = process.communicate()[1]
        assert process.returncode in (0, -signal.SIGKILL), error[-3000:]
        time.sleep(0.3)  # its own processes end, too
    run(tmp_path)
    assert comparable(tmp_path) == comparable(store)
    for path in tmp_path.glob("*_models"):
        assert archiver.verify(path, deep=True).is_whole


# -- searches without a second stage are quick


class Bad(ClassifierMixin, BaseEstimator):
    """Does something bad while it is trained."""

    def __init__(self, what="raise"):
        self.what = what

    def fit(self, x, y):
        if self.what == "raise":
            raise ValueError("planted")
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "eat":
            np.ones(400 << 17).sum()  # 400 MB for a moment
        self.inner_ = GaussianNB().fit(x, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, x):
        rows = self.inner_.predict_proba(x)
        return rows * np.nan if self.what == "nan" else rows


def climb(store, candidates, **options):
    settings = {"name": "e", "stage_two": None, "n_jobs": 2, "verbose": False} | search.data() | options
    return hill_climb(store, candidates=candidates, **settings)


def test_candidates_that_fail_or_are_killed_are_told_and_the_search_goes_on(tmp_path, capfd):
    bad = [Candidate(what, Bad(what)) for what in ("raise", "kill", "nan")]
    ensemble = climb(tmp_path, [*bad, ("good", GaussianNB())], verbose=True)
    errors = [line.error for line in ensemble.iterations]
    assert errors[0] == "ValueError: planted"
    assert "SIGKILL" in errors[1]
    assert "not finite" in errors[2]
    assert errors[3] is None
    assert ensemble.members == {"good": 1}
    assert [line.training_memory_mb for line in ensemble.iterations[:3]] == [None] * 3
    assert "failed    kill (Bad): its process was ended by SIGKILL" in capfd.readouterr().out


def test_only_candidates_that_fail(tmp_path, capfd):
    ensemble = climb(tmp_path, [("a", Bad()), ("b", Bad())], verbose=True)
    assert ensemble.members == {}
    assert ensemble.score is None
    assert "no candidate could be trained" in capfd.readouterr().out
    with pytest.raises(RunStateError, match="no candidate"):
        ensemble.predict_proba(search.data()["test"][0])


def test_a_short_peak_is_measured_in_its_own_process_alone(tmp_path):
    ensemble = climb(tmp_path, [("eats", Bad("eat")), ("good", GaussianNB())])
    eats, good = (line.training_memory_mb for line in ensemble.iterations)
    assert 399 <= eats < 440
    assert good < 50


def test_memory_that_is_too_much_is_told(tmp_path):
    ensemble = climb(tmp_path, [("eats", Bad("eat"))], memory_alert_mb=100)
    assert ["more than the 100 MB of memory_alert_mb" in alert for alert in ensemble.iterations[0].alerts] == [True]


def plant_giants(store):
    """An ensemble beside this one whose candidates took 100 TB."""
    path = tiny_ensemble(store, "giants") / JOURNAL_NAME
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["kind"] == "iteration":
            line |= {"training_memory_mb": 1e8, "classifier_type": "GaussianNB"}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_candidate_that_will_not_fit_is_warned_of_or_skipped(tmp_path, capfd):
    plant_giants(tmp_path)
    candidates = [("one", GaussianNB()), ("two", GaussianNB(var_smoothing=1e-3))]
    warned = climb(tmp_path, candidates, name="warned", verbose=True)
    assert "WARNING one: expected to take" in capfd.readouterr().out
    assert warned.iterations[0].error is None
    assert "MB are available" in warned.iterations[0].alerts[0]
    assert warned.iterations[0].prediction.memory_mb == pytest.approx(1e8, rel=0.9)
    plant_giants(tmp_path / "other")  # where nothing smaller was measured since
    skipped = climb(tmp_path / "other", candidates, name="skipped", on_memory="skip")
    assert all(line.error.startswith("not started: expected to take") for line in skipped.iterations)
    assert skipped.members == {}


def test_memory_is_predicted_after_some_candidates_and_its_error_is_told(tmp_path):
    ensemble = climb(tmp_path, [GaussianNB(var_smoothing=10.0**-number) for number in range(7)], n_jobs=1)
    assert [line.prediction is None for line in ensemble.iterations] == [True] * 5 + [False] * 2
    last = ensemble.iterations[-1].prediction
    assert last.row_count == 6
    assert math.isfinite(last.typical_error)
    assert last.memory_mb <= last.high_mb
    assert ensemble.iterations[0].candidate == "000_GaussianNB"


FEW = dict(list(search.candidates().items())[:3])


def test_joblib_decides_where_candidates_are_trained(made, tmp_path):
    _, reference, _ = made
    with joblib.parallel_config(backend="loky", n_jobs=2):
        other = climb(tmp_path, FEW, n_jobs=None)
    assert [(line.candidate, line.score, line.members) for line in other.iterations] == [
        (line.candidate, line.score, line.members) for line in reference.iterations[:3]
    ]


def test_a_dask_cluster_trains_the_candidates(made, tmp_path):
    from distributed import Client, get_task_stream

    _, reference, _ = made
    with (
        dask_cluster() as address,
        Client(address, set_as_default=False) as client,
        get_task_stream(client) as tasks,
        joblib.parallel_config(backend="dask", client=client, n_jobs=2),
    ):
        other = climb(tmp_path, FEW, n_jobs=None)
    assert len(tasks.data) == len(FEW)
    assert [(line.candidate, line.score, line.members) for line in other.iterations] == [
        (line.candidate, line.score, line.members) for line in reference.iterations[:3]
    ]


def test_a_backend_that_returns_only_at_the_end(tmp_path):
    from joblib._parallel_backends import ThreadingBackend

    class AllAtOnce(ThreadingBackend):
        supports_return_generator = False

    joblib.register_parallel_backend("all_at_once", AllAtOnce)
    with joblib.parallel_config(backend="all_at_once", n_jobs=2):
        ensemble = climb(tmp_path, FEW, n_jobs=None)
    assert [line.candidate for line in ensemble.iterations] == list(FEW)


def test_candidates_can_be_added_at_the_end_and_nothing_else_changed(made, tmp_path):
    _, reference, _ = made
    first = dict(list(FEW.items())[:2])
    climb(tmp_path, first)
    more = climb(tmp_path, FEW)
    assert more.members == reference.iterations[2].members
    data = search.data()
    x, y = data["train"]
    for changed, hint in (
        ({"metric": "accuracy"}, "metric"),
        ({"seed": 5}, "settings"),
        ({"train": (x + 1, y)}, "data"),
        ({"train": (x, np.char.upper(y)), "selection": (data["selection"][0], np.char.upper(data["selection"][1])),
          "test": None}, "classes"),
    ):  # fmt: skip
        with pytest.raises(RunStateError, match=f"begun with {hint}"):
            climb(tmp_path, FEW, **changed)
    with pytest.raises(RunStateError, match="candidate 1 was forest5, received one of this name with other"):
        climb(tmp_path, dict(FEW, forest5=GaussianNB()))
    with pytest.raises(RunStateError, match="candidate 1 was forest5, received x"):
        climb(tmp_path, [("column1", FEW["column1"]), ("x", GaussianNB()), ("y", GaussianNB())])
    with pytest.raises(RunStateError, match="3 candidates were tried, received 2"):
        climb(tmp_path, first)


def test_a_result_of_other_parameters_is_not_taken_for_this_candidate(tmp_path):
    """Trained by a search that was killed before it was a line, and then changed by the user."""
    ensemble = climb(tmp_path, [("a", GaussianNB())])
    path = ensemble.path / JOURNAL_NAME
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    changed = climb(tmp_path, [("a", GaussianNB(var_smoothing=1.0))])
    assert changed.score == climb(tmp_path, [("a", GaussianNB(var_smoothing=1.0))], name="fresh").score
    assert changed.score != ensemble.score


def test_two_processes_do_not_work_on_one_ensemble(tmp_path):
    held = EnsembleJournal(tmp_path / "e_ensemble")
    try:
        with pytest.raises(RunStateError, match="another process works on this ensemble"):
            climb(tmp_path, search.candidates())
    finally:
        held.close()


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"candidates": []}, ArgumentError, "no candidates"),
        ({"candidates": ["x"]}, ArgumentError, "Expected a scikit-learn"),
        ({"candidates": [GaussianNB]}, ArgumentError, "Expected a scikit-learn"),
        ({"candidates": [("a", GaussianNB()), ("a", GaussianNB())]}, ArgumentError, "two candidates"),
        ({"candidates": {"../a": GaussianNB()}}, ArgumentError, "name '../a'"),
        ({"metric": "auc"}, ArgumentError, "metric='auc'"),
        ({"n_jobs": 0}, ArgumentError, "n_jobs=0"),
        ({"on_memory": "panic"}, ArgumentError, "on_memory"),
        ({"memory_alert_mb": -1}, ArgumentError, "memory_alert_mb"),
        ({"name": "a/b"}, ArgumentError, "path separator"),
        ({"train": 5}, DataError, "train= of type int"),
        ({"train": (np.zeros((3, 2)), [0, 1])}, DataError, "3 samples and labels of shape"),
        ({"selection": (np.zeros((2, 4)), ["setosa", "rose"])}, DataError, "label 'rose'"),
        ({"selection": (np.zeros((1, 4)), ["setosa"])}, DataError, "no sample of class"),
        ({"train": (np.zeros((3, 4)), ["a", "a", "a"])}, DataError, "at least two classes"),
    ],
)
def test_arguments_that_cannot_be_used_leave_nothing(tmp_path, change, error, match):
    with pytest.raises(error, match=match):
        climb(tmp_path / "store", **({"candidates": search.candidates()} | change))
    assert not (tmp_path / "store").exists()


def test_an_estimator_that_tells_no_probabilities_is_refused(tmp_path):
    from sklearn.linear_model import Perceptron
    from sklearn.neighbors import NearestCentroid

    assert climb(tmp_path, [Perceptron(random_state=0)]).score > 0.5  # by its decision function

    class Silent(ClassifierMixin, BaseEstimator):
        def fit(self, x, y):
            return self

    assert NearestCentroid is not None
    with pytest.raises(ArgumentError, match="neither predict_proba nor"):
        climb(tmp_path, [Silent()], name="silent")


def test_a_journal_of_others_is_told_by_line_and_field(tmp_path):
    ensemble = climb(tmp_path, [GaussianNB()])
    path = ensemble.path / JOURNAL_NAME
    good = path.read_text()
    path.write_text(good.replace('"accepted":true', '"accepted":"maybe"'))
    with pytest.raises(RecordError, match=rf"{JOURNAL_NAME}#line 2/.*"):
        read_ensemble(ensemble.path)
    path.write_text("".join(good.splitlines(keepends=True)[1:]))
    with pytest.raises(RecordError, match="expected the first line"):
        read_ensemble(ensemble.path)
    path.write_text(good + good.splitlines(keepends=True)[1])
    with pytest.raises(RecordError, match="/iteration: received 0, expected 1"):
        read_ensemble(ensemble.path)
    path.write_text(good + '{"kind": "iter')  # cut short by a kill
    assert len(read_ensemble(ensemble.path).iterations) == 1
    with pytest.raises(NotAnArchiveError, match="Expected an ensemble's folder"):
        Ensemble.open(tmp_path)


def test_archives_of_an_earlier_ensemble_are_not_gone_on_with(tmp_path):
    (tmp_path / "e_stage2_0000_models").mkdir()
    with pytest.raises(RunStateError, match="whose journal is gone"):
        climb(tmp_path, [GaussianNB()], stage_two=StageTwo())
