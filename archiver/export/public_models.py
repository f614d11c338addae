"""Model files with another configuration and the same weights."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archiver.storage.files import replacing
from archiver.storage.keras_config import MAXIMAL_CONFIG_BYTES, parse_config
from archiver.storage.zips import SafeZip

Change = Callable[[Any], Any]
"""JSON to JSON."""

_CONFIGS = ("config.json", "metadata.json")
_ATTRIBUTES = ("model_config", "training_config")


def rewrite_model(source: Path, target: Path, change: Change) -> None:
    """Copy a `.keras` or `.h5` file, its configuration changed, everything else as it is.

    Raises:
        ArchiverError, OSError, ValueError: it is no such file.
    """
    with replacing(target) as temporary:
        if source.suffix == ".keras":
            _rewrite_keras(source, temporary, change)
        else:
            _rewrite_h5(source, temporary, change)


def _rewrite_keras(source: Path, target: Path, change: Change) -> None:
    with source.open("rb") as file, zipfile.ZipFile(target, "w") as written:
        archive = SafeZip(file, str(source))
        for name, info in archive.members.items():
            if name in _CONFIGS:
                config = parse_config(archive.read(name, MAXIMAL_CONFIG_BYTES), f"{source}: {name}")
                written.writestr(_like(info), json.dumps(change(config)))
            else:
                with archive.open(name) as member, written.open(_like(info), "w", force_zip64=True) as copy:
                    shutil.copyfileobj(member, copy, 1 << 20)


def _like(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(info.filename, info.date_time)
    made.compress_type, made.external_attr = info.compress_type, info.external_attr
    return made


def _rewrite_h5(source: Path, target: Path, change: Change) -> None:
    """Into a new file: HDF5 keeps the bytes of an attribute that is replaced."""
    import h5py

    with h5py.File(source, "r") as old, h5py.File(target, "w") as new:
        for name, value in old.attrs.items():
            is_config = name in _ATTRIBUTES and isinstance(value, str | bytes)
            new.attrs[name] = json.dumps(change(parse_config(_bytes(value), name))) if is_config else value
        for name in old:
            old.copy(name, new)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
