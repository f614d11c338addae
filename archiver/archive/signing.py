"""Signing a sealed archive with a key of one's own, by the library `model-signing` of the OpenSSF.

The signature is `model.sig` in the archive, the name that tool gives it. It is made after the seal and stands in no
manifest; opening the seal removes it.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.signature import checked_curve, differences, open_statement, read_key, sealed_digests
from archiver.archive.verifying import verify
from archiver.errors import ArgumentError, MissingExtraError, RunStateError
from archiver.storage import files
from archiver.storage.digests import sha256_of
from archiver.storage.manifests import MANIFEST_NAMES, MAXIMAL_MANIFEST_BYTES, parse_manifest
from archiver.storage.reading import read_below


def sign(
    path: str | os.PathLike[str],
    private_key: str | os.PathLike[str],
    *,
    password: str | None = None,
    replace: bool = False,
) -> Path:
    """Sign a sealed archive, once it was verified. Nothing is sent anywhere.

    Args:
        path: the folder of the run.
        private_key: file with an elliptic curve key (P-256, P-384 or P-521) in PEM.
        password: of the key, where it is encrypted.
        replace: replace a signature that is there.

    Returns:
        The signature file, `model.sig` in the archive.

    Raises:
        RunStateError: the archive is not sealed, has a signature already, or changed meanwhile.
        FindingsError: the archive is not whole.
        ArgumentError: the key cannot be used.
        MissingExtraError: `model-signing` is not installed.
        StorageError: the file system refused.
    """
    run = Run.open(path)
    target = run.path_of(layout.SIGNATURE)
    if run.seal_id is None:
        raise RunStateError(f"{run.path} is not sealed; `archiver finalize {run.path}` seals it.")
    if os.path.lexists(target) and not replace:
        raise RunStateError(f"{target} is there already; replace=True (--replace) puts a new signature in its place.")
    key = _load_private_key(private_key, password)
    library = _library()
    verify(run.path).raise_for_findings()
    data = _signed(library, run, private_key, password)
    faults = differences(open_statement(data, checked_curve(key.public_key(), private_key)), _sealed(run))
    if faults:
        raise RunStateError(
            f"{run.path} changed while it was signed: the signature {'; '.join(faults)}. Sign it again."
        )
    files.write_bytes(target, data)
    return target


def is_encrypted(private_key: str | os.PathLike[str]) -> bool:
    """Whether a password is needed to use the key.

    Raises:
        ArgumentError: the file cannot be read.
    """
    return b"ENCRYPTED" in read_key(private_key)


def _load_private_key(path: str | os.PathLike[str], password: str | None) -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise _missing(error) from error
    if not os.path.isfile(path):
        raise ArgumentError(f"Received the private key {str(path)!r}. Expected a regular file with a key in PEM.")
    data = read_key(path)
    try:
        key = serialization.load_pem_private_key(data, _bytes(password))
    except TypeError as error:  # a password is missing, or there is one too many
        remedy = "give its password" if password is None else "it is not encrypted: give no password"
        raise ArgumentError(f"{path}: {remedy} (see `archiver sign --help`)") from error
    except Exception as error:
        hint = "wrong password, or " if password is not None else ""
        raise ArgumentError(f"{path}: {hint}no private key in PEM; see docs/trust.md") from error
    checked_curve(key, path)
    return key


def _bytes(password: str | None) -> bytes | None:
    return password.encode() if password is not None else None


def _library() -> Any:
    try:
        import model_signing
        import model_signing.hashing
        import model_signing.signing
    except ImportError as error:  # its version 1.1.1 needs pyopenssl without saying so
        raise _missing(error) from error
    return model_signing


def _missing(error: ImportError) -> MissingExtraError:
    return MissingExtraError(f'Signing needs {error.name}: pip install "keras-archiver[signing]"')


def _signed(library: Any, run: Run, private_key: str | os.PathLike[str], password: str | None) -> bytes:
    hashing = library.hashing.Config().set_ignored_paths(paths=[layout.SIGNATURE.pattern])
    signing = library.signing.Config().use_elliptic_key_signer(private_key=private_key, password=_bytes(password))
    with tempfile.TemporaryDirectory() as folder:
        signature = Path(folder, layout.SIGNATURE.pattern)
        signing.set_hashing_config(hashing).sign(run.path, signature)
        return signature.read_bytes()


def _sealed(run: Run) -> dict[str, str]:
    def read(name: str) -> bytes:
        return read_below(run.path, name, MAXIMAL_MANIFEST_BYTES)

    listed, _ = parse_manifest(read(MANIFEST_NAMES["sha256"]), "sha256")
    return sealed_digests(listed, lambda name: sha256_of(read(name)))
