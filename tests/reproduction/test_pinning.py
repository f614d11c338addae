"""What is set for a repetition, what is said of the machine beforehand, and which of several runs repeats which."""

import json
from pathlib import Path

import pytest

from archiver import layout
from archiver.archive.run import Run
from archiver.records.reproduction import PackageDifferencePart
from archiver.reproduction.machine import machine_differences, why_not_equal
from archiver.reproduction.pinning import keras_home, pinned_variables, with_variables
from archiver.reproduction.recipe import Recipe, read_recipe
from archiver.reproduction.running import repetition_of
from archiver.sealing import changing
from archiver.testing import tiny_run
from tests.reproduction.test_consent import with_program


@pytest.fixture
def recipe(tmp_path) -> Recipe:
    return read_recipe(with_program(tiny_run(tmp_path / "runs")))


def changed(recipe: Recipe, **determinism: object) -> Recipe:
    """With another determinism."""
    assert recipe.determinism is not None
    return Recipe(**vars(recipe) | {"determinism": recipe.determinism.model_copy(update=determinism)})


def test_variables_are_set_as_they_were_and_taken_away_where_they_were_not(recipe):
    environment = {"TF_ENABLE_ONEDNN_OPTS": "0", "OMP_NUM_THREADS": None, "CUDA_VISIBLE_DEVICES": None}
    pinned = pinned_variables(changed(recipe, environment=environment), cores=2)
    assert pinned == {"TF_ENABLE_ONEDNN_OPTS": "0", "OMP_NUM_THREADS": None}
    here = {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "1", "HOME": "/h"}
    assert with_variables(here, pinned) == {"TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "1", "HOME": "/h"}


def test_threads_are_set_only_where_there_are_other_cores(recipe):
    recipe = changed(recipe, environment={})
    assert pinned_variables(recipe, cores=2) == {}
    assert pinned_variables(recipe, cores=8) == {"TF_NUM_INTRAOP_THREADS": "2", "TF_NUM_INTEROP_THREADS": "2"}


def with_processor(recipe: Recipe, **update: object) -> Recipe:
    assert recipe.system is not None
    processor = recipe.system.processor.model_copy(update=update)
    return Recipe(**vars(recipe) | {"system": recipe.system.model_copy(update={"processor": processor})})


def test_onednn_is_set_where_another_processor_would_choose_it_anew(recipe):
    other = with_processor(changed(recipe, environment={}), flags=("fpu", "of_no_machine"))
    assert pinned_variables(other, cores=2) == {"TF_ENABLE_ONEDNN_OPTS": "1"}
    (reason, *_) = why_not_equal(other, ())
    assert reason.startswith("the CPU has other instruction sets (without of_no_machine, with ")


def test_what_keeps_bits_from_being_equal_is_known_beforehand(recipe):
    assert why_not_equal(recipe, ()) == [
        "nothing was seeded: initial weights and the order of the samples differ each time"
    ]
    assert recipe.determinism is not None
    seeded = changed(recipe, seeds=recipe.determinism.seeds.model_copy(update={"keras": 1}))
    assert why_not_equal(seeded, ()) == []
    other = PackageDifferencePart(name="keras", recorded="3.1", found="3.2", reason="version 3.1, here 3.2")
    rich = PackageDifferencePart(name="rich", recorded="1", found="2", reason="version 1, here 2")
    assert why_not_equal(seeded, (other, rich)) == ["keras: version 3.1, here 3.2"]
    gpus = seeded.system.gpus
    assert why_not_equal(changed(seeded, devices={"CPU": 1, "GPU": 1}), ()) == []  # which one is not recorded
    assert gpus is not None


def test_the_machine_is_compared(recipe):
    assert recipe.system is not None
    version = recipe.system.python.version.split()[0]
    assert machine_differences(recipe, version) == []
    other = with_processor(recipe, model="Another CPU", usable_cores=999)
    found = machine_differences(other, "3.0.1")
    assert found[0] == f"Python was {version}, here is 3.0.1"
    assert found[1].startswith("CPU: Another CPU, here ")
    assert found[2].startswith("usable cores: 999, here ")


def test_keras_settings_are_those_of_the_run(recipe, tmp_path, monkeypatch):
    (tmp_path / "home" / "datasets").mkdir(parents=True)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "keras.json").write_text('{"floatx": "float32"}')
    assert keras_home(recipe, tmp_path) == {}  # none was recorded
    settings = {"floatx": "float16", "backend": "tensorflow"}
    framework = recipe.system.framework
    keras = framework.keras.model_copy(update={"config_file": settings})
    system = recipe.system.model_copy(update={"framework": framework.model_copy(update={"keras": keras})})
    home = Path(keras_home(Recipe(**vars(recipe) | {"system": system}), tmp_path)["KERAS_HOME"])
    assert json.loads((home / "keras.json").read_text()) == settings
    assert (home / "datasets").resolve() == tmp_path / "home" / "datasets"


def called(root: Path, name: str) -> Run:
    """A run that remembers the name it was given, as a training's does."""
    run = tiny_run(root, name)
    record = run.read(layout.RUN)
    with changing(run):
        told = record.name.model_copy(update={"original": name})
        run.write(layout.RUN, record.model_copy(update={"name": told}))
    return run


def test_of_several_runs_the_one_in_the_same_place_is_compared(tmp_path):
    """Folds of a cross-validation: the same name, one after the other, in one process."""
    originals = [called(tmp_path / "runs", "fold") for _ in range(3)]
    store = tmp_path / "again"
    assert repetition_of(originals[0], store) is None
    repetitions = [called(store, "fold") for _ in range(2)]
    called(store, "other")
    assert repetition_of(originals[0], store) == repetitions[0]
    assert repetition_of(originals[1], store) == repetitions[1]
    assert repetition_of(originals[2], store) is None


def test_a_name_that_was_taken_is_no_other_run(tmp_path):
    """The second run of a script: version 2 in the folder of runs, the only one in the new store."""
    called(tmp_path / "runs", "a")
    second = called(tmp_path / "runs", "a")
    only = called(tmp_path / "again", "a")
    assert second.read(layout.RUN).name.version == 2
    assert repetition_of(second, tmp_path / "again") == only
