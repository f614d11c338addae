"""What the report of a run says that `archiver reproduce` made: the verdict, and how it came about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archiver.archive.summary import counted
from archiver.records.reproduction import ReproductionRecord
from archiver.report.markdown import Safe, format_number, markdown_text

_SENTENCES = {
    "identical": "**Identical**: {}.",
    "equivalent": "**Equivalent**: {}.",
    "diverged": "**Diverged**: {}.",
    "not comparable": "**Not comparable**: {}.",
}
MAXIMAL_CAUSES = 10


@dataclass(frozen=True)
class Repetition:
    """The section's content."""

    name: str
    """Of the run that was run again."""
    sentence: Safe
    facts: tuple[tuple[str, Safe], ...]
    expected: tuple[str, ...]
    """What was known beforehand to keep bits from being equal."""
    causes: tuple[str, ...]


def repetition(record: ReproductionRecord | None) -> Repetition | None:
    """The section; None for a run that is no repetition."""
    if record is None:
        return None
    verdict = record.verdict
    sentence = _SENTENCES[verdict.judgement].format(markdown_text(verdict.summary))
    causes = [] if verdict.judgement == "identical" else verdict.causes[:MAXIMAL_CAUSES]
    return Repetition(
        name=record.original.name,
        sentence=Safe(sentence),
        facts=tuple((what, Safe(text)) for what, text in _facts(record)),
        expected=record.expected_differences,
        causes=tuple(f"{cause.kind}: {cause.text}" for cause in causes),
    )


def _facts(record: ReproductionRecord) -> Iterator[tuple[str, str]]:
    verdict, source, environment = record.verdict, record.source, record.environment
    yield "seal of the original", f"`{record.original.seal_id}`"
    yield "compared", markdown_text(", ".join(verdict.compared))
    if verdict.not_compared:
        yield "not compared", markdown_text("; ".join(verdict.not_compared))
    if verdict.first_divergence is not None:
        yield "first difference", markdown_text(verdict.first_divergence)
    if verdict.largest_difference is not None:
        each = verdict.largest_difference
        of = f"{format_number(each.difference)}, {format_number(each.excess)} of what is tolerated"
        yield "largest difference", f"{markdown_text(each.where)}: {of}"
    origin = f"commit `{source.commit[:12]}`" if source.commit else "the copies in the archive"
    yield "source", origin + (", with what was not committed" if source.patch_applied else "")
    made = "made from the recorded packages" if environment.kind == "rebuild" else "the one at hand"
    count = len(environment.differences)
    of_all = f" of {counted(environment.packages_compared, 'package')}"
    yield "environment", f"{made}; {count or 'none'}{of_all} {'differs' if count == 1 else 'differ'}"
    for each_path, place in record.data_paths.items():
        yield "data that had moved", f"{markdown_text(each_path)}: {markdown_text(place)}"
