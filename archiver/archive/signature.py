"""Checking an OpenSSF model signature: a Sigstore bundle with an in-toto statement over the SHA-256 of every file.

The library `model-signing` makes such files and is used for that (`archiver.archive.signing`). It is not used to check
them: it reads a file of any size and any depth, hashes the archive once more, and takes half a second to import.
`cryptography` alone checks the signature; what was signed is compared with the manifests, which `verify` compares with
the files. The seal id is the SHA-256 of manifest-blake3.txt, so that it stands in the statement.

Formats: https://github.com/sigstore/model-transparency (predicate `https://model_signing/signature/v1.0`), the envelope
https://github.com/secure-systems-lab/dsse, the bundle https://docs.sigstore.dev/about/bundle/. Nothing here uses the
network.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, ValidationError

from archiver import layout
from archiver.archive.inspection import MAXIMAL_SIGNATURE_BYTES, Inspection
from archiver.errors import ArchiverError, ArgumentError, DamagedFileError, MissingExtraError
from archiver.storage.manifests import MANIFEST_NAMES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

MAXIMAL_KEY_BYTES = 64 << 10
CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""Those that `model-signing` knows: P-256, P-384, P-521."""
SHOWN_NAMES = 5

_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_OF_FILES = {"changed", "missing", "unlisted", "unreadable", "not_a_regular_file", "manifest", "unsafe_path"}
_SHA256 = re.compile("[0-9a-f]{64}")


class _KeyHint(BaseModel):
    hint: str | None = None


class _Material(BaseModel):
    publicKey: _KeyHint | None = None  # noqa: N815 - the bundle's name


class _SignaturePart(BaseModel):
    sig: str


class _Envelope(BaseModel):
    payload: str
    payloadType: str  # noqa: N815
    signatures: list[_SignaturePart] = Field(min_length=1, max_length=1)


class _Bundle(BaseModel):
    mediaType: str  # noqa: N815
    verificationMaterial: _Material  # noqa: N815
    dsseEnvelope: _Envelope  # noqa: N815


class _Subject(BaseModel):
    name: str
    digest: dict[str, str]


class _Serialization(BaseModel):
    method: str
    hash_type: str
    ignore_paths: list[str] = []


class _Resource(BaseModel):
    name: str
    algorithm: str
    digest: str


class _Predicate(BaseModel):
    serialization: _Serialization
    resources: list[_Resource]


class Statement(BaseModel):
    """What was signed: the digest of every file."""

    type: str = Field(alias="_type")
    subject: list[_Subject] = Field(min_length=1, max_length=1)
    predicateType: str  # noqa: N815
    predicate: _Predicate

    def digests(self) -> dict[str, str]:
        """Lowercase SHA-256 by path."""
        return {resource.name: resource.digest for resource in self.predicate.resources}


def load_public_key(path: str | os.PathLike[str]) -> EllipticCurvePublicKey:
    """A public key in PEM.

    Raises:
        ArgumentError: there is none, or one of another kind.
        MissingExtraError: `cryptography` is not installed.
    """
    serialization = _serialization()
    data = read_key(path)
    if b"PRIVATE KEY" in data:
        raise ArgumentError(f"{path}: received a private key; `openssl ec -in KEY -pubout` prints its public key.")
    try:
        return checked_curve(serialization.load_pem_public_key(data), path)
    except ArgumentError:
        raise
    except Exception as error:
        raise ArgumentError(f"{path}: received no public key in PEM ({_short(error)}); see docs/trust.md") from error


def _serialization() -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise MissingExtraError(
            'Checking a signature needs cryptography: pip install "keras-archiver[signing]"'
        ) from error
    return serialization


