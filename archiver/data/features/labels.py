"""Labels and groups beside features, so that these can be used without their source."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.windows import Windows
from archiver.errors import DamagedFileError, DataError
from archiver.storage import files

SUFFIX = ".labels.npz"
LABELS = "labels"
GROUP_PREFIX = "group_"


def labels_path(path: Path) -> Path:
    """Where labels and groups are."""
    return path.with_name(path.name + SUFFIX)


def write_labels(path: Path, source: Windows) -> None:
    """Write what the source has; nothing where it has neither.

    Raises:
        DataError: the labels are Python objects.
        StorageError: the file system refused.
    """
    arrays = {GROUP_PREFIX + kind: names for kind, names in source.groups.items()}
    if source.labels is not None:
        arrays[LABELS] = source.labels
        if source.labels.dtype.hasobject:
            raise DataError("Received labels that are Python objects. Expected numbers or text.")
    if arrays:
        written = io.BytesIO()
        np.savez(written, **arrays)  # type: ignore[arg-type]  # a kind cannot be called allow_pickle: it has a prefix
        files.write_bytes(labels_path(path), written.getvalue())


def read_labels(path: Path) -> tuple[NDArray[Any] | None, dict[str, NDArray[np.str_]]]:
    """Labels and groups of the features at `path`; None and nothing where the source had none.

    Raises:
        DamagedFileError: the file cannot be understood.
    """
    beside = labels_path(path)
    if not beside.exists():
        return None, {}
    try:
        with np.load(beside, allow_pickle=False) as found:
            groups = {name.removeprefix(GROUP_PREFIX): found[name] for name in found.files if name != LABELS}
            return found[LABELS] if LABELS in found.files else None, groups
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise DamagedFileError(f"{beside} cannot be read: {error}. Extract the features again.") from error
