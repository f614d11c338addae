"""Comparisons as a whole: laws, verdicts, distances against numpy, and archives that are broken or hostile."""

import json
import math
import os
import shutil

import h5py
import numpy as np
import pytest

from archiver import compare, layout
from archiver.archive.run import Run
from archiver.comparison.curves import Tolerances
from archiver.comparison.weights import WeightsDifference, matched
from archiver.errors import ArgumentError, NotAnArchiveError
from archiver.report.comparison_words import weights_text
from archiver.storage.digests import sha256_of
from archiver.storage.npz import read_npz_array, write_npz
from archiver.testing import tiny_run
from archiver.testing.models import TinyModel, write_weights
from tests.archive.resealing import edit_json


def test_a_run_is_identical_to_itself(twins):
    for run in twins:
        found = compare(run, run.path)
        assert found.verdict.outcome == "identical"
        assert not found.differs
        assert found.causes == found.code == found.gaps == found.verdict.not_compared == ()
        assert found.effects.weights is None


def test_runs_that_differ_in_nothing_that_matters_are_identical(twins):
    found = compare(*twins)
    assert found.verdict.outcome == "identical"
    assert found.verdict.is_positive
    assert not found.differs
    assert found.verdict.compared == (
        "weights digest",
        "metrics of 3 epochs",
        "test metrics",
        "predictions on the test data",
    )
    assert found.verdict.initial_weights == "same"


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    return tiny_run(tmp_path_factory.mktemp("longer"), "two", epochs=5, tested=True)


def test_swapping_mirrors(twins, longer):
    one, other = compare(twins[0], longer), compare(longer, twins[0])
    assert [(each.subject, each.before, each.after, each.why) for each in one.causes] == [
        (each.subject, each.after, each.before, each.why) for each in other.causes
    ]
    assert one.verdict.outcome == other.verdict.outcome == "diverged"
    assert [(each.metric, each.before, each.after) for each in one.effects.metrics] == [
        (each.metric, each.after, each.before) for each in other.effects.metrics
    ]
    for layer, mirrored in zip(one.effects.weights.layers, other.effects.weights.layers, strict=True):
        assert layer.layer == mirrored.layer
        assert layer.distance.relative == mirrored.distance.relative
        assert layer.distance.norm_before == mirrored.distance.norm_after


def test_more_epochs_diverge_where_one_had_ended(twins, longer):
    found = compare(twins[0], longer)
    assert found.causes[0].subject == "epochs"
    assert found.verdict.reason == "3 epochs, and 5"
    first = found.verdict.first_epoch
    assert (first.phase, first.epoch, first.metric, first.before) == (0, 3, "loss", None)
    loss = found.effects.metrics[0]
    assert loss.before == (1.0, 1.125, 1.25, None, None)
    assert loss.after == (1.0, 1.125, 1.25, 1.375, 1.5)
    assert found.verdict.first_step is None


def test_distances_of_layers_are_those_of_numpy(twins, longer):
    weights = compare(twins[0], longer).effects.weights
    assert weights.variable_count == 4
    assert weights.equal_count == 0
    before, after = TinyModel.after(0, 2).weights, TinyModel.after(0, 4).weights
    assert {layer.layer for layer in weights.layers} == set(before)
    relatives = [layer.distance.relative for layer in weights.layers]
    assert relatives == sorted(relatives, reverse=True)
    for layer in weights.layers:
        for part in layer.variables:
            x, y = (each[layer.layer][part.path.rpartition("/")[2]].astype("float64") for each in (before, after))
            assert part.distance.distance == pytest.approx(np.linalg.norm(x - y), rel=1e-12)
            assert part.distance.cosine == pytest.approx(
                np.sum(x * y) / np.linalg.norm(x) / np.linalg.norm(y), rel=1e-9
            )
            place = np.unravel_index(np.argmax(np.abs(x - y)), x.shape)
            assert part.largest_at == tuple(map(int, place))
            assert part.distance.maximal_absolute == np.max(np.abs(x - y))
            assert part.distance.changed_count == np.count_nonzero(x != y)


