"""Secrets in an archive: a search through everything that holds text, and what of it was allowed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from archiver import layout
from archiver._resources import resource_folder
from archiver.archive.findings import printable
from archiver.archive.run import Run
from archiver.archive.schemas import SCHEMA_KINDS
from archiver.errors import ArchiverError, SecretsFoundError
from archiver.records.base import FORMAT_VERSION
from archiver.records.journal import EventName
from archiver.storage.hashing import regular_files
from archiver.storage.journal import JournalContents, events_named
from archiver.storage.keras_config import MAXIMAL_CONFIG_BYTES
from archiver.storage.manifests import MANIFEST_NAMES, PREVIOUS_SEAL
from archiver.storage.reading import open_below, read_below
from archiver.storage.zips import SafeZip

MAXIMAL_TEXT_BYTES = 16 << 20
"""Of one text; of a longer one, so much is searched."""
MAXIMAL_BINARY_BYTES = 2 << 20
"""Of a file that is no text, from its beginning."""
MAXIMAL_TENSOR_BYTES = 512 << 10
"""Of a file of tensors, from its beginning: HDF5 keeps a model's configuration there; behind it, numbers stand."""
MAXIMAL_TOTAL_BYTES = 256 << 20
HEAD_BYTES = 4096
"""A NUL among the first tells that a file is no text."""
MAXIMAL_TOLD = 5

_TENSORS = (".keras", ".h5", ".npz")

REFUSED: EventName = "secrets_found"
ALLOWED: EventName = "secrets_allowed"


