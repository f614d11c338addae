"""Headline, verdicts, cautions, card, checklist and snippets against records with known answers."""

import math
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.archive.status import Status
from archiver.records.base import Unavailable
from archiver.records.dataset import ClassDistribution, DuplicatesPart, DuplicatesTable
from archiver.records.environment import ChangedFilesPart
from archiver.records.results import Results
from archiver.records.scores import ClassPart, ClassScores, Interval
from archiver.report.card import front_matter
from archiver.report.cautions import cautions
from archiver.report.context import read_records
from archiver.report.headline import headline
from archiver.report.ml_checklist import answers
from archiver.report.reproducibility import checklist, score
from archiver.report.snippets import _arrays, reproduce_snippets, use_snippets
from archiver.report.tables import made
from archiver.report.verdicts import verdicts
from archiver.storage.journal import Journal
from archiver.testing import tiny_run

MISSING = Unavailable(unavailable="made up")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny_run(tmp_path_factory.mktemp("words"), tested=True)


@pytest.fixture
def records(run):
    return read_records(run)


def changed(record, **fields):
    return record.model_copy(update=fields)


def scored(records, **values):
    """The results with other values of the (only) output's scores."""
    results: Results = records["results"]
    (name,) = results.test.scores
    score = results.test.scores[name]
    intervals = {"accuracy": Interval(low=0.5, high=0.75, resample_count=100)}
    score = changed(score, values=score.values | values, intervals=intervals)
    return records | {"results": changed(results, test=changed(results.test, scores={name: score}))}


def test_headline_of_a_tested_classifier(run, records):
    text = headline(scored(records, accuracy=0.625), run.status)
    assert re.match(r"\*\*(Binary c|C)lassifier of \d+ inputs", text), text
    assert "Test accuracy 0.625" in text
    assert "95 % interval 0.5000 to 0.7500" in text
    assert re.search(r"trained 2 of 2 epochs in [\d.]+ s on \d{4}-\d\d-\d\d\.$", text)


def test_headline_without_a_test_speaks_of_validation(run, records):
    text = headline(records | {"results": changed(records["results"], test=MISSING)}, run.status)
    assert "Validation accuracy 0.5000 in the last epoch** (not tested)" in text


@pytest.mark.parametrize(("status", "words"), [("failed", "The training failed"), ("interrupted", "was interrupted")])
def test_headline_says_what_became_of_the_training(records, status, words):
    assert words in headline(records, Status(status, sealed=True))


def test_headline_without_records_is_a_sentence(records):
    nothing = dict.fromkeys(records)
    assert headline(nothing, Status("interrupted", sealed=False)) == (
        "**Model.**\n\n**nothing is known of its training.**"
    )


@pytest.mark.parametrize(
    ("is_overfitting", "words"),
    [
        (True, "; **over-fitting** of loss: since epoch 1 it got worse in validation while it got better in training"),
        (False, "; no sign of over-fitting"),
        (MISSING, ""),
    ],
)
def test_overfitting_is_said(run, records, is_overfitting, words):
    results = records["results"]
    found = changed(results.convergence.overfitting, is_overfitting=is_overfitting)
    results = changed(results, test=MISSING, convergence=changed(results.convergence, overfitting=found))
    row = dict(verdicts(records | {"results": results}, run.status))["Generalisation"]
    assert row == f"accuracy: train 0.5000, validation 0.5000{words}"


def test_a_test_value_far_below_the_validation_is_remarked(run, records):
    results = records["results"]
    for test, is_remarked in ((0.5, False), (0.46, False), (0.44, True), (0.9, False)):
        other = changed(results, test=changed(results.test, metrics=results.test.metrics | {"accuracy": test}))
        row = dict(verdicts(records | {"results": other}, run.status))["Generalisation"]
        assert ("much worse" in row) == is_remarked, (test, row)