@pytest.mark.parametrize("kept", ["keras", "h5", "checkpoint"])
def test_distances_are_read_from_whichever_file_is_there(twins, longer, tmp_path, kept):
    expected = compare(twins[0], longer).effects.weights
    run = Run(shutil.copytree(longer.path, tmp_path / "two_models"), "two")
    for form, file in layout.MODEL_FORMATS.items():
        if form != kept:
            run.path_of(file).unlink()
    assert compare(twins[0], run).effects.weights == expected


def replace_weights(run, change):
    """Other weights in the file of weights and in the table, as a training that ends elsewhere leaves them."""
    model = TinyModel.after(0, 2)
    weights = {layer: {name: change(value) for name, value in each.items()} for layer, each in model.weights.items()}
    other = TinyModel(weights, model.iterations)
    run.path_of(layout.WEIGHTS_H5).unlink()
    write_weights(run.path_of(layout.WEIGHTS_H5), other)
    digests = [sha256_of(np.ascontiguousarray(array).tobytes()) for *_, array in other.variables()]

    def table(document):
        document["weights_digest"] = other.digest()
        for variable, digest in zip(document["variables"], digests, strict=True):
            variable["sha256"] = digest

    edit_json(run.path_of(layout.WEIGHTS), table)
    edit_json(run.path_of(layout.RESULTS), lambda d: d.update(weights_digest=other.digest()))


def replace_losses(run, values):
    edit_json(run.path_of(layout.HISTORY), lambda d: d["phases"][0]["metrics"].update(loss=values))


def test_small_differences_are_equivalent_within_the_tolerance(pair):
    before, after = pair
    replace_weights(after, lambda value: value * np.float32(1 + 1e-5))
    replace_losses(after, [1.0, 1.125, 1.25 + 1e-5])
    verdict = compare(before, after).verdict
    assert verdict.outcome == "equivalent"
    assert verdict.is_positive
    assert verdict.largest.what == "weights"
    assert verdict.largest.relative == pytest.approx(1e-5, rel=0.1)
    assert (verdict.first_epoch.epoch, verdict.first_epoch.before) == (2, 1.25)
    strict = compare(before, after, tolerances=Tolerances(relative=1e-6)).verdict
    assert strict.outcome == "diverged"
    assert strict.largest.excess > 1
    assert not strict.is_positive
    assert "dense" in strict.reason
    unread = compare(before, after, tensors=False)
    assert unread.verdict.outcome == "diverged"
    assert unread.effects.weights.distance is None


def test_the_largest_difference_says_where(pair):
    before, after = pair
    replace_losses(after, [1.0, 9.0, 1.25])
    verdict = compare(before, after).verdict
    assert verdict.outcome == "diverged"
    assert verdict.largest.where == "loss in epoch 2"
    assert verdict.largest.difference == 7.875
    assert verdict.first_epoch.epoch == 1


def test_nan_is_the_same_as_nan_and_nothing_else(pair, twins, tmp_path):
    before, after = pair
    replace_losses(after, ["NaN", 1.125, 1.25])
    found = compare(before, after)
    assert found.verdict.outcome == "diverged"
    assert math.isinf(found.verdict.largest.excess)
    json.dumps(found.as_json(), allow_nan=False)
    other = Run(shutil.copytree(after.path, tmp_path / "again" / "two_models"), "two")
    assert compare(after, other).verdict.outcome == "identical"


def test_weights_that_are_not_finite_diverge(pair):
    before, after = pair
    replace_weights(after, lambda value: np.where(value > 2, np.float32("nan"), value))
    verdict = compare(before, after).verdict
    assert verdict.outcome == "diverged"
    assert math.isinf(verdict.largest.excess)


