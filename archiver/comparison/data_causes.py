"""What differs in the data: samples, their order, how they are fed."""

from __future__ import annotations

from typing import Any

from archiver.collect.splits import role_and_phase
from archiver.comparison.differences import Cause, Found, Gap, Rank, canonical, value_text, value_texts
from archiver.comparison.facts import (
    Facts,
    Topic,
    differing,
    digest_of,
    fact,
    flat,
    known,
    merged,
    plain,
    reason_of,
    short,
)
from archiver.records.dataset import ArrayPart, DatasetStats, SplitPart
from archiver.records.training import Preprocessing

RECORD = "dataset_stats"
_RANKS = {"train": Rank.TRAINING_DATA, "validation": Rank.VALIDATION_DATA, "test": Rank.TEST_DATA}
_MEANING = {
    "train": "the model was trained on other data",
    "validation": "decides val_ metrics, the best epoch, early stopping and schedules that watch them",
    "test": "decides the test results alone",
}
_FEED = Topic("data", Rank.CONFIGURATION, "how the data reach the model")
_FEED_SEED = Topic("seeds", Rank.SEED, "decides the order of the samples or their augmentation")
_FILES = Topic("data", Rank.ORDER_OF_DATA, "the files the data came from")
_PREPROCESSING = Topic("configuration", Rank.CONFIGURATION, "decides what the model is given")
_STATISTICS = ("minimum", "maximum", "mean", "standard_deviation", "missing")


def causes_in_data(before: DatasetStats, after: DatasetStats) -> Found:
    """The splits one by one, then the files they came from."""
    for name in merged(before.splits, after.splits):
        yield from _split(name, before.splits.get(name), after.splits.get(name))
    yield from differing(RECORD, _files(before), _files(after))


def _split(name: str, before: SplitPart | None, after: SplitPart | None) -> Found:
    role, _ = role_and_phase(name)
    topic = Topic("data", _RANKS.get(role, Rank.VALIDATION_DATA), _MEANING.get(role, ""))
    place = f"{RECORD}#/splits/{name}"
    if before is None or after is None:
        texts = tuple(None if part is None else value_text(part.sample_count) + " samples" for part in (before, after))
        yield Cause("data", f"{name} data", texts[0], texts[1], topic.rank, topic.why, place)
        return
    yield from _samples(name, before, after, topic, place)
    counts = [(fact(topic, f"{name} samples", part.sample_count, "splits", name),) for part in (before, after)]
    yield from differing(RECORD, *counts)
    yield from differing(RECORD, _feed(name, before), _feed(name, after))


def _samples(name: str, before: SplitPart, after: SplitPart, topic: Topic, place: str) -> Found:
    """By the fingerprint, which does not see their order, else by the digests of the arrays."""
    marks = [known(part.samples_fingerprint) for part in (before, after)]
    arrays = [_digests(part) for part in (before, after)]
    if None not in marks and marks[0] != marks[1]:
        why = f"{topic.why}: {_changes(before, after)}" if arrays[0] and arrays[1] else topic.why
        yield Cause("data", f"{name} data", short(marks[0]), short(marks[1]), topic.rank, why, place)
    elif arrays[0] and arrays[1] and arrays[0] != arrays[1]:
        same = None not in marks
        what = "the same samples, in another order or with other weights" if same else topic.why
        rank = Rank.ORDER_OF_DATA if same and topic.rank == Rank.TRAINING_DATA else topic.rank
        why = f"{what}: {_changes(before, after)}"
        yield Cause("data", f"{name} data", digest_of(arrays[0]), digest_of(arrays[1]), rank, why, place)
    elif None in marks and not (arrays[0] and arrays[1]):
        yield _unknown(name, before, after)


def _unknown(name: str, before: SplitPart, after: SplitPart) -> Gap:
    reasons = [reason_of(part.samples_fingerprint) for part in (before, after)]
    side: Any = "both" if all(reasons) else "before" if reasons[0] else "after"
    return Gap(side, f"{name} data", next(filter(None, reasons), None) or "the arrays were not read")


