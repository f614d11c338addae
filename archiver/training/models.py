"""Saving the model in Keras' formats, and the table that says what each file holds."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive.failures import exception_part
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.records.model import FormatPart, VariablePart, WeightsTable
from archiver.storage import files
from archiver.storage.tensors import open_tensors
from archiver.training import weights
from archiver.training.locations import keras_locations, legacy_locations

FORMATS = ("keras", "h5", "weights.h5")


def save_models(run: Run, model: Any, formats: Sequence[str]) -> WeightsTable:
    """Write the model in every format asked for, read each file back, and return the table of the weights.

    A format that Keras cannot write for this model is noted with Keras' reason; a file of an earlier phase is removed.
    """
    parts = {name: _save(run, model, name) if name in formats else _not_asked_for(run, name) for name in FORMATS}
    owners = weights.layer_names(model)
    variables = weights.variable_table(model.weights, owners)
    located, parts = _locate(run, model, variables, parts)
    return WeightsTable(
        weights_digest=weights.weights_digest(model.weights),
        variables=located,
        optimizer_variables=weights.variable_table(weights.optimizer_variables(model)),
        seed_generators=weights.variable_table(weights.seed_generators(model)),
        formats=parts,
    )


def _not_asked_for(run: Run, name: str) -> FormatPart:
    files.remove(run.path_of(layout.MODEL_FORMATS[name]))
    return FormatPart(unavailable="not asked for (formats=)")


def _save(run: Run, model: Any, name: str) -> FormatPart:
    path = run.path_of(layout.MODEL_FORMATS[name])
    try:
        with files.replacing(path) as temporary, without_warnings():
            _WRITERS[name](model, temporary)
    except Exception as error:  # noqa: BLE001 - whatever Keras or a user's layer raises is the reason we record
        files.remove(path)
        part = exception_part(error)
        return FormatPart(unavailable=f"{part.type}: {part.message}")
    return FormatPart(file=layout.MODEL_FORMATS[name].path(run.name))


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Keras warns of what it saves, by every variable and in words about files the user did not ask for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _save_keras(model: Any, path: Path) -> None:
    model.save(path)


def _save_h5(model: Any, path: Path) -> None:
    """Keras' own writer; `model.save` would print a line that calls the user's file outdated."""
    from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

    save_model_to_hdf5(model, str(path))


def _save_weights(model: Any, path: Path) -> None:
    model.save_weights(path)


_WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "keras": _save_keras,
    "h5": _save_h5,
    "weights.h5": _save_weights,
}


def _locate(
    run: Run, model: Any, variables: Sequence[VariablePart], parts: dict[str, FormatPart]
) -> tuple[tuple[VariablePart, ...], dict[str, FormatPart]]:
    """Fill in where each file keeps each variable, checked by reading the file back."""
    live = list(model.weights)
    locations: list[dict[str, str]] = [{} for _ in variables]
    for name, part in parts.items():
        if part.file is None:
            continue
        reasons = _compare(run.path / part.file, name, _known_locations(model, name), live, variables, locations)
        parts = parts | {name: part.model_copy(update={"not_comparable": reasons})}
    located = zip(variables, locations, strict=True)
    return tuple(variable.model_copy(update={"locations": where}) for variable, where in located), parts


def _known_locations(model: Any, name: str) -> dict[int, str] | str:
    try:
        return legacy_locations(model) if name == "h5" else keras_locations(model)
    except Exception as error:  # noqa: BLE001 - private parts of Keras; without them the format is not comparable
        return f"this version of Keras does not tell where it keeps it ({type(error).__name__})"


def _compare(
    path: Path,
    name: str,
    known: dict[int, str] | str,
    live: Iterable[Any],
    variables: Sequence[VariablePart],
    locations: Sequence[dict[str, str]],
) -> dict[str, str]:
    if isinstance(known, str):
        return {str(variable.index): known for variable in variables}
    reasons: dict[str, str] = {}
    with open_tensors(path, name) as tensors:
        for variable, value in zip(variables, live, strict=True):
            location = known.get(id(value))
            try:
                if location is None:
                    reasons[str(variable.index)] = "the file does not hold this variable as it is"
                elif tensors.digest(location) == variable.sha256:
                    locations[variable.index][name] = location
                else:
                    reasons[str(variable.index)] = "the file holds other bytes (another dtype, or a layer's own form)"
            except (ArchiverError, KeyError) as error:
                reasons[str(variable.index)] = str(error)
    return reasons