def test_predictions_are_compared_sample_by_sample(pair):
    before, after = pair
    path = after.path_of(layout.PREDICTIONS)
    output, target = (read_npz_array(path, name) for name in ("output", "target"))
    output[5] = output[5, ::-1].copy()
    write_npz(path, [("output", output), ("target", target)])
    part = lambda d: d["test"]["predictions"][0]  # noqa: E731
    edit_json(after.path_of(layout.RESULTS), lambda d: part(d).update(sha256=sha256_of(output.tobytes())))
    found = compare(before, after)
    (predictions,) = found.effects.test.predictions
    assert (predictions.largest_sample, predictions.other_class_count) == (5, 1)
    assert predictions.compared_count == predictions.sample_count == len(output)
    assert predictions.distance.maximal_absolute == abs(float(output[5, 0]) - float(output[5, 1]))
    assert found.verdict.largest.where == "output of test sample 5"
    path.unlink()
    found = compare(before, after)
    assert found.verdict.outcome == "diverged"
    assert "predictions" in found.verdict.reason


def test_other_test_data_are_not_compared_by_their_predictions(pair):
    before, after = pair
    edit_json(
        after.path_of(layout.RESULTS), lambda d: d["test"]["predictions"][0]["target"].update(sha256="0" * 64)
    )  # fmt: skip
    found = compare(before, after)
    assert "tested on other data" in found.verdict.not_compared[0].reason


def test_the_first_step_is_found(pair):
    before, after = pair
    path = after.path_of(layout.STEPS)
    lines = path.read_text().splitlines()
    cells = lines[4].split(",")  # the second epoch, the second step
    assert cells[2:5] == ["0", "1", "1"]
    path.write_text("\n".join([*lines[:4], ",".join([*cells[:5], "9.5"]), *lines[5:]]) + "\n")
    replace_losses(after, [1.0, 9.5, 1.25])
    step = compare(before, after).verdict.first_step
    assert (step.phase, step.epoch, step.step, step.before, step.after, step.is_exact) == (0, 1, 1, 1.125, 9.5, True)


@pytest.mark.parametrize(
    "text", ["", "x", "elapsed_seconds,part,phase,epoch,step,running_mean_loss\n1,2,3\n", "\0" * 99]
)
def test_broken_traces_tell_no_step(pair, text):
    before, after = pair
    after.path_of(layout.STEPS).write_text(text)
    replace_losses(after, [2.0, 9.5, 1.25])
    assert compare(before, after).verdict.first_step is None


def test_variables_of_another_width_are_not_said_to_be_in_one_run_only(twins):
    found = WeightsDifference(("a", "b"), 1, 1, (), None, ("d/kernel", "old/bias"), ("d/kernel", "new/bias"))
    assert weights_text(found) == (
        "0 of 1 variable differ; of another shape or type: d/kernel; in A only: old/bias; in B only: new/bias"
    )


def test_another_architecture_is_matched_by_path(twins, longer):
    table, other = twins[0].read(layout.WEIGHTS), longer.read(layout.WEIGHTS)
    fewer = other.model_copy(update={"variables": other.variables[1:]})
    pairs, only_before, only_after = matched(table, fewer)
    assert [(one.path, two.path) for one, two in pairs] == [(each.path, each.path) for each in fewer.variables]
    assert only_before == ["tiny/dense/kernel"]
    assert only_after == []
    assert matched(fewer, table)[2] == ["tiny/dense/kernel"]


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_runs_without_models_are_not_identical(tmp_path, status):
    one, two = tiny_run(tmp_path, "one", status=status), tiny_run(tmp_path, "two", status=status)
    found = compare(one, two)
    assert found.verdict.outcome == "not comparable"
    assert {(gap.side, gap.what) for gap in found.verdict.not_compared} >= {("before", "weights"), ("after", "weights")}
    whole = tiny_run(tmp_path, "three")
    assert compare(one, whole).verdict.outcome == "diverged"


