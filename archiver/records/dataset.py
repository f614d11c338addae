"""What a model was trained on."""

from typing import ClassVar, Literal

from pydantic import Field

from archiver.records.base import Count, Json, Part, Real, Record, Sha256, Unavailable
from archiver.records.data_source import DataSource

DataKind = Literal["arrays", "array_batches", "windows", "tf_data", "pydataset", "generator", "other"]
"""`windows`: a data set of `archiver.data.window_batches`, which reads from disk."""


class ChannelsPart(Part):
    """Windows by channel, their second axis; each list has one number per channel, at most 1000."""

    channel_count: Count
    mean: tuple[Real, ...]
    """Of the finite elements, in float64."""
    standard_deviation: tuple[Real, ...]
    """Of the finite elements, in float64, divided by n."""
    minimum: tuple[Real, ...]
    """Of the elements that are not NaN; Infinity without any."""
    maximum: tuple[Real, ...]
    """Of the elements that are not NaN; -Infinity without any."""
    missing: tuple[Count, ...]
    infinite: tuple[Count, ...]


class QuantilesPart(Part):
    """Quantiles of the finite elements: for a share s of n elements, the one of rank ceil(s n)."""

    values: dict[str, Real]
    """By share, such as `0.5`; NaN without elements."""
    relative_error: Real
    """By how much a value may differ from that element, relative to it: 0 for whole numbers of up to 16 bits, else
    2**-10, as elements are counted by the upper 18 bits of their float32."""


class ArrayPart(Part):
    """One array or tensor of a data set."""

    name: str
    """Its key or position: `x`, `x/image`, `y/0`, `sample_weight`."""
    shape: tuple[int | None, ...]
    """With the samples as first axis; None where it is not fixed."""
    dtype: str
    minimum: Real | Unavailable
    """Of the elements that are not NaN; true is 1."""
    maximum: Real | Unavailable
    mean: Real | Unavailable
    """Of the finite elements, in float64."""
    standard_deviation: Real | Unavailable
    """Of the finite elements, in float64: the root of the mean squared distance from the mean (divided by n)."""
    missing: Count | Unavailable
    """Elements that are NaN; for times, NaT."""
    infinite: Count | Unavailable
    """Elements that are plus or minus infinity."""
    zero_share: Real | Unavailable
    """Elements that are 0, as a share of all."""
    sha256: Sha256 | Unavailable
    """Of all bytes, little-endian, C order."""
    channels: ChannelsPart | None = None
    """Of windows that are read from disk."""
    quantiles: QuantilesPart | None = None
    """Of windows that are read from disk."""


class ClassDistribution(Part):
    """How the samples fall into classes, by one target."""

    kind: Literal["classes", "one_hot", "multi_label"]
    """Class numbers; rows of one 1 among zeros; rows of any number of ones among zeros."""
    class_count: Count
    """Different class numbers that occur; for rows, their length."""
    sample_count: Count
    majority_class: str | None
    """The class of the most samples, the smallest number among equals; None without samples."""
    majority_share: Real
    """Samples of that class as a share of all: the accuracy of always answering with it (not for `multi_label`)."""
    imbalance_ratio: Real
    """Samples of the largest class divided by those of the smallest; Infinity where a column of rows is always 0."""
    normalised_entropy: Real
    """-sum(p ln p) / ln(class_count), p a class's count divided by the sum of all counts: 1 where all classes are of
    one size, 0 where there is one class only. Shannon's entropy; the ratio is Pielou's evenness."""
    labels_per_sample: Real
    """Mean number of ones in a row (label cardinality); 1 where a sample has one class."""
    counts: dict[str, Count]
    """Samples per class number, in the order of the numbers; for `multi_label`, samples in which it is 1."""


class PassPart(Part):
    """Passes through a data set that were alike, one after the other."""

    pass_count: Count
    batch_count: Count
    """Batches in each of them."""
    sample_count: Count | Unavailable
    """Samples in each of them."""


class BatchesPart(Part):
    """Batches of a data set that only Python can see, counted and described as they passed on their way to the model.

    Data sets read ahead: some batches may have been drawn that were not trained on.
    """

    batch_count: Count
    """Batches that passed, over all epochs."""
    sample_count: Count | Unavailable
    described_batch_count: Count
    """As many as fitted into a hundredth of the time; always the first. `arrays` and `classes` describe these."""
    described_sample_count: Count
    """Of a large batch, the first samples only."""
    passes: tuple[PassPart, ...]
    """Each time the data set was begun: an epoch, unless `steps_per_epoch` cuts it. At most 50, alike ones together."""
    batch_sizes: dict[str, Count]
    """Batches by their number of samples; at most 20 sizes, all others as `other`."""
    batch_shapes: dict[str, tuple[tuple[int, ...], ...]]
    """Per array, the different shapes of the described batches, in the order they came; at most 10."""
    arrays: tuple[ArrayPart, ...]
    """Over the described samples; None in a shape where the batches differ."""
    classes: dict[str, ClassDistribution | Unavailable]
    """By target, over the described samples."""
    seconds: Real
    """Time that counting and describing took, in the way of the training."""
    note: str | None = None


class OperationPart(Part):
    """One step of a tf.data pipeline."""

    depth: Count
    """0 for the data set itself; an operation's inputs stand after it, one deeper."""
    operation: str
    """TensorFlow's class, such as `_ShuffleDataset`."""
    settings: dict[str, Json]
    """What it was made with, such as `buffer_size`, `seed`, `num_parallel_calls`; functions by name."""


