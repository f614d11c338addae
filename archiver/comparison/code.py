"""What differs in the source: real unified diffs of the files that ran, in bounded time and size."""

from __future__ import annotations

import difflib
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.summary import counted
from archiver.comparison.differences import Cause, Found, Gap, Rank
from archiver.comparison.facts import Topic, differing, fact, known, short
from archiver.errors import ArchiverError
from archiver.records.environment import GitRecord, PatchPart
from archiver.records.source import SourceFilePart, SourceRecord, SourceRole
from archiver.storage.reading import read_below

MAXIMAL_FILE_BYTES = 4 << 20
MAXIMAL_LINES = 2500
"""Of the part of a file between its first and its last difference; larger ones are not compared line by line."""
MAXIMAL_FILES = 200
"""That are compared line by line."""
MAXIMAL_TOKENIZED_BYTES = 1 << 18
"""Of a file whose tokens are compared."""
MAXIMAL_DIFF_LINES = 2000
"""Shown of one file."""
MAXIMAL_ALL_LINES = 10_000
"""Shown of all files."""
MAXIMAL_LINE_LENGTH = 2000
CONTEXT_LINES = 3

Change = Literal["changed", "added", "removed"]
_SOURCE = layout.SOURCE_FILES.pattern.removesuffix("*")
_COMMIT = Topic(
    "code", Rank.UNRELATED, "what ran is compared by content; the commit covers files that may not have run"
)
_LAYOUT = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.ENCODING})


@dataclass(frozen=True)
class FileDifference:
    """One source file that differs."""

    path: str
    """As the program knew it."""
    role: SourceRole | Literal["patch"]
    change: Change
    added_lines: int | None
    """None: the file was not compared line by line."""
    removed_lines: int | None
    only_layout: bool
    """Whether nothing but comments and blank lines differs."""
    diff: tuple[str, ...]
    """Lines of a unified diff, without line feeds."""
    left_out_lines: int
    """Of the diff, for want of room."""
    note: str
    """Why there is no diff, or less of it; else empty."""


Pair = tuple[SourceFilePart | None, SourceFilePart | None]


def differences_in_code(before: Run, after: Run) -> list[FileDifference]:
    """The files that differ, those that ran first; sources that cannot be read are left out.

    Args:
        before: the run the diff goes from.
        after: the run it leads to.
    """
    records = [_read(run) for run in (before, after)]
    if records[0] is None or records[1] is None:
        return []
    changed = _changed(*records)  # type: ignore[arg-type]
    found = [_difference((before, after), pair) for pair in changed[:MAXIMAL_FILES]]
    patch = _patch((before, after))
    return list(_fitting([*sorted(found, key=lambda each: each.role == "untracked"), *([patch] if patch else [])]))


def _read(run: Run) -> SourceRecord | None:
    try:
        return run.read_if_there(layout.SOURCE)
    except ArchiverError:
        return None


def _fitting(found: list[FileDifference]) -> Iterator[FileDifference]:
    room = MAXIMAL_ALL_LINES
    for each in found:
        shown = each.diff[:room]
        room -= len(shown)
        yield replace(each, diff=shown, left_out_lines=each.left_out_lines + len(each.diff) - len(shown))


def pairs(before: SourceRecord, after: SourceRecord) -> list[Pair]:
    """The files of both: what was started with what was started, modules by name, others by path."""
    old, new = ({_key(part): part for part in record.files} for record in (before, after))
    return [(old.get(key), new.get(key)) for key in sorted({*old, *new})]


def _key(part: SourceFilePart) -> tuple[int, str]:
    order = ("entry", "cells", "module", "untracked").index(part.role)
    if part.role in ("entry", "cells"):
        return order, ""
    return order, part.module or part.original_path


def _changed(before: SourceRecord, after: SourceRecord) -> list[Pair]:
    return [(one, other) for one, other in pairs(before, after) if not (one and other and one.sha256 == other.sha256)]


