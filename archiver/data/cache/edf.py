"""Recordings from EDF, EDF+ and BDF files, read by pyedflib; the 16 or 24 bits of the file are kept as they are.

The format: Kemp and Olivan, Clinical Neurophysiology 114 (2003), doi:10.1016/S1388-2457(03)00123-8.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver.data.cache.recording import Event, Recording
from archiver.errors import DamagedFileError, DataError, MissingExtraError
from archiver.storage.files import explained


class EdfSignal:
    """The samples of a file, read when they are wanted: whole numbers, shape (channels, samples).

    Attributes:
        shape: channels, samples.
        dtype: int16 for EDF, int32 for BDF.
    """

    def __init__(self, path: Path, channels: tuple[int, ...], sample_count: int, dtype: np.dtype[Any]) -> None:
        self._path, self._channels = path, channels
        self.shape, self.dtype = (len(channels), sample_count), dtype
        self._reader: Any = None

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[Any]:
        begin, end, _ = key[1].indices(self.shape[1])
        if self._reader is None:
            self._reader = _reader(self._path)
        found = np.empty((len(self._channels), end - begin), self.dtype)
        for row, channel in enumerate(self._channels):
            samples = self._reader.readSignal(channel, begin, end - begin, digital=True)
            if len(samples) != end - begin:
                raise DamagedFileError(
                    f"{self._path}: {len(samples)} of {end - begin} samples at {begin}: it is cut short."
                )
            found[row] = samples
        return found

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_reader": None}


def edf_recording(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    label: Any = None,
    groups: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Recording:
    """A recording of an EDF, EDF+ or BDF file; its annotations are the events.

    Args:
        path: of the file.
        name: of the item; None: the file's name without its ending.
        label: of all its windows.
        groups: to which subject, recording, release it belongs.
        metadata: by name, a number or text.

    Raises:
        DamagedFileError: the file cannot be read.
        DataError: its channels differ in their rate.
        MissingExtraError: pyedflib is not installed.
        StorageError: the file system refused.
    """
    place = Path(path)
    with _opened(place) as reader:
        headers, counts = reader.getSignalHeaders(), reader.getNSamples()
        rates = {header["label"].strip(): float(header["sample_frequency"]) for header in headers}
        if len(set(rates.values())) != 1 or len(set(counts.tolist())) != 1:
            raise DataError(
                f"Received {place} with channels at {sorted(set(rates.values()))} Hz. Expected one rate for all."
            )
        onsets, _, texts = reader.readAnnotations()
        dtype = np.dtype(np.int16 if reader.filetype in (0, 1) else np.int32)  # EDF, EDF+; BDF, BDF+
    scale, offset = _calibration(headers)
    return Recording(
        name=name or place.stem,
        signal=EdfSignal(place, tuple(range(len(headers))), int(counts[0]), dtype),
        sampling_rate_hz=float(headers[0]["sample_frequency"]),
        channel_names=tuple(header["label"].strip() for header in headers),
        events=tuple(Event(float(onset), str(text)) for onset, text in zip(onsets, texts, strict=True)),
        label=label,
        groups=dict(groups or {}),
        metadata=dict(metadata or {}),
        scale=scale,
        offset=offset,
        source={"file": place.name, "units": sorted({header["dimension"] for header in headers})},
    )


def _calibration(headers: list[dict[str, Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and offset by channel, shape (channels, 1), from the physical and digital extremes."""
    extremes = np.array(
        [[each[f"{kind}_{end}"] for end in ("min", "max") for kind in ("physical", "digital")] for each in headers],
        float,
    )
    physical_min, digital_min, physical_max, digital_max = extremes.T
    scale = (physical_max - physical_min) / (digital_max - digital_min)
    return scale[:, None], (physical_min - digital_min * scale)[:, None]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    reader = _reader(path)
    try:
        yield reader
    finally:
        reader.close()


def _reader(path: Path) -> Any:
    try:
        import pyedflib
    except ImportError as error:
        raise MissingExtraError('EDF files need pyedflib: pip install "keras-archiver[edf]".') from error
    _require_whole(path)
    try:
        return pyedflib.EdfReader(str(path))
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read as EDF or BDF: {str(error).splitlines()[0]}") from error


HEADER_BYTES = 256
"""Of the file, and again of each signal."""


def _require_whole(path: Path) -> None:
    """Compare the size with the header's: pyedflib says little of a file that was cut short, and prints it itself.

    Raises:
        DamagedFileError: the file is shorter than its header says.
        StorageError: the file system refused.
    """
    with explained("read", path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(HEADER_BYTES)
        try:
            header_bytes, records, signals = int(head[184:192]), int(head[236:244]), int(head[252:256])
            file.seek(HEADER_BYTES + 216 * signals)  # behind the other fields of each signal
            counts = [int(file.read(8)) for _ in range(signals)]
        except ValueError:
            if size < HEADER_BYTES:
                raise DamagedFileError(
                    f"{path} cannot be read as EDF or BDF: it has {size} bytes. Expected at least {HEADER_BYTES}."
                ) from None
            return  # pyedflib says what is wrong with the header
    expected = header_bytes + records * sum(counts) * (3 if head[:1] == b"\xff" else 2)
    if size < expected:
        raise DamagedFileError(
            f"{path} has {size:,} bytes. Expected {expected:,}, as its header says: it was cut short. Copy it again."
        )