def _arrays(part: SplitPart) -> dict[str, ArrayPart]:
    return {each.name: each for each in known(part.arrays) or ()}


def _digests(part: SplitPart) -> dict[str, str]:
    """By array; empty where not all of them are known."""
    found = {name: known(each.sha256) for name, each in _arrays(part).items()}
    return found if all(found.values()) else {}


def _changes(before: SplitPart, after: SplitPart) -> str:
    """Which arrays differ and how, in words."""
    old, new = _arrays(before), _arrays(after)
    texts = []
    for name in merged(old, new):
        if name not in old or name not in new:
            texts.append(f"{name} is {'new' if name in new else 'gone'}")
        elif old[name].sha256 == new[name].sha256:
            texts.append(f"{name} is the same")
        else:
            texts.append(f"{name} differs{_how(old[name], new[name])}")
    return "; ".join(texts)


def _how(before: ArrayPart, after: ArrayPart) -> str:
    for what in ("dtype", "shape", *_STATISTICS):
        one, other = (known(getattr(part, what)) for part in (before, after))
        if None not in (one, other) and canonical(plain(one)) != canonical(plain(other)):
            texts = value_texts(plain(one), plain(other))
            return f" ({what.replace('_', ' ')} {texts[0]}, now {texts[1]})"
    return ""


def _feed(name: str, part: SplitPart) -> Facts:
    yield fact(_FEED, f"{name} data set", part.kind, "splits", name, "kind")
    pipeline, loader = known(part.pipeline), known(part.loader)
    for place, each in enumerate(pipeline.operations if pipeline is not None else ()):
        subject = f"{name} pipeline {place + 1}"
        yield fact(_FEED, subject, each.operation, "splits", name, "pipeline", "operations", place)
        for key, value in each.settings.items():
            topic = _FEED_SEED if "seed" in key else _FEED
            yield fact(topic, f"{subject}.{key}", value, "splits", name, "pipeline", "operations", place, key)
    for key, value in loader.model_dump(mode="json").items() if loader is not None else ():
        if key == "attributes":
            for attribute, content in value.items():
                topic = _FEED_SEED if "seed" in attribute else _FEED
                yield from flat(topic, f"{name} data set.{attribute}", content, "splits", name, "loader", attribute)
        elif key != "max_queue_size":
            yield fact(_FEED, f"{name} data set.{key}", value, "splits", name, "loader", key)


def _files(record: DatasetStats) -> Facts:
    """Where the content was read, its digest; else that of names and sizes."""
    for place, part in enumerate(known(record.source_files) or ()):
        for field in ("sha256", "manifest_sha256", "listing_sha256"):
            digest = known(getattr(part, field, None))
            if digest is not None:
                yield fact(_FILES, f"files {part.name or '(source)'}", short(digest), "source_files", place, field)
                break


def causes_in_preprocessing(before: Preprocessing, after: Preprocessing) -> Found:
    """What the user said of it, layers of the model that prepare data, what data sets say of themselves."""
    yield from differing("preprocessing", _preprocessing(before), _preprocessing(after))


def _preprocessing(record: Preprocessing) -> Facts:
    yield from flat(_PREPROCESSING, "preprocessing", record.description, "description")
    for place, layer in enumerate(record.layers):
        subject = f"preprocessing layer {place + 1} {layer.class_name.rsplit('.', 1)[-1]}"
        config = (
            {key: value for key, value in layer.config.items() if key != "name"}
            if isinstance(layer.config, dict)
            else {}
        )
        yield fact(_PREPROCESSING, subject, digest_of(config), "layers", place, "config")
        learned = Topic("data", Rank.FOLLOWING, "what the layer learned from the data it was adapted to")
        yield fact(learned, f"{subject} learned", digest_of(layer.learned), "layers", place, "learned")
    for name, told in record.data_sets.items():
        for each in flat(_FEED, f"{name} data set", told, "data_sets", name):
            yield (
                fact(_FEED_SEED, each.subject, each.value, "data_sets", name) if each.subject.endswith("seed") else each
            )