def _difference(runs: tuple[Run, Run], pair: Pair) -> FileDifference:
    before, after = pair
    part = after or before
    assert part is not None
    change: Change = "added" if before is None else "removed" if after is None else "changed"
    try:
        texts = [_text(run, each.path) if each else [] for run, each in zip(runs, pair, strict=True)]
    except (ArchiverError, OSError) as error:
        return FileDifference(part.original_path, part.role, change, None, None, False, (), 0, str(error))
    names = [each.original_path if each else "/dev/null" for each in pair]
    return compared((names[0], names[1]), (texts[0], texts[1]), part.role, change)


def _text(run: Run, path: str) -> list[str]:
    if not path.startswith(_SOURCE):
        raise ArchiverError(f"Received the source file {path[:200]!r}. Expected one in {_SOURCE}.")
    return _lines(read_below(run.path, path, MAXIMAL_FILE_BYTES))


def _lines(data: bytes) -> list[str]:
    """Cut at line feeds alone, as git does; a last line without one is told from one with it."""
    lines = data.decode("utf-8", errors="replace").split("\n")
    if lines[-1]:
        return [*lines[:-1], lines[-1] + "\n\\ No newline at end of file"]
    return lines[:-1]


def compared(
    names: tuple[str, str], texts: tuple[list[str], list[str]], role: SourceRole | Literal["patch"], change: Change
) -> FileDifference:
    """The difference of two texts.

    Args:
        names: what the heads of the diff call them.
        texts: their lines.
        role: of the file.
        change: what became of it.
    """
    name = names[1] if change != "removed" else names[0]
    start, ends = _common(texts)
    middles = [text[start:end] for text, end in zip(texts, ends, strict=True)]
    if max(map(len, middles)) > MAXIMAL_LINES and min(map(len, middles)):
        note = f"{len(middles[0])} and {len(middles[1])} lines are too many to be compared one by one"
        return FileDifference(name, role, change, None, None, False, (), 0, note)
    diff = list(_unified(names, texts, start, ends))
    counts = [sum(line.startswith(sign) for line in diff[2:]) for sign in "+-"]
    lines = [part[:MAXIMAL_LINE_LENGTH] for line in diff[:MAXIMAL_DIFF_LINES] for part in line.split("\n")]
    only_layout = change == "changed" and role != "patch" and _tokens(texts[0]) == _tokens(texts[1]) != None  # noqa: E711
    return FileDifference(
        name, role, change, counts[0], counts[1], only_layout, tuple(lines), max(0, len(diff) - MAXIMAL_DIFF_LINES), ""
    )


def _common(texts: tuple[list[str], list[str]]) -> tuple[int, tuple[int, int]]:
    """Lines that are equal at the beginning, and where those begin that are equal at the end."""
    before, after = texts
    least = min(len(before), len(after))
    start = next((place for place in range(least) if before[place] != after[place]), least)
    rest = least - start
    end = next((place for place in range(rest) if before[-1 - place] != after[-1 - place]), rest)
    return start, (len(before) - end, len(after) - end)


def _unified(
    names: tuple[str, str], texts: tuple[list[str], list[str]], start: int, ends: tuple[int, int]
) -> Iterator[str]:
    """As `difflib.unified_diff`, of what differs and the lines around it; the numbers are those of the whole files."""
    first = max(0, start - CONTEXT_LINES)
    parts = [text[first : end + CONTEXT_LINES] for text, end in zip(texts, ends, strict=True)]
    matcher = difflib.SequenceMatcher(None, parts[0], parts[1])
    yield f"--- {names[0]}"
    yield f"+++ {names[1]}"
    for group in matcher.get_grouped_opcodes(CONTEXT_LINES):
        spans = (group[0][1], group[-1][2]), (group[0][3], group[-1][4])
        yield f"@@ -{_span(first, *spans[0])} +{_span(first, *spans[1])} @@"
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from (f" {line}" for line in parts[0][i1:i2])
                continue
            yield from (f"-{line}" for line in parts[0][i1:i2])
            yield from (f"+{line}" for line in parts[1][j1:j2])


def _span(first: int, start: int, stop: int) -> str:
    """GNU's way to write a range of lines: `begin,length`, the length left out where it is 1."""
    length = stop - start
    begin = first + start + (1 if length else 0)
    return str(begin) if length == 1 else f"{begin},{length}"


