"""What a template gets: the records of the run, and what is derived from them."""

from __future__ import annotations

from typing import Any

from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArchiverError
from archiver.report import tables
from archiver.report.captions import figures
from archiver.report.card import front_matter
from archiver.report.cautions import cautions
from archiver.report.feed_table import feed_table
from archiver.report.folding import fold
from archiver.report.headline import headline
from archiver.report.markdown import Safe
from archiver.report.ml_checklist import answers
from archiver.report.notes import notes, pairs
from archiver.report.published import published
from archiver.report.repetition import repetition
from archiver.report.reproducibility import checklist, score, sources_of_variation
from archiver.report.resources import resources
from archiver.report.snippets import reproduce_snippets, use_snippets
from archiver.report.source_table import source_table
from archiver.report.training_words import machine_sentence, timing_sentence, training_table
from archiver.report.values import is_available
from archiver.report.verdicts import verdicts
from archiver.report.versions import versions
from archiver.report.worker_table import workers_report

INVENTORY_MARK = "<!-- archiver: inventory -->"
SUMMARY_MARK = "<!-- archiver: summary -->"

Records = dict[str, Any]
"""By kind; None where there is none, or where it cannot be read."""


def read_records(run: Run) -> Records:
    """Every record of the run."""
    return {entry.record.KIND: _read(run, entry) for entry in layout.RECORD_FILES}


def context(run: Run, records: Records) -> dict[str, Any]:
    """What a template gets: the records by kind, and what is derived from them; docs/report.md describes every name."""
    return records | _files(run) | _derived(run, records)


def _files(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "status": run.status,
        "model_files": {kind: file.path(run.name) for kind, file in layout.MODEL_FORMATS.items() if run.has(file)},
        "best_weights": layout.BEST_WEIGHTS.path(run.name) if run.has(layout.BEST_WEIGHTS) else None,
        "has_patch": run.has(layout.PATCH),
        "has_submodules_patch": run.has(layout.SUBMODULES_PATCH),
        "inventory": Safe(INVENTORY_MARK),
        "inventory_fold": fold("Every file, with its size and MD5", Safe(INVENTORY_MARK)),
        "summary_mark": Safe(SUMMARY_MARK),
        "is_available": is_available,
    }


def _derived(run: Run, records: Records) -> dict[str, Any]:
    stats, train, system = records["dataset_stats"], records["train_config"], records["system"]
    rows = checklist(records)
    return {
        "front_matter": front_matter(records, run.name),
        "title": _title(run, records),
        "headline": headline(records, run.status),
        "verdicts": verdicts(records, run.status),
        "cautions": cautions(run, records),
        "figures": figures(run, records),
        "notes": notes(records["run"]),
        "published": published(run),
        "use": use_snippets(run, records),
        "test_results": tables.test_tables(records),
        "metrics": tables.metric_table(records),
        "logged": pairs(records["results"].logged if records["results"] is not None else None),
        "splits": tables.data_table(stats),
        "array_values": tables.value_table(stats),
        "data_source": pairs(stats.source if stats is not None else None),
        "source_files": source_table(stats),
        "preprocessing_given": pairs(records["preprocessing"].description if records["preprocessing"] else None),
        "feeds": feed_table(records["preprocessing"], stats),
        "preprocessing_layers": tables.preprocessing_table(records["preprocessing"]),
        "model_facts": tables.model_facts(records),
        "layers": tables.layer_table(records),
        "variables": tables.variable_table(records["weights"]),
        "formats_missing": tables.missing_formats(records["weights"]),
        "training": training_table(records),
        "hyperparameters": pairs(train.phases[-1].hyperparameters if train is not None and train.phases else None),
        "timing": timing_sentence(records["results"]),
        "machine": machine_sentence(system),
        "resources": resources(run, records["telemetry"]),
        "trained_together": workers_report(records["workers"]),
        "repetition": repetition(records["reproduction"]),
        "checklist": rows,
        "reproducibility_score": score(rows),
        "ml_checklist": answers(records),
        "sources_of_variation": sources_of_variation(train),
        "versions": versions(run),
        "reproduce": reproduce_snippets(run, records),
    }


def _title(run: Run, records: Records) -> str:
    return records["run"].name.original if records["run"] is not None else run.name


def _read(run: Run, entry: layout.RecordFile[Any]) -> Any:
    try:
        return run.read_if_there(entry)
    except ArchiverError:
        return None
