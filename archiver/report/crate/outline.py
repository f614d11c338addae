"""The whole document: all that the records tell first, the files once their digests are known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from archiver import layout
from archiver.archive.crate_agreement import MAXIMAL_CRATE_FILES
from archiver.archive.status import Status
from archiver.archive.summary import counted
from archiver.report.crate.actions import TRAINING, Scene, add_evaluation, add_training
from archiver.report.crate.files import CrateFile, add_files
from archiver.report.crate.graph import Entity, Graph, Reference, entity, moment, reference
from archiver.report.crate.people import add_license, add_people
from archiver.report.crate.software import add_instrument, entry_of
from archiver.report.markdown import short_name
from archiver.version import __version__

_CRATE = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_CONTEXT = [f"{_CRATE}/context", "https://w3id.org/ro/terms/workflow-run/context"]


@dataclass(frozen=True)
class Outline:
    """A crate without its files."""

    root: Entity
    graph: Graph

    def filled(self, files: Sequence[CrateFile], sealed: datetime) -> bytes:
        """The document; equal arguments give equal bytes.

        Args:
            files: those of the archive but for this document, sorted.
            sealed: when the archive is sealed.
        """
        graph = Graph()
        graph.entities |= self.graph.entities
        # Without results nobody knows when the training ended: not later than now.
        graph.entities[TRAINING] = {"endTime": moment(sealed)} | graph.entities[TRAINING]
        listed = _listed(files)
        more = len(files) - len(listed)
        note = f"; {counted(more, 'file')} of the archive not listed here: the manifests have all" if more else ""
        parts = add_files(graph, listed, note)
        root = entity("./", "Dataset", **self.root, datePublished=moment(sealed), hasPart=parts)
        document = {"@context": _CONTEXT, "@graph": [_descriptor(), root, *graph.entities.values()]}
        return to_json(document, indent=1) + b"\n"


def _descriptor() -> Entity:
    return entity(
        layout.CRATE.pattern, "CreativeWork", conformsTo=reference(_CRATE), about=reference("./"),
        description=f"Written by archiver {__version__}",
    )  # fmt: skip


def _listed(files: Sequence[CrateFile]) -> Sequence[CrateFile]:
    """All, but of very many the first of those that the user added."""
    added = [file for file in files if layout.ADDED_FILES.matches(file.path, "")]
    too_many = {file.path for file in added[max(0, len(added) - (len(files) - MAXIMAL_CRATE_FILES)) :]}
    return files if len(files) <= MAXIMAL_CRATE_FILES else [file for file in files if file.path not in too_many]


def outline(
    name: str, status: Status, records: dict[str, Any], paths: Collection[str], entry_swhid: str | None
) -> Outline:
    """All of a crate but its files.

    Args:
        name: of the run.
        status: of the run.
        records: by kind; None where there is none.
        paths: of the files of the archive, as far as they are there already.
        entry_swhid: Software Heritage identifier of the script that was started, where the archive has it.
    """
    run = records["run"]
    notes = run.notes if run is not None and isinstance(run.notes, dict) else {}
    graph = Graph()
    profile = graph.add(_PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")
    agents, publisher = add_people(graph, notes)
    instrument = add_instrument(graph, records, entry_of(records, paths), entry_swhid)
    scene = Scene(name, status, records, paths, agents, instrument)
    training, parents = add_training(graph, scene)
    evaluation = add_evaluation(graph, scene)
    root = _root(name, status, records) | {
        "conformsTo": profile,
        "license": add_license(graph, notes),
        "author": agents,
        "publisher": publisher,
        "isBasedOn": parents,
        "mentions": [training, *_first(evaluation)],
        "variableMeasured": evaluation[1] if evaluation is not None else [],
    }
    return Outline(root, graph)


def _first(evaluation: tuple[Reference, list[Reference]] | None) -> list[Reference]:
    return [] if evaluation is None else [evaluation[0]]


def _root(name: str, status: Status, records: dict[str, Any]) -> Entity:
    run, results = records["run"], records["results"]
    created = run.created if run is not None else results.started if results is not None else None
    title = run.name.original if run is not None else name
    return {
        "name": f"{title}, trained {created:%Y-%m-%d %H:%M:%S} UTC" if created is not None else title,
        "description": _description(status, records),
        "dateCreated": moment(created) if created is not None else None,
        "keywords": ", ".join(dict.fromkeys(["Keras", *(run.tags if run is not None else ())])),
    }


def _description(status: Status, records: dict[str, Any]) -> str:
    model, results = records["model_config"], records["results"]
    what = f"the Keras model {model.name} ({short_name(model.class_name)})" if model is not None else "a Keras model"
    told = [f"A training run of {what}"]
    told += [f"{counted(results.epoch_count, 'epoch')}"] if results is not None else []
    told.append(f"status: {status.status}{f' ({status.stop_reason})' if status.stop_reason else ''}")
    return f"{'; '.join(told)}. Records, models, source, environment and a journal; README.md is the report."
