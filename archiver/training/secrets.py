"""Secrets in a model's own configuration: Keras writes them into every format that holds one.

Where redaction would change the configuration, the model is given a redacted one to serialise for the time of saving,
and what was written is searched for everything that was taken out. Names of layers cannot be replaced: Keras finds
layers by them, and writes them beside the weights.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from archiver.collect.redaction import redact_json
from archiver.errors import ArchiverError
from archiver.training.names import names_of, removed_pieces

_PIECES = ("get_config", "get_build_config", "get_compile_config")
"""The methods of a model whose results Keras writes."""
_SHORTEST_SEARCHED = 6
"""Bytes; a shorter one would be found in many a tensor by chance. It is looked for in the configuration alone."""
_BLOCK_BYTES = 1 << 20


class SecretError(ArchiverError):
    """A secret would stand in the archive."""


@dataclass(frozen=True)
class Secrets:
    """What redaction takes out of a model's configuration."""

    pieces: frozenset[str]
    methods: frozenset[str]
    """The methods whose results hold them."""
    in_names: bool
    """Whether a name of the model, a layer or a variable is among them."""


def find_secrets(model: Any) -> Secrets | None:
    """The secrets in what Keras would write of a model's configuration; None, almost always, where there are none."""
    names = names_of(model).secrets
    found: set[str] = set(names)
    methods = set()
    for method in _PIECES:
        value = _serialised(getattr(model, method, None))
        pieces = _taken_out(value, redact_json(value))
        if pieces:
            found |= pieces
            methods.add(method)
    return Secrets(frozenset(found), frozenset(methods), bool(names)) if found else None


def _serialised(method: Callable[[], Any] | None) -> Any:
    """As Keras writes it; None where it cannot, and so writes nothing."""
    try:
        return keras.saving.serialize_keras_object(method()) if method is not None else None
    except Exception:  # noqa: BLE001 - a user's method may raise anything; saving will say so
        return None


def _taken_out(value: Any, redacted: Any) -> set[str]:
    if isinstance(value, dict):
        # keys may change too, so the items are compared in order
        keys = {piece for key, other in zip(value, redacted, strict=False) for piece in _taken_out(str(key), other)}
        return keys.union(*(_taken_out(*pair) for pair in zip(value.values(), redacted.values(), strict=False)))
    if isinstance(value, list | tuple):
        return set().union(*(_taken_out(*pair) for pair in zip(value, redacted, strict=True)))
    if value == redacted or redacted is None:
        return set()
    return set(removed_pieces(str(value), str(redacted))) or {str(value)}


def check_names(model: Any) -> None:
    """Refuse a model whose names hold secrets.

    Raises:
        SecretError: Keras writes names beside the weights, and needs them to read those back.
    """
    if names_of(model).secrets:
        raise SecretError(
            "the name of the model, of a layer or of a variable holds what looks like a secret, and Keras writes names "
            "into this format. Give it another name."
        )


@contextlib.contextmanager
def redacted_config(model: Any, secrets: Secrets, *, legacy: bool) -> Iterator[None]:
    """For the body, the model serialises to a configuration without secrets; `legacy`: in the form of `.h5`."""
    own = vars(model)
    before = {method: own[method] for method in secrets.methods if method in own}
    try:
        for method in secrets.methods:
            own[method] = _redacting(getattr(model, method), _legacy if legacy else keras.saving.serialize_keras_object)
        yield
    finally:
        for method in secrets.methods:
            own.pop(method, None)
        own.update(before)


def _redacting(method: Callable[[], Any], serialise: Callable[[Any], Any]) -> Callable[[], Any]:
    return lambda: redact_json(serialise(method()))


def _legacy(config: Any) -> Any:
    from keras.src.legacy.saving import json_utils

    return json.loads(json.dumps(config, default=json_utils.get_json_type))


def check_file(path: Path, name: str, secrets: Secrets) -> None:
    """Read a file that was just written, and refuse it if a secret stands in it.

    Raises:
        SecretError: one does.
    """
    if _holds(path, [piece for piece in _encoded(secrets.pieces) if len(piece) >= _SHORTEST_SEARCHED]) or any(
        redact_json(config) != config for config in _configs(path, name)
    ):
        raise SecretError("the configuration of the model holds a secret that cannot be taken out of this format")


def _encoded(pieces: frozenset[str]) -> set[bytes]:
    """As they stand in text, and as they stand in JSON."""
    return {each for piece in pieces for each in (piece.encode(), json.dumps(piece)[1:-1].encode())}


def _holds(path: Path, pieces: list[bytes]) -> bool:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if any(data.find(piece) >= 0 for piece in pieces):
            return True
    return zipfile.is_zipfile(path) and _zip_holds(path, pieces)


def _zip_holds(path: Path, pieces: list[bytes]) -> bool:
    longest = max(map(len, pieces), default=1)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            tail = b""
            with archive.open(member) as file:
                while block := file.read(_BLOCK_BYTES):
                    if any(piece in tail + block for piece in pieces):
                        return True
                    tail = (tail + block)[-longest:]
    return False


def _configs(path: Path, name: str) -> Iterator[Any]:
    if name == "keras":
        with zipfile.ZipFile(path) as archive:
            yield json.loads(archive.read("config.json"))
    elif name == "h5":
        import h5py

        with h5py.File(path) as file:
            for key in ("model_config", "training_config"):
                if key in file.attrs:
                    yield json.loads(file.attrs[key])
