"""Saving the model in Keras' formats, and the table that says what each file holds."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive.failures import exception_part
from archiver.archive.run import Run
from archiver.closing import forget_models
from archiver.records.model import FormatPart, MeasuredVariable, WeightsTable
from archiver.storage import files
from archiver.storage.dtypes import dtype_bytes
from archiver.training import weights
from archiver.training.locations import locate
from archiver.training.names import names_of
from archiver.training.secrets import SecretError, Secrets, check_file, check_names, find_secrets, redacted_config

HDF5_BYTES = 1 << 18
HDF5_BYTES_PER_VARIABLE = 1 << 12
"""What HDF5 needs beside the numbers, and more."""

FORMATS = ("keras", "h5", "weights.h5")


def save_models(run: Run, model: Any, formats: Sequence[str]) -> WeightsTable:
    """Write the model in every format asked for, read each file back, and return the table of the weights.

    A format that Keras cannot write for this model is noted with Keras' reason; a file of an earlier phase is removed.
    """
    forget_models(run)
    secrets = find_secrets(model)
    parts = {
        name: _save(run, model, name, secrets) if name in formats else _not_asked_for(run, name) for name in FORMATS
    }
    names = names_of(model)
    measured = weights.measure_weights(model, names)
    located, parts = _locate(run, model, measured.variables, parts)
    return WeightsTable(
        weights_digest=measured.digest,
        formats=parts,
        variables=located,
        optimizer_variables=weights.measure_optimizer(model, names),
        seed_generators=weights.measure_variables(weights.seed_generators(model), names),
    )


def _not_asked_for(run: Run, name: str) -> FormatPart:
    files.remove(run.path_of(layout.MODEL_FORMATS[name]))
    return FormatPart(unavailable="not asked for (formats=)")


def _save(run: Run, model: Any, name: str, secrets: Secrets | None) -> FormatPart:
    path = run.path_of(layout.MODEL_FORMATS[name])
    try:
        with files.replacing(path) as temporary, without_warnings():
            if secrets is None:
                _WRITERS[name](model, temporary)
            else:
                _save_redacted(model, name, temporary, secrets)
    except SecretError as error:
        files.remove(path)
        return FormatPart(unavailable=str(error))
    except Exception as error:  # noqa: BLE001 - whatever Keras or a user's layer raises is the reason we record
        files.remove(path)
        part = exception_part(error)
        return FormatPart(unavailable=f"{part.type}: {part.message}")
    redacted = secrets is not None and name != "weights.h5"
    return FormatPart(file=layout.MODEL_FORMATS[name].path(run.name), redacted=redacted)


def _save_redacted(model: Any, name: str, path: Path, secrets: Secrets) -> None:
    check_names(model)
    with redacted_config(model, secrets, legacy=name == "h5"):
        if name == "h5":
            # Keras takes the configuration of the training from where it cannot be replaced.
            _save_h5(model, path, with_training="get_compile_config" not in secrets.methods)
        else:
            _WRITERS[name](model, path)
    check_file(path, name, secrets)


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Keras warns of what it saves, by every variable and in words about files the user did not ask for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _save_keras(model: Any, path: Path) -> None:
    model.save(path)


def _save_h5(model: Any, path: Path, *, with_training: bool = True) -> None:
    """Keras' own writer; `model.save` would print a line that calls the user's file outdated."""
    from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

    _require_room(model, path)
    with _compile_config_kept(model):
        save_model_to_hdf5(model, str(path), include_optimizer=with_training)


@contextlib.contextmanager
def _compile_config_kept(model: Any) -> Iterator[None]:
    """Keras' writer of `.h5` takes the optimizer out of what the model was compiled with, and every `.keras` file saved
    later lacks it."""
    config = getattr(getattr(model, "_compile_config", None), "config", {})
    before = dict(config)
    try:
        yield
    finally:
        config.clear()
        config.update(before)


def save_weights(model: Any, path: Path) -> None:
    """Write a `.weights.h5`.

    Raises:
        StorageError: the disk has no room for it.
    """
    _require_room(model, path)
    model.save_weights(path)


def _require_room(model: Any, path: Path) -> None:
    """libhdf5 ends the process with a segmentation fault when the disk becomes full under an open file."""
    variables = [*model.weights, *weights.optimizer_variables(model)]
    sizes = (math.prod(variable.shape) * dtype_bytes(str(variable.dtype)) for variable in variables)
    files.require_room(path, sum(sizes) + len(variables) * HDF5_BYTES_PER_VARIABLE + HDF5_BYTES)


_WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "keras": _save_keras,
    "h5": _save_h5,
    "weights.h5": save_weights,
}


def _locate(
    run: Run, model: Any, variables: tuple[MeasuredVariable, ...], parts: dict[str, FormatPart]
) -> tuple[tuple[MeasuredVariable, ...], dict[str, FormatPart]]:
    """Fill in where each file keeps each variable."""
    for name, part in parts.items():
        if part.file is None:
            continue
        where, reasons = locate(run.path / part.file, name, model, variables)
        parts = parts | {name: part.model_copy(update={"not_comparable": reasons})}
        variables = tuple(
            variable.model_copy(update={"locations": variable.locations | {name: where[variable.index]}})
            if variable.index in where
            else variable
            for variable in variables
        )
    return variables, parts