def duplicates(count: int) -> DuplicatesPart:
    return DuplicatesPart(count=count, share=count / 48, conflicting_count=0, first_pairs=())


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (0, None),
        (1, "**1 sample** of the test data (2.083 %) also stands in the train data"),
        (3, "**3 samples** of the test data (6.25 %) also stand in the train data"),
    ],
)
def test_leaks_are_told(run, records, count, sentence):
    table = DuplicatesTable(within={}, between={"train": {"test": duplicates(count)}})
    found = cautions(run, records | {"dataset_stats": changed(records["dataset_stats"], duplicates=table)})
    assert [text for text in found if "also stand" in text] == ([sentence] if sentence else [])


def test_conflicting_labels_are_told(run, records):
    part = changed(duplicates(2), conflicting_count=2)
    table = DuplicatesTable(within={"train": part}, between={})
    found = cautions(run, records | {"dataset_stats": changed(records["dataset_stats"], duplicates=table)})
    assert "the train data: 2 inputs with more than one label" in found


def class_scores(*found: tuple[int, int]) -> ClassScores:
    classes = tuple(
        ClassPart(
            index=index, name=f"c{index}", support=support, predicted=support, correct=correct, precision=1.0,
            recall=correct / support if support else 0.0, f1=1.0,
        )
        for index, (correct, support) in enumerate(found)
    )  # fmt: skip
    return ClassScores(
        class_count=len(classes), zero_division=0.0, averages={}, calibration=MISSING, confusion=MISSING,
        classes=classes, classes_not_listed=0, roc_auc=MISSING, average_precision=MISSING,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (((9, 10), (8, 10)), None),
        (((10, 10), (6, 10), (0, 0)), "class c1 has recall 0.6, 6 of 10 found"),
        (
            ((10, 10), (10, 10), (10, 10), (10, 10), (5, 10), (4, 10)),
            "class c5 has recall 0.4, 4 of 10 found; 2 classes lie more than 0.1 below the mean of 0.8167",
        ),
    ],
)  # fmt: skip
def test_weak_classes_are_told(run, records, found, sentence):
    tables = records | {"test_scores": changed(records["test_scores"], outputs={"scores": class_scores(*found)})}
    told = [text for text in cautions(run, tables) if text.startswith("class c")]
    assert told == ([sentence] if sentence else [])


def test_an_accuracy_that_is_no_better_than_the_majority_is_told(run, records):
    classes = ClassDistribution(
        kind="classes", class_count=2, sample_count=4, majority_class="0", majority_share=0.75, imbalance_ratio=3.0,
        normalised_entropy=0.8, labels_per_sample=1.0, counts={"0": 3, "1": 1},
    )  # fmt: skip
    stats = records["dataset_stats"]
    split = changed(stats.splits["test"], classes={"y": classes})
    records = records | {"dataset_stats": changed(stats, splits=stats.splits | {"test": split})}
    for accuracy, is_told in ((0.74, True), (0.75, True), (0.76, False)):
        found = [text for text in cautions(run, scored(records, accuracy=accuracy)) if "is not above 0.75" in text]
        assert bool(found) == is_told


def test_failed_steps_of_archiving_are_told(tmp_path):
    run = tiny_run(tmp_path, sealed=False)
    Journal(run.path).append("step_failed", step="source <b>", file=None, exception={"type": "E", "message": "m"})
    (found,) = (text for text in cautions(run, read_records(run)) if "not all could be archived" in text)
    assert "source &#60;b&#62; failed" in found


def test_a_loss_that_is_not_finite_comes_first(run, records):
    results = changed(records["results"], first_non_finite_loss={"phase": 0, "epoch": 4})
    assert cautions(run, records | {"results": results})[0] == "the loss was **not finite** in epoch 5"


# -- the card


def card(records) -> dict:
    text = front_matter(records, "tiny")
    assert text.startswith("---\n")
    assert text.endswith("\n---\n")
    return yaml.safe_load(text[4:-5])


def with_run(records, **fields):
    return records | {"run": changed(records["run"], **fields)}