@dataclass(frozen=True)
class SecretFinding:
    """Where something stands that looks like a secret. The secret itself is nowhere repeated."""

    file: str
    line: int
    """Counted from 1; 0 for a file that has no lines, or for the file's own name."""
    kind: str
    hint: str

    def describe(self) -> str:
        """One line for a reader."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return printable(f"{place}: {self.kind} ({self.hint})")


@dataclass(frozen=True)
class SecretSearch:
    """What a search came to."""

    findings: tuple[SecretFinding, ...]
    not_whole: tuple[str, ...]
    """Files of which only a part was searched, the numbers of models left out."""
    searched_bytes: int


def search_secrets(
    run: Run, *, leave_out: Collection[str] = (), texts: Mapping[str, str] | None = None
) -> SecretSearch:
    """Search everything in an archive that holds text; see docs/privacy.md for what is known and for the limits.

    Args:
        run: the archive, sealed or not.
        leave_out: files that are written anew.
        texts: what is to be written, by path.

    Raises:
        ArchiverError, OSError: a file cannot be read.
    """
    from archiver.collect.secret_scan import scan_text

    given = texts or {}
    findings = [
        SecretFinding(path, secret.line, secret.kind, secret.hint)
        for path, text in given.items()
        for secret in scan_text(text.encode("utf-8", "replace"))
    ]
    sizes = {path: size for path, size in regular_files(run.path).items() if path not in leave_out}
    names = sorted(path for path in sizes if path not in given)
    findings += [
        SecretFinding(f"file {secret.line} of {len(names)} (its name)", 0, secret.kind, secret.hint)
        for secret in scan_text("\n".join(names).encode("utf-8", "replace"))
    ]
    not_whole: list[str] = []
    left = MAXIMAL_TOTAL_BYTES
    for path in names:
        if _is_ours(run, path):
            continue
        found, searched = _search_file(run, path, left)
        findings += found
        left -= searched
        if searched < sizes[path] and not path.endswith(_TENSORS):
            not_whole.append(path)
    return SecretSearch(tuple(findings), tuple(not_whole), MAXIMAL_TOTAL_BYTES - left)


def _is_ours(run: Run, path: str) -> bool:
    """Whether it can hold digests, names and our own schemas alone."""
    if path in (*MANIFEST_NAMES.values(), PREVIOUS_SEAL):
        return True
    name = path.removeprefix("schemas/")
    if path not in {f"schemas/{layout.schema_file(kind)}" for kind in SCHEMA_KINDS}:
        return False
    ours = (resource_folder("schemas") / f"v{FORMAT_VERSION}" / name).read_bytes()
    return read_below(run.path, path, MAXIMAL_TEXT_BYTES) == ours


def _search_file(run: Run, path: str, left: int) -> tuple[list[SecretFinding], int]:
    """What stands in a file, and how many of its bytes were looked at."""
    from archiver.collect.secret_scan import scan_binary, scan_text

    with open_below(run.path, path) as file:
        data = file.read(min(HEAD_BYTES, left))
        is_text = _is_text(path, data)
        if path.endswith(".keras") and (texts := _texts_of_keras(file, path)) is not None:
            found = [secret for text in texts for secret in scan_text(text)]
            return [SecretFinding(path, 0, each.kind, each.hint) for each in found], sum(map(len, texts))
        limit = MAXIMAL_TENSOR_BYTES if path.endswith(_TENSORS) else MAXIMAL_BINARY_BYTES
        limit = min(left, MAXIMAL_TEXT_BYTES if is_text else limit)
        while len(data) < limit and (more := file.read(limit - len(data))):
            data += more
    found = scan_text(data) if is_text else scan_binary(data)
    return [SecretFinding(path, each.line if is_text else 0, each.kind, each.hint) for each in found], len(data)


def _is_text(path: str, head: bytes) -> bool:
    return not path.endswith(_TENSORS) and (b"\0" not in head or head[:2] in (b"\xff\xfe", b"\xfe\xff"))


def _texts_of_keras(file: Any, path: str) -> list[bytes] | None:
    """The members that hold no weights; None where it is no such file, and its bytes must do."""
    try:
        archive = SafeZip(file, path)
        names = [name for name in archive.members if not name.endswith(_TENSORS)]
        if sum(archive.members[name].file_size for name in names) <= MAXIMAL_CONFIG_BYTES:
            return [archive.read(name, MAXIMAL_CONFIG_BYTES) for name in names]
    except (ArchiverError, OSError):
        pass
    file.seek(HEAD_BYTES)
    return None


# -- what the journal says of them


def refuse_secrets(run: Run, *, allow: bool = False, leave_out: Collection[str] = ()) -> tuple[SecretFinding, ...]:
    """Search an archive before it is handed over: one line for everything that makes something out of it.

    Args:
        run: the archive.
        allow: whether what is found is let through.
        leave_out: files that are not handed over.

    Returns:
        What was found and let through.

    Raises:
        SecretsFoundError: something was found. That it was allowed when the archive was sealed does not count: that
            was for the one who trained.
    """
    findings = search_secrets(run, leave_out=leave_out).findings
    if findings and not allow:
        raise SecretsFoundError(message_of(run, findings))
    return findings


def require_allowed(run: Run, findings: Iterable[SecretFinding], journal: JournalContents) -> None:
    """Refuse what was found, except where the journal says that somebody allowed it.

    Raises:
        SecretsFoundError: there is more.
    """
    allowed = allowed_secrets(journal)
    refused = [each for each in findings if (each.file, each.kind) not in allowed]
    if refused:
        raise SecretsFoundError(message_of(run, refused))


def message_of(run: Run, findings: Collection[SecretFinding]) -> str:
    """What was found, and what to do about it."""
    told = [each.describe() for each in list(findings)[:MAXIMAL_TOLD]]
    more = f" and {len(findings) - MAXIMAL_TOLD} more" if len(findings) > MAXIMAL_TOLD else ""
    what = "what looks like a secret" if len(findings) == 1 else f"{len(findings)} texts that look like secrets"
    remedy = (
        "Leave its file out, or make the archive again without it"
        if run.has(layout.MANIFEST_BLAKE3)
        else f"Remove it and run `archiver finalize {run.path}`"
    )
    return (
        f"{run.path} holds {what}: {'; '.join(told)}{more}. It is not sealed or handed over like this. {remedy}, or "
        "allow it with --allow-secrets (in Python: RunArchiver(..., allow_secrets=True))."
    )


def allowed_secrets(journal: JournalContents) -> set[tuple[str, str]]:
    """(file, kind) of what was allowed."""
    return {
        (str(each.get("file")), str(each.get("kind")))
        for event in events_named(journal, ALLOWED)
        for each in _dicts(event.details.get("findings"))
    }


def refused_secrets(journal: JournalContents) -> list[SecretFinding]:
    """Why the last attempt to seal was refused; empty where it was not."""
    last = next((event for event in reversed(journal.events) if event.event in (REFUSED, "sealed", "unsealed")), None)
    if last is None or last.event != REFUSED:
        return []
    return [
        SecretFinding(str(each.get("file")), _line(each.get("line")), str(each.get("kind")), str(each.get("hint")))
        for each in _dicts(last.details.get("findings"))
    ]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _line(value: Any) -> int:
    return value if isinstance(value, int) else 0
