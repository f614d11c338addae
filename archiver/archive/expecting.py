"""Whether an archive has the seal that somebody wrote down elsewhere, and if not, what became of that seal.

An attacker who can write to an archive can seal it anew; what stands outside of it (in a paper, a ticket, a commit)
cannot be changed with it. The whole id is asked for: whoever makes an archive can make two whose ids begin alike.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable

from archiver import layout
from archiver.archive.inspection import Inspection
from archiver.archive.run import Run
from archiver.archive.transfer import undone_manifest
from archiver.errors import ArchiverError, ArgumentError, DamagedFileError, RunStateError
from archiver.records.journal import JournalEvent
from archiver.storage.digests import sha256_of
from archiver.storage.journal import MAXIMAL_JOURNAL_BYTES, JournalContents, parse_journal
from archiver.storage.manifests import MANIFEST_NAMES, MAXIMAL_MANIFEST_BYTES, PREVIOUS_SEAL, parse_manifest
from archiver.storage.reading import read_below

SHOWN_NAMES = 8

_OF_THE_SEAL = {*MANIFEST_NAMES.values(), PREVIOUS_SEAL}
_WORK = {
    "phase_started": "training went on",
    "resumed": "training was resumed",
    "evaluated": "test results were added",
    "file_added": "files were added",
    "logged": "values were logged",
    "models_saved": "models were saved",
    "warning": "it was sealed with a warning",
}
"""What the journal's events between two seals say was done."""


def checked_seal_id(text: str) -> str:
    """A seal id as it is written in an archive.

    Raises:
        ArgumentError: it is no whole seal id.
    """
    found = text.strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", found):
        raise ArgumentError(
            f"Received the seal id {text[:80]!r}. Expected all of its 64 hexadecimal digits, as `archiver seal-id RUN` "
            "prints them: two archives can be made whose ids begin alike."
        )
    return found


def read_seal_id(path: str | os.PathLike[str]) -> str:
    """The seal id of an archive, to be written down elsewhere; nothing else is checked.

    Raises:
        NotAnArchiveError: there is no archive.
        RunStateError: it is not sealed.
        DamagedFileError: the seal file was converted on its way, so that its hash is not the seal id.
    """
    run = Run.open(path)
    seal = layout.MANIFEST_BLAKE3.pattern
    try:
        data = read_below(run.path, seal, MAXIMAL_MANIFEST_BYTES)
    except FileNotFoundError:
        remedy = f"`archiver finalize {run.path}` seals it"
        raise RunStateError(f"{run.path} is not sealed and has no seal id; {remedy}.") from None
    conversion = undone_manifest(data, "blake3")
    if conversion is not None:
        raise DamagedFileError(f"{run.path / seal}: {conversion.what}; copy the archive again, as binary.")
    return sha256_of(data)


def check_expected(inspection: Inspection, expected: str) -> None:
    """Report another seal than the expected one, with what is known of that."""
    received = inspection.seal_id
    if received == expected:
        return
    reason = _link_before(inspection, expected) or _journal_claim(inspection, expected)
    if reason is None:
        reason = "which is none of the seals that this archive tells of: it is another archive, or was sealed anew"
    what = f"received the seal {received}" if received else "the archive is not sealed"
    inspection.find("seal_id", "", f"{what}; expected {expected}, {reason}")


def _link_before(inspection: Inspection, expected: str) -> str | None:
    """The seal file of the seal before is kept, so that its hash proves what it listed."""
    if PREVIOUS_SEAL not in inspection.sizes:
        return None
    try:
        data = inspection.read(PREVIOUS_SEAL, MAXIMAL_MANIFEST_BYTES)
    except (OSError, ArchiverError):
        return None
    if sha256_of(data) != expected:
        return None
    before, _ = parse_manifest(data, "blake3")
    told = _told(inspection, expected)
    return f"the seal just before ({PREVIOUS_SEAL} is that seal). {told}{_since(inspection, before)}"


def _since(inspection: Inspection, before: dict[str, str]) -> str:
    now = inspection.listed.get("blake3")
    if now is None:
        return ""
    both = (set(before) & set(now)) - _OF_THE_SEAL
    parts = {
        "changed": [path for path in both if before[path] != now[path]],
        "added": [path for path in now if path not in {*before, *_OF_THE_SEAL}],
        "removed": [path for path in before if path not in now],
    }
    told = [f"{what}: {_names(paths)}" for what, paths in parts.items() if paths]
    same = sum(before[path] == now[path] for path in both)
    return f"Since then {'; '.join(told) or 'nothing changed'}; {same} files are listed as they were"


def _names(paths: Iterable[str]) -> str:
    ordered = sorted(paths)
    more = f" and {len(ordered) - SHOWN_NAMES} more" if len(ordered) > SHOWN_NAMES else ""
    return ", ".join(ordered[:SHOWN_NAMES]) + more


def _journal_claim(inspection: Inspection, expected: str) -> str | None:
    told = _told(inspection, expected)
    if not told:
        return None
    return f"an older seal, as the journal says and nothing else in the archive proves. {told}".rstrip()


def _told(inspection: Inspection, expected: str) -> str:
    """When, how many seals ago and why that seal was opened, as the journal says; empty where it does not."""
    journal = _journal(inspection)
    events = journal.events if journal is not None else ()
    places = [
        place
        for place, each in enumerate(events)
        if each.event == "unsealed" and each.details.get("seal_id") == expected
    ]
    if not places:
        return ""
    after = events[places[-1] :]
    seals = sum(event.event == "sealed" for event in after)
    ago = f"{seals} seal{'s' if seals != 1 else ''} ago" if seals else "not sealed again since"
    return f"It was opened at {after[0].utc:%Y-%m-%dT%H:%M:%SZ} ({ago}): {_why(after)}. "


def _why(events: tuple[JournalEvent, ...]) -> str:
    done: Counter[str] = Counter()
    for event in events[1:]:
        if event.event == "sealed":
            break
        done[_WORK.get(event.event, "")] += 1
    told = [text for text in done if text]
    return ", ".join(told) or "the journal does not say why (the report made anew, or a file changed)"


def _journal(inspection: Inspection) -> JournalContents | None:
    if layout.JOURNAL.pattern not in inspection.sizes:
        return None
    try:
        return parse_journal(inspection.read(layout.JOURNAL.pattern, MAXIMAL_JOURNAL_BYTES))
    except (OSError, ArchiverError):
        return None