@pytest.mark.parametrize(
    ("notes", "license_", "name"),
    [
        (None, "unknown", None),
        ("text", "unknown", None),
        ({"license": "MIT"}, "mit", None),
        ({"license": " Apache-2.0 "}, "apache-2.0", None),
        ({"license": "ours: see file"}, "other", "ours: see file"),
        ({"license": 7}, "unknown", None),
    ],
)
def test_the_license_of_the_card(records, notes, license_, name):
    data = card(with_run(records, notes=notes))
    assert (data["license"], data.get("license_name")) == (license_, name)


def test_only_finite_metrics_are_in_the_card(records):
    data = card(scored(records, accuracy=0.625, log_loss=math.nan, brier_score=math.inf, roc_auc=MISSING))
    (entry,) = data["model-index"][0]["results"]
    metrics = {metric["type"]: metric["value"] for metric in entry["metrics"]}
    assert metrics["accuracy"] == 0.625
    assert not {"log_loss", "brier_score", "roc_auc"} & set(metrics)
    assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())


def test_metrics_of_the_card_are_those_that_the_hub_knows(records):
    data = card(scored(records, accuracy=0.5, f1_macro=0.5, f1_weighted=0.5, log_loss=0.5, roc_auc_macro=math.nan))
    assert data["metrics"] == ["accuracy", "precision", "recall", "f1"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("google/vit-base-patch16-224", ["google/vit-base-patch16-224"]),
        (["bert-base-uncased", "a/b"], ["bert-base-uncased", "a/b"]),
        ("my model", None),
        ("../a", None),
        ("a/b/c", None),
        ("https://example.org/a", None),
        ({"a": "b"}, None),
        ([None, 7, "a--b", "a..b", "-a"], None),
        (None, None),
    ],
)
@pytest.mark.parametrize("key", ["base_model", "datasets"])
def test_what_the_run_is_based_on_is_in_the_card_by_its_name_on_the_hub(records, key, given, names):
    from huggingface_hub import ModelCard

    noted = with_run(records, notes={key: given})
    assert card(noted).get(key) == names
    parsed = ModelCard(front_matter(noted, "tiny") + "# tiny\n").data
    assert getattr(parsed, key, None) == names


@settings(deadline=None)
@given(tags=st.lists(st.text(max_size=40), max_size=5), note=st.text(max_size=60))
def test_any_text_stays_one_text_of_the_card(records_once, tags, note):
    data = card(with_run(records_once, tags=tuple(tags), notes={"license": note}))
    assert set(data) <= {"license", "license_name", "library_name", "tags", "metrics", "model-index"}
    assert all(isinstance(tag, str) for tag in data["tags"])
    assert data["tags"][:2] == ["keras", "archiver"]
    plain = [tag for tag in tags if tag.isprintable()]
    assert [tag for tag in dict.fromkeys(plain) if tag not in data["tags"]] == []


@pytest.fixture(scope="module")
def records_once(run):
    return read_records(run)


def test_without_results_there_is_no_index(records):
    assert "model-index" not in card(records | {"results": None})


# -- the checklist and the snippets


def row(records, what):
    return next(each for each in checklist(records) if each.what == what)


def test_the_checklist_names_what_stands_in_the_way(records):
    rows = {each.what: each for each in checklist(records)}
    assert list(rows) == ["Code", "Command", "Environment", "Data", "Random numbers", "Machine"]
    assert "not the samples themselves" in rows["Data"].held
    assert all(each.remedy for row in rows.values() for each in row.found)
    assert score(list(rows.values())) == f"{sum(row.is_met for row in rows.values())} of 6"


def test_an_unseeded_run_has_an_obstacle(records):
    train = records["train_config"]
    phases = tuple(changed(phase, seed=MISSING) for phase in train.phases)
    found = row(records | {"train_config": changed(train, phases=phases)}, "Random numbers")
    assert "no seed was set" in found.obstacles
    assert found.held == "nothing"