def read_key(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file with a key.

    Raises:
        ArgumentError: it cannot be read, or is too large to be one.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAXIMAL_KEY_BYTES + 1)
    except OSError as error:
        raise ArgumentError(f"{path}: {error.strerror or error}; expected a key in PEM") from error
    if len(data) > MAXIMAL_KEY_BYTES:
        raise ArgumentError(f"{path}: received more than {MAXIMAL_KEY_BYTES} bytes; expected a key in PEM")
    return data


def checked_curve(key: Any, path: object) -> EllipticCurvePublicKey:
    """The public key itself, where it is of a curve that model signatures are made with.

    Raises:
        ArgumentError: it is not.
    """
    curve = getattr(getattr(key, "curve", None), "name", None)
    if curve not in CURVES:
        kind = curve or type(key).__name__.strip("_")
        raise ArgumentError(f"{path}: received a key of the kind {kind}; expected one of P-256, P-384 or P-521")
    checked: EllipticCurvePublicKey = key
    return checked


def key_hint(key: EllipticCurvePublicKey) -> str:
    """SHA-256 of the key in PEM, by which a bundle names the key it was made with."""
    serialization = _serialization()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def check_signature(inspection: Inspection, key: EllipticCurvePublicKey) -> None:
    """Report whatever keeps the signature from holding for this seal and these files.

    Args:
        inspection: after everything else was checked.
        key: of the one who is expected to have signed.
    """
    path = layout.SIGNATURE.pattern
    if ("signature", path) in inspection.reported or ("not_a_regular_file", path) in inspection.reported:
        return
    if inspection.signature_bytes is None:
        inspection.find("signature", path, "there is no signature; `archiver sign RUN --key KEY` makes one")
        return
    try:
        data = inspection.read_now(path, MAXIMAL_SIGNATURE_BYTES)
        statement = open_statement(data, key)
    except (OSError, ArchiverError) as error:
        inspection.find("signature", path, str(error))
        return
    faults = differences(statement, sealed_digests(inspection.listed.get("sha256", {}), inspection.sha256))
    for fault in faults or _faults_of_files(inspection):
        inspection.find("signature", path, fault)
    if ("signature", path) not in inspection.reported:
        inspection.signed_by = key_hint(key)


def _faults_of_files(inspection: Inspection) -> list[str]:
    touched = sorted({finding.path for finding in inspection.findings if finding.code in _OF_FILES})
    if not touched:
        return []
    return [f"is good for this seal, but the files are not those that were signed: {_names(touched)}"]


def open_statement(data: bytes, key: EllipticCurvePublicKey) -> Statement:
    """What was signed, once the signature was found to be by that key.

    Raises:
        DamagedFileError: the file is no such signature, or it is not by that key; the message says what is wrong.
    """
    bundle = _parsed(_Bundle, data, "is no signature in the format of OpenSSF model signing")
    if bundle.mediaType != _MEDIA_TYPE:
        raise DamagedFileError(f"has the media type {bundle.mediaType[:80]!r}; expected {_MEDIA_TYPE!r}")
    hint = _checked_material(bundle)
    if hint not in (None, key_hint(key)):
        raise DamagedFileError(f"was made with another key: received {str(hint)[:64]!r}, expected {key_hint(key)!r}")
    payload = _decoded(bundle.dsseEnvelope.payload)
    if bundle.dsseEnvelope.payloadType != _PAYLOAD_TYPE:
        raise DamagedFileError(
            f"has the payload type {bundle.dsseEnvelope.payloadType[:80]!r}; expected {_PAYLOAD_TYPE!r}"
        )
    _require_signature(key, _decoded(bundle.dsseEnvelope.signatures[0].sig), payload)
    return _checked_statement(_parsed(Statement, payload, "signs something that is no statement on files"))


def _parsed(kind: type[Any], data: bytes, what: str) -> Any:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DamagedFileError(f"{what}: #/{'/'.join(map(str, first['loc']))}: {first['msg']}") from None
    except RecursionError:
        raise DamagedFileError(f"{what}: it is nested too deeply") from None


