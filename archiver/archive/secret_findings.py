"""What verifying reports of secrets: those it was asked to search for, and those for which sealing was refused."""

from __future__ import annotations

from archiver.archive.inspection import Inspection
from archiver.archive.secrets import allowed_secrets, message_of, refused_secrets, search_secrets
from archiver.errors import ArchiverError


def check_secrets(inspection: Inspection) -> None:
    """Search everything that holds text; what was allowed when the archive was sealed is no fault."""
    try:
        search = search_secrets(inspection.run)
        allowed = allowed_secrets(inspection.run.journal.read())
    except (ArchiverError, OSError) as error:
        inspection.find("unreadable", "", f"it cannot be searched for secrets: {error}")
        return
    for each in search.findings:
        tell = inspection.inform if (each.file, each.kind) in allowed else inspection.find
        tell("secret", f"{each.file}:{each.line}" if each.line else each.file, f"{each.kind} ({each.hint})")
    for path in search.not_whole:
        inspection.inform("secret", path, "was not searched for secrets to its end: it is too large, or no text")


def say_refused(inspection: Inspection) -> None:
    """Where sealing was refused, say why."""
    try:
        refused = refused_secrets(inspection.run.journal.read())
    except ArchiverError:
        return  # reported with the journal
    if refused:
        inspection.find("not_sealed", "", message_of(inspection.run, refused))