class PipelinePart(Part):
    """A tf.data pipeline, as far as it can be told without running it."""

    cardinality: Count | Literal["infinite", "unknown"]
    """Elements, which are batches after `batch`."""
    element_spec: Json
    """The structure of an element; each leaf has `type`, `shape` and `dtype`."""
    options: dict[str, Json]
    """`dataset.options()`: all that are set, over the whole pipeline; TensorFlow decides the others."""
    operations: tuple[OperationPart, ...]
    """From the data set back to its sources; at most 100."""
    left_out_count: Count = 0
    """Operations beyond them."""


class LoaderPart(Part):
    """A data set written in Python."""

    function: str | None = None
    """A generator's name."""
    workers: Count | None = None
    use_multiprocessing: bool | None = None
    max_queue_size: Count | None = None
    attributes: dict[str, Json] = Field(default_factory=dict)
    """Public attributes of a PyDataset; numbers and short texts as they are, arrays by shape, other objects by type.
    At most 50; what looks like a secret is taken out."""
    left_out_count: Count = 0
    """Attributes beyond them."""


class GroupsPart(Part):
    """The groups of one kind, such as `subject`, that the windows of a split belong to."""

    group_count: Count
    counts: dict[str, Count]
    """Windows by group, the first 1,000 groups by name."""
    left_out_count: Count = 0
    """Groups beyond them."""


class SplitPart(Part):
    """Training, validation or test data."""

    kind: DataKind
    type: str
    """Qualified name of the object's class."""
    same_as: str | None = None
    """An earlier split of the very same objects, which is not described again: same memory, shapes and dtypes, and a
    check of 64 samples spread over it agrees."""
    sample_count: Count | Unavailable
    batch_count: Count | None = None
    batch_size: Count | None = None
    """Samples in a batch, where it is fixed."""
    samples_fingerprint: Sha256 | Unavailable
    """Of the samples in whatever order: SHA-256 over the sample hashes, sorted as numbers, each of 8 bytes
    little-endian. A sample's hash covers its inputs and targets (not its weight); `schemas/README.md` defines it."""
    arrays: tuple[ArrayPart, ...] | Unavailable
    pipeline: PipelinePart | Unavailable | None = None
    """Of tf.data."""
    loader: LoaderPart | Unavailable | None = None
    """Of a PyDataset or a generator; of `archiver.data.array_batches`, what it was made with."""
    batches: BatchesPart | Unavailable | None = None
    """What passed on its way to the model; None for arrays, which are known in full."""
    groups: dict[str, GroupsPart] | None = None
    """Of windows, by kind of group; None for other data."""
    note: str | None = None
    classes: dict[str, ClassDistribution | Unavailable] | Unavailable
    """By target, for integer labels of at most 10,000 classes, labels 0 and 1, and rows of zeros and ones."""

    @property
    def class_counts(self) -> dict[str, int] | Unavailable:
        """Samples per class number, where there is one target and it has classes."""
        if isinstance(self.classes, Unavailable):
            return self.classes
        if len(self.classes) != 1:
            return Unavailable(unavailable=f"there are {len(self.classes)} targets")
        (only,) = self.classes.values()
        return only if isinstance(only, Unavailable) else only.counts


class DuplicatesPart(Part):
    """Samples that stand in the data more than once, told by the hash of their inputs.

    Two different samples have the same hash with a chance of 2**-64: among a million times a million, 5e-8.
    """

    count: Count
    """Within a split: samples that repeat an earlier one. Between two: samples of the second that are in the first."""
    share: Real
    """`count` divided by the samples of the (second) split; 0 without samples."""
    conflicting_count: Count | Unavailable
    """Within a split: different inputs that occur with more than one target. Between two: of `count`, those of which
    no sample in the first split has the same target."""
    first_pairs: tuple[tuple[Count, Count], ...]
    """Positions of the first ten: (earlier sample, its repetition), or (sample of the first split, of the second)."""


class DuplicatesTable(Part):
    """Duplicates within the splits and between them. A sample in two splits is a leak."""

    within: dict[str, DuplicatesPart | Unavailable]
    """By split."""
    between: dict[str, dict[str, DuplicatesPart | Unavailable]]
    """By first and second split, of which the second should not know the first: training and validation data of the
    same phase, and test data with either."""


class SharedGroupsPart(Part):
    """Groups of one kind that two splits have in common: for subjects or recordings, a leak."""

    count: Count
    first: tuple[str, ...]
    """The first ten by name."""


class DatasetStats(Record):
    """`results/<name>_dataset_stats.json`."""

    KIND: ClassVar[str] = "dataset_stats"
    kind: Literal["dataset_stats"] = "dataset_stats"
    total_sample_count: Count | Unavailable
    """Over all splits, those with `same_as` left out."""
    ratios: dict[str, Real] | Unavailable
    """Share of each split in all samples, where every count is known; splits with `same_as` left out."""
    duplicates: DuplicatesTable
    shared_groups: dict[str, dict[str, dict[str, SharedGroupsPart]]] = Field(default_factory=dict)
    """By first and second split, as in `duplicates.between`, and by kind of group that both tell."""
    class_names: tuple[str, ...] | None = None
    source: Json = None
    """What the user said with `dataset_source=`."""
    source_files: tuple[DataSource, ...] | Unavailable = Unavailable(unavailable="no file or folder was named")
    """The files and folders that `source` names, and what the data sets tell of theirs."""
    splits: dict[str, SplitPart]
    """By name: `train`, `validation`, `test`; those of a later call of `fit` bear the number of its phase, as all
    records count them: `train_phase_1`, `validation_phase_1`, ..."""
