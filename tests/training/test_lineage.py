"""A run is told from whose weights it went on: by their digest, or because the user says so."""

import re
import shutil

import keras
import pytest

import archiver
from archiver import layout
from archiver.archive.lineage import find_children
from archiver.archive.run import Run
from archiver.errors import ArgumentError
from tests.training import small


def fit(root, name, model=None, epochs=2, **options):
    model = small.model() if model is None else model
    archive = archiver.RunArchiver(root, name=name, figures=False, **options)
    x, y = small.arrays()
    model.fit(x, y, validation_data=small.arrays(16, 1), epochs=epochs, batch_size=16, verbose=0, callbacks=[archive])
    assert archiver.verify(archive.run.path).is_whole
    return model, archive.run


def spoilt(model):
    model.optimizer.learning_rate.assign(50.0)


def parents(run):
    return run.read(layout.RESULTS).parents


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """`first`; `tuned` from its last weights, `again` from the best of `first` after a bad last epoch; `other`."""
    root = tmp_path_factory.mktemp("runs")
    keras.utils.set_random_seed(1)
    model = small.model()
    spoil = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: spoilt(model) if epoch == 2 else None)
    archive = archiver.RunArchiver(root, name="first", figures=False)
    x, y = small.arrays()
    data = {"validation_data": small.arrays(16, 1), "batch_size": 16, "verbose": 0}
    model.fit(x, y, epochs=3, callbacks=[spoil, archive], **data)
    loaded = keras.models.load_model(archive.run.path_of(layout.KERAS_MODEL))
    _, tuned = fit(root, "tuned", loaded)
    best = keras.models.load_model(archive.run.path_of(layout.KERAS_MODEL))
    best.load_weights(archive.run.path_of(layout.BEST_WEIGHTS))
    _, again = fit(root, "again", best)
    _, other = fit(root, "other")
    return archive.run, tuned, again, other


def test_final_and_best_weights_of_another_run_are_recognised(family):
    first, tuned, again, other = family
    assert [(each.run, each.weights, each.is_stated) for each in parents(tuned)] == [("first", "final", False)]
    assert [(each.run, each.weights, each.is_stated) for each in parents(again)] == [("first", "best", False)]
    assert parents(other) == parents(first) == ()
    (found,) = parents(tuned)
    assert found.seal_id == first.seal_id
    assert found.folder == first.path.name
    assert found.weights_digest == first.read(layout.RESULTS).weights_digest
    assert found.weights_digest == tuned.read(layout.RESULTS).initial_weights_digest


def test_children_are_found_from_the_parent(family):
    first, *_, other = family
    assert [(each.run, each.weights) for each in find_children(first)] == [("again", "best"), ("tuned", "final")]
    assert find_children(other) == []


def test_report_and_screen_tell_it(family, capsys):
    first, tuned, *_ = family
    readme = tuned.path_of(layout.README).read_text()
    assert "| Went on from | [first](../first_models/README.md), whose last weights it began with |" in readme
    assert '<a href="../first_models/README.html">first</a>' in tuned.path_of(layout.README_HTML).read_text()
    assert "went on from" in screen(tuned, capsys)
    assert re.search(r"gone on from by\s+again; tuned", screen(first, capsys))


def screen(run, capsys):
    from archiver.cli.main import main

    with pytest.raises(SystemExit):
        main(["show", str(run.path)])
    return capsys.readouterr().out


def test_a_stated_parent_with_other_weights(family, tmp_path, capsys):
    first, *_ = family
    _, run = fit(tmp_path, "grown", parent=first.path)
    (parent,) = parents(run)
    assert (parent.run, parent.weights, parent.folder, parent.is_stated) == ("first", None, None, True)
    assert parent.seal_id == first.seal_id
    assert "as was stated" in screen(run, capsys)


def test_a_stated_parent_is_named_once_and_by_its_name_in_the_root(family, tmp_path):
    first, *_ = family
    root = tmp_path / "runs"
    root.mkdir()
    shutil.copytree(first.path, root / first.path.name)
    model = keras.models.load_model(first.path_of(layout.KERAS_MODEL))
    _, run = fit(root, "tuned", model, parent="first")
    (parent,) = parents(run)
    assert (parent.run, parent.weights, parent.folder, parent.is_stated) == ("first", "final", "first_models", True)
    assert [each.run for each in find_children(Run.open(root / "first_models"))] == ["tuned"]


@pytest.mark.parametrize("parent", ["nowhere", 3, ""])
def test_a_parent_that_is_none_is_refused_before_anything_is_written(parent, tmp_path):
    with pytest.raises(ArgumentError, match="parent="):
        archiver.RunArchiver(tmp_path / "runs", name="a", parent=parent)
    assert not (tmp_path / "runs").exists()


def test_an_altered_lineage_is_found(family, tmp_path):
    _, tuned, *_ = family
    copy = Run.open(shutil.copytree(tuned.path, tmp_path / tuned.path.name))
    results = copy.read(layout.RESULTS)
    copy.write(layout.RESULTS, results.model_copy(update={"parents": ()}))
    from archiver.sealing import changing

    with changing(copy):
        pass
    found = archiver.verify(copy.path).findings
    assert [finding.path for finding in found] == ["results/tuned_results.json#/parents"]


def test_versions_say_what_changed(tmp_path, capsys):
    fit(tmp_path, "a", hyperparameters={"rate": 0.1, "width": 8})
    keras.utils.set_random_seed(5)
    _, second = fit(tmp_path, "a", epochs=3, hyperparameters={"rate": 0.2, "width": 8})
    readme = second.path_of(layout.README).read_text()
    assert "## Earlier versions" in readme
    assert "[a](../a_models/README.md)" in readme
    assert "| hyperparameters.rate | 0.1 | 0.2 |" in readme
    assert "| epochs | 2 | 3 |" in readme
    assert "hyperparameters.width" not in readme.partition("## Earlier versions")[2].partition("\n## ")[0]
    shown = screen(second, capsys)
    assert re.search(r"other versions\s+a *\n", shown)
    assert "rate: 0.1, now 0.2" in shown
    assert "Earlier versions" not in (tmp_path / "a_models" / "README.md").read_text()


def test_a_name_that_looks_like_a_version_is_none(tmp_path):
    from archiver.archive.versions import versions_of
    from archiver.testing import tiny_run

    first, lookalike = tiny_run(tmp_path, "a"), tiny_run(tmp_path, "a-2")
    third = tiny_run(tmp_path, "a")
    assert third.name == "a-3"
    assert [other.name for other in versions_of(first).values()] == ["a", "a-3"]
    assert [other.name for other in versions_of(lookalike).values()] == ["a-2"]
