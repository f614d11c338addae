"""Every kind of model and of data that we claim: trained in two epochs, tested, sealed, and whole for `verify`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from archiver import RunArchiver, layout, verify
from archiver.archive.run import Run
from tests.training.nouns import DATA, FORMATS, MODELS, Case, Noun


def parameters(nouns: Iterable[Noun]) -> list[Any]:
    """One test per noun, in which only the noun's own warnings of Keras may pass."""
    return [pytest.param(noun, id=noun.name, marks=[ignoring(text) for text in noun.keras_warns]) for noun in nouns]


def ignoring(text: str) -> pytest.MarkDecorator:
    return pytest.mark.filterwarnings(f"ignore:{re.escape(text)}")


@pytest.fixture
def case(noun: Noun) -> Iterator[Case]:
    case = noun.make()
    yield case
    case.cleanup()


@pytest.fixture
def simple_case() -> Case:
    return next(noun for noun in DATA if noun.name == "arrays").make()


def archived(case: Case, name: str, root: Path) -> Run:
    archive = RunArchiver(root, name=name)
    case.model.fit(**case.fit_arguments, callbacks=[archive])
    return archive.finalize(test_data=case.test_data)


def assert_whole(run: Run, case: Case) -> None:
    assert verify(run.path, deep=True).findings == ()
    assert (run.status.status, run.status.sealed) == ("complete", True)
    assert {name for name, file in layout.MODEL_FORMATS.items() if run.has(file)} == case.exports
    assert reasons(run).keys() == FORMATS - case.exports


def reasons(run: Run) -> dict[str, str]:
    """Why each format that is missing is missing, as the archive tells it."""
    formats = run.read(layout.WEIGHTS).formats
    return {name: part.unavailable for name, part in formats.items() if part.unavailable}


def values(model: keras.Model) -> list[np.ndarray]:
    return [variable.numpy() for variable in model.weights]


def assert_reloads(run: Run, model: keras.Model) -> None:
    """The saved weights, loaded into the model after all of its own were lost, are the live ones."""
    live = values(model)
    for variable in model.weights:
        variable.assign(keras.ops.zeros_like(variable))
    model.load_weights(run.path_of(layout.WEIGHTS_H5))
    for before, after in zip(live, values(model), strict=True):
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("noun", parameters(MODELS))
def test_model(noun: Noun, case: Case, tmp_path: Path) -> None:
    run = archived(case, noun.name, tmp_path)
    assert_whole(run, case)
    if case.reloads:
        assert_reloads(run, case.model)


@pytest.mark.parametrize("noun", parameters(DATA))
def test_data(noun: Noun, case: Case, tmp_path: Path) -> None:
    run = archived(case, noun.name, tmp_path)
    assert_whole(run, case)
    assert_reloads(run, case.model)


@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
def test_any_verbose(verbose: int | str, simple_case: Case, tmp_path: Path) -> None:
    case = replace(simple_case, fit_arguments={**simple_case.fit_arguments, "verbose": verbose})
    assert_whole(archived(case, "verbose", tmp_path), case)


def test_the_users_own_callback_list(simple_case: Case, tmp_path: Path) -> None:
    archive = RunArchiver(tmp_path, name="listed")
    callbacks = keras.callbacks.CallbackList([archive], add_history=True, model=simple_case.model)
    simple_case.model.fit(**simple_case.fit_arguments, callbacks=callbacks)
    assert_whole(archive.finalize(test_data=simple_case.test_data), simple_case)


def test_a_callback_list_reused_over_two_fits(simple_case: Case, tmp_path: Path) -> None:
    archive = RunArchiver(tmp_path, name="reused")
    callbacks = keras.callbacks.CallbackList([archive], add_history=True, model=simple_case.model)
    lengths = []
    for _ in range(2):
        simple_case.model.fit(**simple_case.fit_arguments, callbacks=callbacks)
        lengths.append(len(callbacks.callbacks))
    assert lengths[0] == lengths[1], "the list must not collect our callbacks"

    run = archive.finalize(test_data=simple_case.test_data)
    assert_whole(run, simple_case)
    assert len(run.read(layout.HISTORY).phases) == 2
