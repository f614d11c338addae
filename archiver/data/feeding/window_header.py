"""The JSON file beside a window file: what its bytes are, and their digests."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archiver.data.feeding.scaling import Scaling, scaling_of
from archiver.errors import ArgumentError, DamagedFileError, FormatVersionError, NotAnArchiveError
from archiver.storage import files

KIND = "archiver_window_file"
FORMAT_VERSION = 1
MAXIMAL_HEADER_BYTES = 64 << 20


@dataclass(frozen=True)
class WindowHeader:
    """What a window file says of itself."""

    shape: tuple[int, ...]
    """Windows, then the shape of one."""
    dtype: np.dtype[Any]
    """Of the elements in the file, little-endian, C order."""
    scaling: Scaling | None
    """None: the elements are the values."""
    maximal_error: float
    """By how much a value that is read differs at most from the one that was written; 0: none does."""
    blake3: str
    """Of the file."""
    extras_blake3: str
    """Of the file of labels and groups."""
    source: Any
    """What the windows were written from said of itself."""

    @property
    def window_bytes(self) -> int:
        """Bytes of one window in the file."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def write(self, path: Path) -> None:
        """Write it whole or not at all.

        Raises:
            StorageError: the file system refused.
        """
        scaling = self.scaling
        fields = {
            "kind": KIND,
            "format_version": FORMAT_VERSION,
            "shape": list(self.shape),
            "dtype": self.dtype.str,
            "scale": None if scaling is None else scaling.scale.astype(float).tolist(),
            "offset": None if scaling is None else scaling.offset.astype(float).tolist(),
            "maximal_error": self.maximal_error,
            "blake3": self.blake3,
            "extras_blake3": self.extras_blake3,
            "source": self.source,
        }
        files.write_text(path, json.dumps(fields, indent=1, allow_nan=False) + "\n")


def read_header(path: Path) -> WindowHeader:
    """Read and check it.

    Raises:
        NotAnArchiveError: there is no such file: the windows were not written to their end.
        FormatVersionError: a newer version of archiver wrote it.
        DamagedFileError: it is not what it should be.
        StorageError: the file system refused.
    """
    try:
        with files.explained("read", path), path.open("rb") as file:
            data = file.read(MAXIMAL_HEADER_BYTES)
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as error:
        if not path.exists():
            raise _missing(path) from error
        raise
    try:
        fields = json.loads(data)
    except ValueError as error:
        raise DamagedFileError(f"{path} is no JSON ({error}). Write the windows again.") from error
    if not isinstance(fields, dict) or fields.get("kind") != KIND:
        raise DamagedFileError(f"{path} is no header of a window file: received no kind {KIND!r}.")
    version = fields.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise FormatVersionError(
            f"{path} has format_version {version!r}. Expected at most {FORMAT_VERSION}: install a newer keras-archiver."
        )
    try:
        return _checked(fields)
    except (KeyError, TypeError, ValueError, ArgumentError) as error:
        raise DamagedFileError(f"{path} has a field that cannot be: {error!r}. Write the windows again.") from error


def _missing(path: Path) -> NotAnArchiveError:
    return NotAnArchiveError(
        f"There is no {path}. Expected the header of a window file, which is written last: write the windows again, "
        "which goes on where it was cut off."
    )


def _checked(fields: dict[str, Any]) -> WindowHeader:
    shape = tuple(fields["shape"])
    dtype = np.dtype(fields["dtype"])
    if len(shape) < 1 or any(type(size) is not int or size < 0 for size in shape) or dtype.kind not in "iufb":
        raise ValueError(f"shape {shape}, dtype {dtype}")
    scale, offset = fields["scale"], fields["offset"]
    return WindowHeader(
        shape=shape,
        dtype=dtype,
        scaling=None if scale is None else scaling_of(scale, offset, shape[1:]),
        maximal_error=float(fields["maximal_error"]),
        blake3=str(fields["blake3"]),
        extras_blake3=str(fields["extras_blake3"]),
        source=fields["source"],
    )