def test_what_is_in_the_way_comes_with_what_to_do(records):
    packages = records["packages"]
    part = next(iter(packages.packages.values()))
    parts = {
        "mine": changed(part, editable=True, direct_url={"url": "file:///mine", "dir_info": {"editable": True}}),
        "fork": changed(part, editable=False, direct_url={"url": "https://example.org/fork", "vcs_info": {}}),
        "folder": changed(part, editable=False, direct_url={"url": "file:///folder", "dir_info": {}}),
        "plain": changed(part, editable=False, direct_url=None),
    }
    edited = {"plain": ChangedFilesPart(changed_count=1, changed=("plain/a.py",), missing_count=0, missing=())}
    found = row(records | {"packages": changed(packages, packages=parts, edited=edited)}, "Environment")
    assert [each.text for each in found.found] == [
        "installed from a working folder: mine", "changed after they were installed: plain",
        "from a place that may change: folder",
    ]  # fmt: skip
    command = changed(records["run"].command, start="interactive", redacted=True)
    found = row(records | {"run": changed(records["run"], command=command)}, "Command")
    assert "environment variables" in found.remedies
    assert "train from a script" in found.remedies


def test_the_checklist_of_pineau_says_where_each_question_is_answered(run, records):
    found = {each.question: each.place for each in answers(records)}
    assert found["trained models"] == "`models/`"
    assert found["a link to the data set"] == ""
    assert not any(each.place for each in answers(dict.fromkeys(records)))
    for place in filter(None, found.values()):
        pattern = place.strip("`").rstrip("/")
        assert "model.evaluate" in place or list(run.path.glob(pattern)), place


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ([None, 4], 'np.zeros((1, 4), dtype="float32")'),
        ([None], 'np.zeros((1,), dtype="float32")'),
        ([None, None, 3], 'np.zeros((1, 16, 3), dtype="float32")'),
        ([[None, 2], [None, 3]], '[np.zeros((1, 2), dtype="float32"), np.zeros((1, 3), dtype="float32")]'),
        ({'a"b': [None, 2]}, '{"a\\"b": np.zeros((1, 2), dtype="float32")}'),
    ],
)
def test_inputs_have_the_structure_of_the_model(records, shape, code):
    assert _arrays(records | {"dataset_stats": None}, "x", shape) == code


def test_code_that_needs_the_users_classes_is_left_out(run, records):
    model = changed(records["model_config"], needs_trust=("mine>Layer",))
    titles = [snippet.title for snippet in use_snippets(run, records | {"model_config": model})]
    assert titles == ["Read the records", "Check that nothing was changed"]


@pytest.mark.parametrize(
    ("url", "is_shown"),
    [("https://example.org/a.git", True), ("https://x/$(rm -rf)", False), ("--upload-pack=x", False), (None, False)],
)
def test_only_plain_addresses_are_cloned(run, records, url, is_shown):
    from archiver.records.environment import CommitPart, RemotePart, RepositoryPart

    commit = CommitPart(hash="a" * 40, committed=MISSING, offset_seconds=MISSING, subject="s", description=MISSING)
    fields = {name: MISSING for name, field in RepositoryPart.model_fields.items() if field.is_required()}
    fields |= {"layout": "main", "operation": None, "commit": commit, "on_remote": True}
    fields |= {"remotes": (RemotePart(name="origin", url=url),)}
    git = changed(records["git"], repository=RepositoryPart(**fields))
    codes = [snippet.code for snippet in reproduce_snippets(run, records | {"git": git}) if "clone" in snippet.code]
    assert bool(codes) == is_shown


def test_tables_escape_their_cells_and_count_what_they_leave_out():
    table = made(("a", "b"), "lr", [("<b>|", 0.12345), (None, 7), ("x", 8)], limit=2)
    assert table.text == "| a | b |\n| --- | --: |\n| &#60;b&#62;&#124; | 0.1235 |\n| | 7 |"
    assert table.left_out == 1