def _checked_material(bundle: _Bundle) -> str | None:
    if bundle.verificationMaterial.publicKey is None:
        raise DamagedFileError(
            "was made with a certificate or without a key, which archiver does not check; `model_signing verify` does"
        )
    return bundle.verificationMaterial.publicKey.hint


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DamagedFileError("has something that is not base64 where it should be") from None


def _require_signature(key: EllipticCurvePublicKey, signature: bytes, payload: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec

    # DSSE's pre-authentication encoding: lengths before the contents, so that one cannot pass for the other.
    message = b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)
    try:
        key.verify(signature, message, ec.ECDSA(_hash_for(key)))
    except InvalidSignature:
        raise DamagedFileError("is not by this key, or was changed after it was made") from None


def _hash_for(key: EllipticCurvePublicKey) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    kinds: dict[int, HashAlgorithm] = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    return kinds[key.curve.key_size]


def _checked_statement(statement: Statement) -> Statement:
    for received, expected in ((statement.type, _STATEMENT_TYPE), (statement.predicateType, _PREDICATE_TYPE)):
        if received != expected:
            raise DamagedFileError(f"signs a statement of the kind {received[:80]!r}; expected {expected!r}")
    form, resources = statement.predicate.serialization, statement.predicate.resources
    if (form.method, form.hash_type) != ("files", "sha256"):
        raise DamagedFileError(
            f"signs {form.method[:20]!r} by {form.hash_type[:20]!r}; expected 'files' by 'sha256': sign it again"
        )
    if len({resource.name for resource in resources}) != len(resources):
        raise DamagedFileError("signs a file twice")
    for resource in resources:
        if resource.algorithm != "sha256" or not _SHA256.fullmatch(resource.digest):
            raise DamagedFileError(f"signs {resource.name[:80]!r} by something that is no SHA-256")
    total = hashlib.sha256(b"".join(bytes.fromhex(resource.digest) for resource in resources)).hexdigest()
    if statement.subject[0].digest != {"sha256": total}:
        raise DamagedFileError("signs a total digest that is not that of its files")
    return statement


def sealed_digests(listed: dict[str, str], sha256: Any) -> dict[str, str]:
    """SHA-256 of every file of a sealed archive: those that the manifest lists, that manifest, and the seal.

    Args:
        listed: of manifest-sha256.txt.
        sha256: gives the digest of a file by its path, or None.
    """
    own = {name: sha256(name) for name in (MANIFEST_NAMES["sha256"], MANIFEST_NAMES["blake3"])}
    return listed | {name: digest for name, digest in own.items() if digest is not None}


def differences(statement: Statement, sealed: dict[str, str]) -> list[str]:
    """Why what was signed is not this seal; empty where it is.

    What the signer's tool ignored (`.gitignore` and its like) may be left out: the manifests cover it, and are signed.
    """
    signed, seal = statement.digests(), layout.MANIFEST_BLAKE3.pattern
    if seal not in signed:
        return [f"does not cover {seal}: what was signed was not sealed"]
    if signed[seal] != sealed.get(seal):
        return [f"is over another seal: received {signed[seal]}, expected {sealed.get(seal)}; sign the archive again"]
    ignored = {path.split("/")[0] for path in statement.predicate.serialization.ignore_paths}
    parts = {
        "has other digests than the manifest for": [
            path for path in signed if sealed.get(path, signed[path]) != signed[path]
        ],
        "covers what is not part of the seal:": [path for path in signed if path not in sealed],
        "does not cover": [path for path in sealed if path not in signed and path.split("/")[0] not in ignored],
    }
    return [f"{what} {_names(sorted(paths))}" for what, paths in parts.items() if paths]


def _names(paths: list[str]) -> str:
    more = f" and {len(paths) - SHOWN_NAMES} more" if len(paths) > SHOWN_NAMES else ""
    return ", ".join(path or "the folder itself" for path in paths[:SHOWN_NAMES]) + more


def _short(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:100]}"
