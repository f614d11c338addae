"""Where data came from: the files and folders behind it, and what tells their content apart."""

from typing import Annotated, Literal

from pydantic import Field

from archiver.records.base import Count, Part, Real, Sha256, Unavailable, UtcTime


class PathReasonPart(Part):
    """A file, and what is the matter with it."""

    path: str
    """Relative to the folder, with `/`."""
    reason: str


class SuffixPart(Part):
    """Files whose names end alike."""

    file_count: Count
    total_bytes: Count


class RangePart(Part):
    """Of a whole number, over many images."""

    minimum: Count
    maximum: Count
    mean: Real


class ImageSizePart(Part):
    """How many images have one size, in pixels."""

    width: Count
    height: Count
    image_count: Count


class MismatchPart(Part):
    """An image whose name promises another format."""

    path: str
    format: str
    """By content."""


class DuplicatePart(Part):
    """An image whose bytes are those of an earlier one."""

    path: str
    same_as: str


class DuplicatesPart(Part):
    """Images that are in a folder more than once, compared by all their bytes."""

    image_count: Count
    """Images whose bytes an earlier image has, in the order of the paths."""
    conflicting_count: Count
    """Those of them that lie in another class than that earlier image: labels that contradict each other."""
    between_splits_count: Count
    """Those of them that lie in another split folder (`train`, `test`, ...) than that earlier image."""
    first: tuple[DuplicatePart, ...]
    """The first ones, conflicting ones before others."""


class ImagesPart(Part):
    """The images of a folder.

    An image here is a file with the suffix of an image, as Keras chooses them; in a folder of files without suffix, a
    file without suffix.
    """

    image_count: Count
    class_counts: dict[str, Count] | Unavailable
    """Images below each sub-folder, which is a class for `keras.utils.image_dataset_from_directory`; hidden folders
    are no classes. Where the sub-folders are splits (`train`, `test`, ...), below each of theirs: `train/cat`."""
    inspected_count: Count
    """Images that were read; what follows speaks of them."""
    inspection: Literal["complete"] | Unavailable
    """Or why not all of them were read."""
    formats: dict[str, Count]
    """By content: `JPEG`, `PNG`, `GIF`, `BMP`, `WEBP`, `TIFF`, ...; `unknown` is none of them."""
    width: RangePart | Unavailable
    """In pixels, as stored; an orientation in EXIF is not applied."""
    height: RangePart | Unavailable
    common_sizes: tuple[ImageSizePart, ...] | Unavailable
    """The most frequent ones, the most frequent first."""
    distinct_size_count: Count | Unavailable
    modes: dict[str, Count] | Unavailable
    """As Pillow names them: `RGB`, `L` (grey), `RGBA`, `P` (palette), `CMYK`, ..."""
    animated_count: Count | Unavailable
    """GIF, PNG and WEBP files of more than one picture."""
    mismatch_count: Count
    """Images whose suffix stands for another format than their content has."""
    mismatches: tuple[MismatchPart, ...]
    """The first ones."""
    damaged_count: Count
    """Images that cannot be read, are cut short, or are no images."""
    damaged: tuple[PathReasonPart, ...]
    """The first ones. A fault within the compressed pixels of a JPEG is not found: nothing is decoded."""
    duplicates: DuplicatesPart


class DataFolderPart(Part):
    """A folder. Links in it are not followed; neither digest covers them, nor special files."""

    kind: Literal["folder"] = "folder"
    name: str
    """Where the path stands in `source`, as a JSON pointer (`/train`; empty for the whole value), or
    `<split>.file_paths` where a data set named the files."""
    path: str
    """The home folder as `~`, secrets taken out."""
    resolves_to: str | None = None
    """Where it really is, if a link leads there."""
    listing: Literal["complete"] | Unavailable
    """Or why not every file was seen; the numbers that follow are then those of the files seen."""
    file_count: Count
    """Regular files, hidden ones too, in all sub-folders."""
    total_bytes: Count
    folder_count: Count
    """Sub-folders, at all depths."""
    suffixes: dict[str, SuffixPart]
    """By suffix in lower case, the most frequent first; `(none)`, and `(other)` for the rest."""
    oldest_modified: UtcTime | Unavailable
    newest_modified: UtcTime | Unavailable
    manifest_sha256: Sha256 | Unavailable
    """SHA-256 of a manifest of the folder: `<sha256>  <path>` and a line feed for each readable file, sorted by the
    bytes of the path, names escaped as sha256sum escapes them."""
    listing_sha256: Sha256 | Unavailable
    """SHA-256 of `<size in bytes>  <path>` and a line feed for each file, sorted by the bytes of the path, names as
    they are. It changes with names and sizes, not with content."""
    link_count: Count
    special_count: Count
    """Sockets, FIFOs, devices."""
    unreadable_count: Count
    """Files and folders."""
    unreadable: tuple[PathReasonPart, ...]
    """The first ones."""
    images: ImagesPart | None = None
    """Where most files are images."""


class DataFilePart(Part):
    """A file."""

    kind: Literal["file"] = "file"
    name: str
    """As with folders."""
    path: str
    """The home folder as `~`, secrets taken out."""
    resolves_to: str | None = None
    """Where it really is, if a link leads there."""
    size_bytes: Count
    modified: UtcTime | Unavailable
    format: str
    """By content where that tells, else by suffix: `csv`, `parquet`, `npy`, `npz`, `hdf5`, `tfrecord`, `zip`, ...; or
    `unknown`."""
    sha256: Sha256 | Unavailable


class NotDescribedPart(Part):
    """What was named as a path, and could not be looked at."""

    kind: Literal["not_described"] = "not_described"
    name: str
    """As with folders."""
    path: str
    exists: bool
    reason: str


class ListedFilesPart(Part):
    """What a data set given to `fit` tells of itself, as those of `keras.utils.image_dataset_from_directory` do."""

    kind: Literal["data_set"] = "data_set"
    name: str
    """The split: `train`, `validation`."""
    class_names: tuple[str, ...] | Unavailable
    names_the_classes: bool
    """Whether the record's `class_names` are these: the user gave none."""
    file_count: Count | Unavailable
    folder: str | Unavailable
    """The folder that all its files are in."""
    class_counts: dict[str, Count] | Unavailable
    """Its files below each folder that is named like a class."""
    listing_sha256: Sha256 | Unavailable
    """SHA-256 of the paths of its files relative to that folder, each with a line feed, sorted by bytes: which files
    of a folder are in this split."""


DataSource = Annotated[DataFolderPart | DataFilePart | NotDescribedPart | ListedFilesPart, Field(discriminator="kind")]
