"""What a data set tells of the files it is made from, as those of `keras.utils.image_dataset_from_directory` do.

Only plain attributes of the object are looked at; nothing is iterated, no property of the user's is run.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archiver.collect.data_paths import is_address, visible
from archiver.records.base import Unavailable
from archiver.records.data_source import ListedFilesPart

MAXIMAL_CLASSES = 10_000
_SAMPLE_COUNT = 100
_NOT_TOLD = Unavailable(unavailable="the data set does not tell (what .map, .prefetch and the like return never does)")


@dataclass(frozen=True)
class ListedFiles:
    """The attributes `class_names` and `file_paths` of a data set, where it has them."""

    split: str
    class_names: tuple[str, ...] | None
    file_paths: Sequence[str] | None


def listed_files(split: str, data_set: Any) -> ListedFiles | None:
    """What the data set of a split tells; None if that is nothing."""
    try:
        attributes = vars(data_set)
    except TypeError:
        return None
    names, paths = attributes.get("class_names"), attributes.get("file_paths")
    class_names = tuple(names) if _is_texts(names) and len(names) <= MAXIMAL_CLASSES else None
    file_paths = paths if _is_texts(paths) else None
    if class_names is None and file_paths is None:
        return None
    return ListedFiles(split, class_names, file_paths)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(item, str) for item in value)


def names_classes(listed: ListedFiles, output_width: int | None) -> bool:
    """Whether its class names surely are the names of the class numbers 0, 1, ...

    With labels of the user's own, Keras gives as `class_names` the labels themselves, which need not count from 0.

    Args:
        listed: what the data set tells.
        output_width: of the model's only output; None if not known.
    """
    names = listed.class_names
    if names is None or len(set(names)) < len(names):
        return False
    if output_width is not None and output_width != len(names) and (output_width, len(names)) != (1, 2):
        return False
    if names == tuple(str(number) for number in range(len(names))):
        return True
    if listed.file_paths is None:
        return not all(name.isdecimal() for name in names)
    known = set(names)
    return all(known.intersection(path.split("/")) for path in listed.file_paths[:_SAMPLE_COUNT])


def common_folder(listed: ListedFiles) -> str | None:
    """The folder that all files are in, absolute, above the folders of classes; None if they are on no disk."""
    paths = listed.file_paths
    if paths is None or is_address(paths[0]):
        return None
    folders = [os.path.dirname(os.path.abspath(path)) for path in (min(paths), max(paths))]
    try:
        folder = os.path.commonpath(folders)
    except ValueError:
        return None
    is_class = len(set(folders)) == 1 and os.path.basename(folder) in (listed.class_names or ())
    return os.path.dirname(folder) if is_class else folder


def describe_listed(listed: ListedFiles, *, names_the_classes: bool) -> ListedFilesPart:
    """The record of what a data set tells. Takes a second for a million files."""
    folder, names = common_folder(listed), listed.class_names
    paths = _relative_paths(listed.file_paths, folder) if listed.file_paths is not None and folder else None
    counts = Counter(path.partition("/")[0] for path in paths or () if "/" in path)
    return ListedFilesPart(
        name=listed.split,
        class_names=_NOT_TOLD if names is None else tuple(visible(name) for name in names),
        names_the_classes=names_the_classes,
        file_count=_NOT_TOLD if listed.file_paths is None else len(listed.file_paths),
        folder=_NOT_TOLD if folder is None else visible(folder),
        class_counts={visible(name): counts[name] for name in names}
        if names is not None and paths is not None and counts.keys() <= set(names) and counts
        else Unavailable(unavailable="its files do not lie in folders named like its classes"),
        listing_sha256=_NOT_TOLD if paths is None else _digest(paths),
    )


def _relative_paths(paths: Sequence[str], folder: str) -> list[str]:
    start = len(folder.rstrip("/")) + 1
    return [os.path.abspath(path)[start:] for path in paths]


def _digest(paths: list[str]) -> str:
    digest = hashlib.sha256()
    for path in sorted(os.fsencode(path) for path in paths):
        digest.update(path + b"\n")
    return digest.hexdigest()