@pytest.mark.parametrize(
    "entry",
    [entry for entry in layout.RECORD_FILES if entry not in (layout.REPRODUCTION, layout.WORKERS)],
    ids=lambda entry: entry.pattern,
)
@pytest.mark.parametrize("damage", ["missing", "broken", "link"])
def test_what_an_archive_lacks_is_said(pair, entry, damage):
    before, after = pair
    path = after.path_of(entry)
    text = path.read_text()
    path.unlink()
    if damage == "broken":
        path.write_text(text[: len(text) // 2])
    elif damage == "link":
        os.symlink("/etc/passwd", path)
    for found in (compare(before, after), compare(after, before)):
        said = {(gap.side, gap.what) for gap in (*found.gaps, *found.verdict.not_compared)}
        if entry not in (layout.METADATA, layout.CHECKPOINT_STATE, layout.TEST_SCORES, layout.TELEMETRY):
            assert any(what in (entry.path("two"), "weights") for _, what in said), said
        json.dumps(found.as_json(), allow_nan=False)


@pytest.mark.parametrize("kind", ["link", "garbage", "short", "gone"])
def test_weights_that_cannot_be_read_have_no_distance(pair, kind):
    before, after = pair
    replace_weights(after, lambda value: value * 2)
    shutil.rmtree(after.path / "models" / "two_checkpoint")
    for form, file in layout.MODEL_FORMATS.items():
        path = after.path_of(file)
        data = path.read_bytes()
        path.unlink()
        if kind == "link":
            os.symlink(before.path_of(file), path)
        elif kind == "garbage":
            path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
        elif kind == "short" and form == "weights.h5":
            path.write_bytes(data[:-3000])
    found = compare(before, after)
    assert found.verdict.outcome == "diverged"
    assert found.effects.weights.distance is None
    assert all(part.note for layer in found.effects.weights.layers for part in layer.variables if part.distance is None)


def test_tensors_of_another_shape_than_the_table_says(pair):
    before, after = pair
    replace_weights(after, lambda value: value * 2)
    with h5py.File(after.path_of(layout.WEIGHTS_H5), "r+") as file:
        del file["layers/dense/vars/1"]
        file["layers/dense/vars/1"] = np.zeros(3, "float32")
    found = compare(before, after).effects.weights
    notes = [part.note for layer in found.layers for part in layer.variables if part.note]
    assert len(notes) == 1
    assert "expected 640" in notes[0]


def test_source_paths_lead_nowhere_else(pair):
    before, after = pair
    for path in ("../../../etc/passwd", "configs/two_run.json", "environment/source/../../journal.jsonl"):
        edit_json(after.path_of(layout.SOURCE), lambda d, path=path: d["files"][0].update(path=path, sha256="0" * 64))
        (part,) = compare(before, after).code
        assert part.diff == ()
        assert part.note


def test_an_empty_folder_with_a_journal(tmp_path, twins):
    (tmp_path / "journal.jsonl").write_text("nonsense\n")
    found = compare(twins[0], tmp_path)
    assert found.verdict.outcome == "not comparable"
    assert found.differs


def test_wrong_arguments(twins, tmp_path):
    with pytest.raises(NotAnArchiveError):
        compare(twins[0].path, tmp_path)
    for tolerance in (-1.0, math.nan, math.inf):
        with pytest.raises(ArgumentError, match="Received a tolerance relative"):
            compare(*twins, tolerances=Tolerances(relative=tolerance))


def test_runs_that_have_not_ended_are_compared_by_their_journals(tmp_path):
    one = tiny_run(tmp_path, "one", sealed=False, status="running")
    two = tiny_run(tmp_path, "two", epochs=3, sealed=False, status="interrupted")
    found = compare(one, two)
    assert found.effects.epoch_counts == (2, 3)
    assert found.verdict.outcome == "diverged"
    assert found.effects.metrics[0].after == (1.0, 1.125, 1.25)
    assert any("those of the journal" in gap.reason for gap in found.verdict.not_compared)
