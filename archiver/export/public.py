"""A public copy of an archive: whole and sealed, without what says who trained and where.

Every text is gone through; the report is made anew from records that are clean. What was left out or replaced stands in
the journal (`published`) with the seal id of the original. At the end all bytes of the copy are searched for what was
to go: a copy in which something is left is not made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archiver import layout
from archiver.archive.documents import document_bytes, parse_document
from archiver.archive.run import Run
from archiver.archive.secrets import refuse_secrets
from archiver.archive.verifying import require_whole, verify
from archiver.errors import ArchiverError, ArgumentError, PrivacyError
from archiver.export.identity import learn_identity
from archiver.export.leaks import Leak, Needles, find_leaks, find_leaks_in_name
from archiver.export.leaving_out import ALWAYS, REASON, Choice, chosen, edited, edited_event, is_left_out
from archiver.export.public_models import rewrite_model
from archiver.export.replacing import Replacer
from archiver.records.base import Unavailable
from archiver.records.model import FormatPart
from archiver.report.report import ReportOptions
from archiver.sealing import DEFAULT_REPORT, seal
from archiver.storage import files
from archiver.storage.digests import sha256_of
from archiver.storage.hashing import regular_files
from archiver.storage.journal import Journal
from archiver.storage.manifests import MANIFEST_NAMES, PREVIOUS_SEAL
from archiver.storage.reading import read_below

MAXIMAL_TEXT_BYTES = 256 << 20
"""A longer file is taken for no text: it is copied where nothing that is to go stands in it, else left out."""
_HEAD_BYTES = 4096
_WIDE = (b"\xff\xfe", b"\xfe\xff")
"""How texts in UTF-16 begin."""
_BINARY = (".keras", ".h5", ".npz")
_DROPPED_EVENTS = ("sealed", "unsealed", "secrets_found", "secrets_allowed")
"""The seals and what was allowed are those of the original."""


@dataclass
class _Copy:
    """One copy while it is made."""

    run: Run
    target: Run
    choices: tuple[Choice, ...]
    replacer: Replacer
    names: dict[str, str]
    """By path in the original, the path in the copy, where the two differ."""
    changed: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """By path, why."""


def publish(
    run: Run,
    output: str | os.PathLike[str],
    *,
    leave_out: Collection[str] = (),
    keep: Collection[str] = (),
    hide: Collection[str] = (),
    allow_secrets: bool = False,
    report: ReportOptions = DEFAULT_REPORT,
) -> Run:
    """Make a public copy of a sealed archive.

    Args:
        run: the archive; it is not touched.
        output: the folder of the copy, which must not exist.
        leave_out: what else goes, out of `archiver.export.leaving_out.CHOICES`.
        keep: what stays of what goes by default.
        hide: texts to replace wherever they stand, such as the name of a project.
        allow_secrets: go on although something in it looks like a secret.
        report: how the report of the copy is made.

    Returns:
        The copy, sealed and verified.

    Raises:
        ArgumentError: an argument cannot be used.
        RunStateError: the archive is not whole, or not sealed.
        SecretsFoundError: something in it looks like a secret.
        PrivacyError: something that was to go is left in the copy, which is removed.
        StorageError: the file system refused; nothing is left behind.
    """
    choices, folder = chosen(leave_out, keep), _checked_output(output)
    require_whole(run)
    going = [path for path in regular_files(run.path) if is_left_out(run, path, choices)]
    refuse_secrets(run, allow=allow_secrets, leave_out=going)
    working = files.temporary_name(folder)
    try:
        with files.explained("create", folder):
            os.makedirs(working / folder.name)
        copy = _begin(run, working / folder.name, choices, hide)
        _copy_all(copy)
        seal(copy.target, copy.target.journal, report, allow_secrets=allow_secrets)
        _check(copy)
        files.rename(copy.target.path, folder)
    finally:
        files.remove(working)
    return Run.open(folder)


def _checked_output(output: str | os.PathLike[str]) -> Path:
    folder = Path(os.path.abspath(output))
    if folder.exists():
        raise ArgumentError(f"Received the output {str(output)!r}, which exists. Expected a new folder for the copy.")
    return folder


def _begin(run: Run, target: Path, choices: tuple[Choice, ...], hide: Collection[str]) -> _Copy:
    identity = learn_identity(run, _texts(run), hide)
    namer = Replacer(identity)
    paths = sorted(regular_files(run.path))
    names = _different({path: namer.file_name(path) for path in [run.name, *paths]})
    replacer = Replacer(identity, names)
    for path in paths:
        if path.endswith(".json") and layout.entry_for(path, run.name) in layout.RECORD_FILES:
            replacer.learn(_json_of(run, path))
    return _Copy(run, Run(target, names.get(run.name, run.name)), choices, replacer, names)


def _different(names: dict[str, str]) -> dict[str, str]:
    """Those that change; two that would become the same are told apart."""
    changed: dict[str, str] = {}
    taken = {old for old, new in names.items() if old == new}
    for old, new in names.items():
        number, unique = 2, new
        while old != new and unique in taken:
            stem, dot, suffix = new.rpartition(".")
            unique, number = (f"{stem}-{number}.{suffix}" if dot else f"{new}-{number}"), number + 1
        if old != new:
            changed[old] = unique
            taken.add(unique)
    return changed


def _texts(run: Run) -> Iterator[str]:
    for path, size in regular_files(run.path).items():
        if not path.startswith("schemas/") and size < MAXIMAL_TEXT_BYTES:
            data = _text_bytes(run, path)
            if data is not None:
                yield data.decode("utf-16" if data[:2] in _WIDE else "utf-8", "replace")


def _text_bytes(run: Run, path: str) -> bytes | None:
    """The bytes of a text; None of what is none."""
    if path.endswith(_BINARY) or (run.path / path).stat().st_size > MAXIMAL_TEXT_BYTES:
        return None
    data = read_below(run.path, path, MAXIMAL_TEXT_BYTES)
    return None if b"\0" in data[:_HEAD_BYTES] and data[:2] not in _WIDE else data


def _json_of(run: Run, path: str) -> Any:
    return json.loads(read_below(run.path, path, MAXIMAL_TEXT_BYTES))


# -- copying


def _copy_all(copy: _Copy) -> None:
    """Texts first: they say which paths must not stand in the others."""
    later = []
    for path in sorted(regular_files(copy.run.path)):
        if _is_made_anew(copy.run, path):
            continue
        if is_left_out(copy.run, path, copy.choices) or layout.SNAPSHOTS.matches(path, copy.run.name):
            copy.left_out[_target(copy, path)] = REASON
        elif path == layout.JOURNAL.pattern:
            _copy_journal(copy)
        elif layout.entry_for(path, copy.run.name) in layout.RECORD_FILES:
            _copy_record(copy, path)
        elif (data := _text_bytes(copy.run, path)) is not None:
            _copy_text(copy, path, data)
        else:
            later.append(path)
    _match_source(copy)
    needles = Needles(copy.replacer.identity, copy.replacer.originals)
    for path in later:
        _copy_binary(copy, path, needles)
    _match_models(copy)
    _say_published(copy)


def _is_made_anew(run: Run, path: str) -> bool:
    made = (
        layout.README,
        layout.README_HTML,
        layout.METADATA,
        layout.SCHEMAS,
        layout.FIGURES,
        layout.CRATE,
        layout.SIGNATURE,
    )
    return path in (*MANIFEST_NAMES.values(), PREVIOUS_SEAL) or any(file.matches(path, run.name) for file in made)


def _target(copy: _Copy, path: str) -> str:
    return copy.names.get(path, path)


def _write(copy: _Copy, path: str, data: bytes) -> None:
    files.write_bytes(copy.target.path / _target(copy, path), data)


def _copy_journal(copy: _Copy) -> None:
    lines = []
    for event in copy.run.journal.read().events:
        if event.event not in _DROPPED_EVENTS:
            details = copy.replacer.json(edited_event(json.loads(event.model_dump_json())["details"]))
            lines.append(event.model_copy(update={"details": details}).model_dump_json().encode() + b"\n")
    _write(copy, layout.JOURNAL.pattern, b"".join(lines))


def _copy_record(copy: _Copy, path: str) -> None:
    entry: Any = layout.entry_for(path, copy.run.name)
    value = copy.replacer.json(edited(entry.record.KIND, _json_of(copy.run, path), copy.choices))
    record = parse_document(json.dumps(value).encode(), entry.record, path)
    _write(copy, path, document_bytes(record))


def _copy_text(copy: _Copy, path: str, data: bytes) -> None:
    is_wide = data[:2] in _WIDE
    encoding, errors = ("utf-16", "surrogatepass") if is_wide else ("utf-8", "surrogateescape")
    text = data.decode(encoding, errors)
    replaced = copy.replacer.text(text)
    if replaced != text:
        copy.changed.append(_target(copy, path))
        data = replaced.encode(encoding, errors)
    _write(copy, path, data)


def _copy_binary(copy: _Copy, path: str, needles: Needles) -> None:
    """As it is, where nothing that is to go stands in it; else with another configuration; else not at all."""
    target = copy.target.path / _target(copy, path)
    leaks = find_leaks(copy.run.path, path, needles)
    if leaks and path.endswith((".keras", ".h5")):
        try:
            rewrite_model(copy.run.path / path, target, copy.replacer.json)
            copy.changed.append(_target(copy, path))
            leaks = find_leaks(copy.target.path, _target(copy, path), needles)
        except (ArchiverError, OSError, ValueError, KeyError):
            pass
    elif not leaks:
        files.copy_file(copy.run.path / path, target)
    if leaks:
        files.remove(target)
        kinds = ", ".join(sorted({leak.kind for leak in leaks}))
        copy.left_out[_target(copy, path)] = f"{REASON}: it holds what cannot be taken out of it ({kinds})"


# -- what describes other files


def _match_source(copy: _Copy) -> None:
    """Sizes and digests of texts that were changed."""
    target = copy.target
    source: Any = target.read_if_there(layout.SOURCE)
    if source is not None and source.files:
        parts = []
        for part in source.files:
            path = target.path / part.path
            data = path.read_bytes() if path.is_file() else b""
            parts.append(part.model_copy(update={"size_bytes": len(data), "sha256": sha256_of(data)}))
        total = sum(part.size_bytes for part in parts)
        target.write(layout.SOURCE, source.model_copy(update={"files": tuple(parts), "total_bytes": total}))
    git: Any = target.read_if_there(layout.GIT)
    repository: Any = git.repository if git is not None else None
    update = {}
    for name, file in (("patch", layout.PATCH), ("submodules_patch", layout.SUBMODULES_PATCH)):
        if target.has(file) and repository is not None and not isinstance(repository, Unavailable):
            data = target.path_of(file).read_bytes()
            part = getattr(repository, name)
            if not isinstance(part, Unavailable):
                update[name] = part.model_copy(update={"size_bytes": len(data), "sha256": sha256_of(data)})
    if update:
        changed = repository.model_copy(update=update)
        target.write(layout.GIT, git.model_copy(update={"repository": changed}))


def _match_models(copy: _Copy) -> None:
    """Formats that were left out are said to be so; a checkpoint without its arrays goes whole."""
    target = copy.target
    weights: Any = target.read_if_there(layout.WEIGHTS)
    if weights is not None:
        formats = {
            name: FormatPart(file=None, unavailable=copy.left_out[part.file]) if part.file in copy.left_out else part
            for name, part in weights.formats.items()
        }
        if formats != weights.formats:
            target.write(layout.WEIGHTS, weights.model_copy(update={"formats": formats}))
    if layout.CHECKPOINT_VARIABLES.path(target.name) in copy.left_out:
        files.remove(target.path_of(layout.CHECKPOINT_STATE))
        copy.left_out[layout.CHECKPOINT_STATE.path(target.name)] = REASON


def _say_published(copy: _Copy) -> None:
    identity = copy.replacer.identity
    Journal(copy.target.path, part=_last_part(copy.target)).append(
        "published",
        original_seal_id=copy.run.seal_id,
        left_out=[*ALWAYS, *copy.choices],
        replaced=dict(sorted(copy.replacer.counts.items())),
        changed_files=sorted(copy.changed),
        left_out_files=dict(sorted(copy.left_out.items())),
        kept_names=len(identity.ordinary),
    )


def _last_part(run: Run) -> int:
    return max((event.part for event in run.journal.read().events), default=0)


# -- the last look


def _check(copy: _Copy) -> None:
    needles = Needles(copy.replacer.identity, copy.replacer.originals)
    leaks: list[Leak] = [
        leak
        for path in sorted(regular_files(copy.target.path))
        if not path.startswith("schemas/")
        for leak in [*find_leaks(copy.target.path, path, needles), *find_leaks_in_name(path, needles)]
    ]
    if leaks:
        told = "; ".join(leak.describe() for leak in leaks[:5])
        raise PrivacyError(
            f"The public copy of {copy.run.path} was not made, since this is left in it: {told}. Change the original's "
            "text, or leave the file out with --leave-out."
        )
    findings = verify(copy.target.path, deep=True).findings
    if findings:
        raise PrivacyError(
            f"The public copy of {copy.run.path} was not made, since it would not be whole: {findings[0].describe()}"
        )