def _tokens(lines: list[str]) -> list[tuple[int, str]] | None:
    """What Python reads of a source; None where it is none."""
    if sum(map(len, lines)) > MAXIMAL_TOKENIZED_BYTES or len(lines) > MAXIMAL_TOKENIZED_BYTES:
        return None
    try:
        found = tokenize.generate_tokens(io.StringIO("\n".join(lines) + "\n").readline)
        return [(each.type, each.string) for each in found if each.type not in _LAYOUT]
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _patch(runs: tuple[Run, Run]) -> FileDifference | None:
    """Uncommitted changes, where they differ: what git would show of one and not of the other."""
    path = layout.PATCH.pattern
    texts = []
    for run in runs:
        try:
            texts.append(_lines(read_below(run.path, path, MAXIMAL_FILE_BYTES)))
        except FileNotFoundError:
            texts.append([])
        except (ArchiverError, OSError) as error:
            return FileDifference(path, "patch", "changed", None, None, False, (), 0, str(error))
    if texts[0] == texts[1]:
        return None
    change: Change = "changed" if texts[0] and texts[1] else "removed" if texts[0] else "added"
    return compared((path, path), (texts[0], texts[1]), "patch", change)


def causes_in_code(before: Run, after: Run, code: list[FileDifference] | None = None) -> Found:
    """One cause per file that differs, and what git says."""
    records = _read(before), _read(after)
    if records[0] is not None and records[1] is not None:
        known_paths = {each.path: each for each in code if each.role != "patch"} if code is not None else {}
        changed = _changed(*records)  # type: ignore[arg-type]
        if len(changed) > MAXIMAL_FILES:
            yield Gap("both", "source", f"{len(changed)} files differ; the first {MAXIMAL_FILES} are compared")
        for pair in changed[:MAXIMAL_FILES]:
            part = pair[1] or pair[0]
            assert part is not None
            told = known_paths.get(part.original_path)
            yield _cause(part, pair, told or _difference((before, after), pair))


def _cause(part: SourceFilePart, pair: Pair, difference: FileDifference) -> Cause:
    marks = [short(each.sha256) if each else None for each in pair]
    why, rank = _count(difference), Rank.CODE
    if difference.only_layout:
        why, rank = f"only comments or blank lines: {why}", Rank.UNRELATED
    elif part.role == "untracked":
        why, rank = f"git does not track it, and it is not known to have run: {why}", Rank.UNRELATED
    return Cause("code", f"source {part.original_path}", marks[0], marks[1], rank, why, "source#/files")


def _count(difference: FileDifference) -> str:
    if difference.added_lines is None:
        return difference.note
    return f"{counted(difference.added_lines, 'line')} added, {difference.removed_lines} removed"


def causes_in_git(before: GitRecord, after: GitRecord) -> Found:
    """The commit, and uncommitted changes."""
    facts = []
    for record in (before, after):
        repository = known(record.repository)
        commit = known(repository.commit) if repository is not None else None
        patches = (repository.patch, repository.submodules_patch) if repository is not None else ()
        facts.append([
            fact(_COMMIT, "git commit", short(commit.hash) if commit is not None else None, "repository", "commit"),
            *(
                fact(_COMMIT, name, _patch_mark(known(part)), "repository", "patch")
                for name, part in zip(("uncommitted changes", "changes in submodules"), patches, strict=False)
            ),
        ])  # fmt: skip
    yield from differing("git", *facts)


def _patch_mark(part: PatchPart | None) -> str | None:
    if part is None or not part.size_bytes:
        return None
    return short(known(part.sha256)) or f"{part.size_bytes} bytes"


def gaps_in_code(before: SourceRecord, after: SourceRecord) -> Found:
    """Files that belong to the source and were not copied."""
    for side, record in (("before", before), ("after", after)):
        for part in record.left_out:
            if part.role != "untracked":
                yield Gap(side, f"source {part.original_path}", part.reason)  # type: ignore[arg-type]
