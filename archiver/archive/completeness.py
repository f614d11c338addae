"""Which files an archive must have, by how far the run came, and which of them the journal excuses."""

from __future__ import annotations

from collections.abc import Collection

from archiver import layout
from archiver.layout import ArchiveFile
from archiver.storage.journal import JournalContents, events_named


def missing_files(journal: JournalContents | None, name: str, paths: Collection[str]) -> list[ArchiveFile]:
    """The entries that a sealed archive of the run `name` must have and that are not among its `paths`.

    What the journal says failed to be written is not missing. Without a journal nobody knows how far the run came.
    """
    needs = {"always", "sealed"} | ({"complete"} if journal is not None and was_completed(journal) else set())
    excused = excused_files(journal) if journal is not None else set()
    return [
        entry
        for entry in layout.all_files()
        if entry.need in needs and entry.path(name) not in excused and not _is_there(entry, name, paths)
    ]


def _is_there(entry: ArchiveFile, name: str, paths: Collection[str]) -> bool:
    if "*" not in entry.pattern:
        return entry.path(name) in paths
    return any(entry.matches(path, name) for path in paths)


def was_completed(journal: JournalContents) -> bool:
    """Whether a training of this run reached its end."""
    return any(event.details.get("status") == "complete" for event in events_named(journal, "status"))


def excused_files(journal: JournalContents) -> set[str]:
    """Paths of files of which the journal says that they could not be written, or were left out of a public copy."""
    files = (event.details.get("file") for event in events_named(journal, "step_failed"))
    published = [event.details.get("left_out_files") for event in events_named(journal, "published")]
    left_out = (file for each in published if isinstance(each, dict) for file in each)
    return {file for file in (*files, *left_out) if isinstance(file, str)}
