"""What came of running a run again."""

from typing import ClassVar, Literal

from archiver.records.base import Count, Part, Real, Record, Sha256, Unavailable, UtcTime

Judgement = Literal["identical", "equivalent", "diverged", "not comparable"]
"""`identical`: the same bits; `equivalent`: within tolerances that are stated; `diverged`: neither; `not comparable`:
what would have to be compared is not known of both."""


class OriginalRunPart(Part):
    """The run that was run again."""

    name: str
    path: str
    """Where its archive was."""
    seal_id: Sha256
    created: UtcTime
    weights_digest: Sha256 | Unavailable


class RebuiltSourcePart(Part):
    """How the source tree came about."""

    origin: Literal["repository", "copies"]
    """The recorded commit, or the copies in the archive alone."""
    commit: str | None
    repository: str | None
    """Where the commit was taken from."""
    patch_applied: bool
    """Whether what was not committed was put onto the commit."""
    copied_count: Count
    """Files that were taken from the copies in the archive."""
    replaced_count: Count
    """Of these, files of the commit that were not what had run."""
    notes: tuple[str, ...] = ()
    """What could not be rebuilt, and what was changed to make it run."""


class PackageDifferencePart(Part):
    """A package that is not the recorded one."""

    name: str
    recorded: str | None
    """Version; null: it was not installed then."""
    found: str | None
    """Version; null: it is not installed now."""
    reason: str


class RebuiltEnvironmentPart(Part):
    """The Python and the packages it ran with."""

    kind: Literal["current", "rebuild"]
    """The environment of `archiver reproduce` itself, or one made from the recorded packages."""
    python_version: str
    requirements_sha256: Sha256 | None
    """Of the list of packages that the environment was made from."""
    installer: Literal["uv", "pip"] | None
    packages_compared: Count
    """Recorded packages that were looked for, by version and by the fingerprint of their files."""
    differences: tuple[PackageDifferencePart, ...]


class TolerancesPart(Part):
    """Up to where differences count as equivalent: `absolute` + `relative` times the size of the numbers."""

    absolute: Real
    relative: Real


class LargestDifferencePart(Part):
    """The difference that comes closest to the tolerance, or passes it farthest."""

    what: str
    """Of `weights`, `metrics`, `test metrics` or `predictions`."""
    where: str
    difference: Real
    magnitude: Real
    """Of the numbers themselves; of weights, the norm of the variable."""
    excess: Real
    """The difference as a share of what is allowed: up to 1 is equivalent."""


class CausePart(Part):
    """One input that differs, and so may have made the difference."""

    kind: str
    """Such as `seeds`, `data`, `configuration`, `code`, `packages`, `settings`, `hardware`."""
    text: str
    """What it was, and what it is now."""
    why: str
    """What it means for the results; empty where it speaks for itself."""


class VerdictPart(Part):
    """The comparison of both runs."""

    judgement: Judgement
    summary: str
    compared: tuple[str, ...]
    """What the verdict rests on: the weights, the metrics of every epoch, the predictions."""
    not_compared: tuple[str, ...]
    """What it does not rest on, each with the reason."""
    tolerances: TolerancesPart
    largest_difference: LargestDifferencePart | None
    """null: no number differs."""
    first_divergence: str | None
    """The first epoch, and the step where the traces tell it, at which both differ."""
    causes: tuple[CausePart, ...]
    """The likeliest first."""


class ReproductionRecord(Record):
    """`results/<name>_reproduction.json`: in the archive of a run that `archiver reproduce` made."""

    KIND: ClassVar[str] = "reproduction"
    kind: Literal["reproduction"] = "reproduction"
    created: UtcTime
    original: OriginalRunPart
    command: tuple[str, ...]
    """As it was run."""
    working_directory: str
    source: RebuiltSourcePart
    environment: RebuiltEnvironmentPart
    pinned: dict[str, str | None]
    """Environment variables that were set to what they were, or to what they came to; null: taken away."""
    data_paths: dict[str, str]
    """Data that has moved: where the program looked for it, and where it was."""
    expected_differences: tuple[str, ...]
    """What was known before it ran to stand in the way of equal bits."""
    machine_differences: tuple[str, ...]
    """What else of the machine was not as recorded."""
    exit_code: int
    """Of the program."""
    verdict: VerdictPart
