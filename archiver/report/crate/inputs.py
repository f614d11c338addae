"""What went into the actions: data by their fingerprints, settings, and the runs whose weights were gone on from."""

from __future__ import annotations

from typing import Any

from archiver.report.card import dataset_name
from archiver.report.crate.graph import Graph, Reference, first_values, local
from archiver.report.values import known, split_title

MAXIMAL_SOURCES = 20

_CONTENT = {"file": "sha256", "folder": "manifest_sha256"}


def add_data(graph: Graph, records: dict[str, Any], *, tested: bool) -> list[Reference]:
    """The data that one action read: test data, or all others with the files they came from."""
    stats = records["dataset_stats"]
    if stats is None:
        return []
    name = dataset_name(records)
    splits = [(key, split) for key, split in stats.splits.items() if key.startswith("test") == tested]
    found = [_add_split(graph, key, split, name) for key, split in first_values(splits)]
    return found if tested else [*found, *_add_sources(graph, known(stats.source_files, ()))]


def _add_split(graph: Graph, key: str, split: Any, name: str) -> Reference:
    fingerprint = known(split.samples_fingerprint)
    count = known(split.sample_count)
    told = [f"{split_title(key)} data, not in the archive", split.type]
    told += [f"{count} samples"] if count is not None else []
    told += [f"the same as {split.same_as}"] if split.same_as else []
    told += [_array_text(array) for array in known(split.arrays, ())]
    identifier = graph.value(
        local("data", key, "fingerprint"), "samples fingerprint", fingerprint,
        "SHA-256 over the sorted hashes of the samples; schemas/README.md of archiver defines it",
    ) if fingerprint else None  # fmt: skip
    return graph.add(
        local("data", key), "CreativeWork", name=f"{split_title(key)} data: {name}", description="; ".join(told),
        identifier=identifier,
    )  # fmt: skip


def _array_text(array: Any) -> str:
    shape = " x ".join("any" if axis is None else str(axis) for axis in array.shape)
    return f"{array.name} {array.dtype} ({shape})"


def _add_sources(graph: Graph, sources: Any) -> list[Reference]:
    return [
        _add_source(graph, number, source)
        for number, source in enumerate(sources[:MAXIMAL_SOURCES], start=1)
        if source.kind in _CONTENT
    ]


def _add_source(graph: Graph, number: int, source: Any) -> Reference:
    digest = known(getattr(source, _CONTENT[source.kind]))
    what = {"file": "SHA-256 of the file", "folder": "SHA-256 of the manifest of the folder"}[source.kind]
    value = graph.value(local("source", number, "sha256"), "sha256", digest, what) if digest else None
    description = f"the {source.kind} that data came from, not in the archive"
    return graph.add(
        local("source", number), "CreativeWork", name=source.path, description=description, identifier=value
    )


def add_settings(graph: Graph, records: dict[str, Any]) -> list[Reference]:
    """The settings of the last phase, and the hyper-parameters that the user gave."""
    train, optimizer = records["train_config"], records["optimizer_config"]
    last = train.phases[-1] if train is not None and train.phases else None
    settings = _settings(last, optimizer.phases[-1] if optimizer is not None and optimizer.phases else None)
    found = [graph.value(local("setting", name), name, value) for name, value in settings]
    given = last.hyperparameters if last is not None else None
    pairs = given.items() if isinstance(given, dict) else [("hyperparameters", given)] if given is not None else []
    return found + [graph.value(local("hyperparameter", name), str(name), value) for name, value in first_values(pairs)]


def _settings(phase: Any, optimizer: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    if phase is not None:
        seed = known(phase.seed)
        found += [("epochs", known(phase.epochs)), ("batch_size", known(phase.batch_size)), ("loss", phase.loss)]
        found += [("seed", seed.seed if seed is not None else None)]
    if optimizer is not None:
        found += [("optimizer", optimizer.name), ("learning_rate", known(optimizer.learning_rate))]
    return [(name, value) for name, value in found if value is not None]


def add_parents(graph: Graph, results: Any) -> list[Reference]:
    """The runs that this one went on from, each with the digest of the weights and its seal."""
    parents = results.parents if results is not None else ()
    return [_add_parent(graph, number, parent) for number, parent in enumerate(parents, start=1)]


def _add_parent(graph: Graph, number: int, parent: Any) -> Reference:
    how = f"training began with its {parent.weights} weights" if parent.weights else "stated; its weights are others"
    identifiers = [
        graph.value(local("parent", number, name), name.replace("-", " "), value, what)
        for name, value, what in (
            ("weights-digest", parent.weights_digest, "of the weights that training began with"),
            ("seal-id", parent.seal_id, "of the archive of that run: SHA-256 of its manifest-blake3.txt"),
        )
        if value is not None
    ]
    return graph.add(
        local("parent", number), "CreativeWork", name=f"run {parent.run}", alternateName=parent.folder,
        description=f"a run that this one went on from: {how}", identifier=identifiers,
    )  # fmt: skip
