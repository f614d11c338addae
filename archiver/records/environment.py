"""Where a training ran: the machine, Python, the installed packages, the repository.

The user's home folder is written as `~` in every path; secrets are replaced by `[redacted]`; users' names are not
recorded.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from archiver.records.base import Count, Json, Part, Real, Record, Sha256, Unavailable, UtcTime
from archiver.records.framework import FrameworkPart
from archiver.records.machine import (
    ControlGroupPart,
    DiskPart,
    GpusPart,
    MachinePart,
    MemoryPart,
    NumericLibrariesPart,
    OperatingSystemPart,
    PciDevicePart,
    ProcessorPart,
)
from archiver.records.source import CommandPart

CommitHash = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
"""Name of a git commit: SHA-1, or SHA-256 in repositories of that format."""


class LimitPart(Part):
    """A limit of the process, in the unit of `getrlimit`; null: unlimited."""

    soft: int | None
    hard: int | None


class ProcessPart(Part):
    """The process that trained."""

    command: CommandPart | Unavailable
    executable: str | Unavailable
    working_directory: str | Unavailable
    process_id: Count
    started: UtcTime | Unavailable
    parents: tuple[str, ...] | Unavailable
    """Names of the parent process, its parent, and so on."""
    rss_bytes: Count | Unavailable
    """Memory it occupied when it was looked at."""
    thread_count: Count | Unavailable
    open_file_count: Count | Unavailable
    nice: int | Unavailable
    """Its priority: -20 (first) to 19 (last)."""
    scheduler: str | Unavailable
    """The kernel's way to give it time: `other`, `batch`, `idle`, `fifo`, `round robin`, `deadline`."""
    oom_score: Count | Unavailable
    """How likely the kernel is to kill it for want of memory: 0 to 2,000."""
    oom_score_adjustment: int | Unavailable
    """What was added to that: -1,000 (never) to 1,000 (first)."""
    umask: str | Unavailable
    """Permissions that new files do not get, octal."""
    limits: dict[str, LimitPart]
    """By name: `address_space` in bytes, `open_files` in number, ..."""
    control_group: ControlGroupPart | Unavailable


class PythonPart(Part):
    """The interpreter."""

    version: str
    implementation: str
    executable: str | Unavailable
    virtual_environment: Literal["venv", "conda"] | None
    """null: the packages are those of the interpreter's own installation."""
    environment_name: str | None
    """Of the virtual environment: that of conda, or the folder's."""
    prefix: str
    base_prefix: str
    """Differs from `prefix` in an environment made by venv."""
    path: tuple[str, ...]
    """`sys.path`: where modules are looked for, in order."""
    user_site: bool
    """Whether packages that users installed for themselves are looked for, too."""
    customized_by: tuple[str, ...]
    """Modules that ran before the program, unasked: `sitecustomize`, `usercustomize`."""
    build: str
    """The interpreter's own description of its build."""
    compiler: str
    flags: dict[str, Json]
    """`sys.flags` by name."""
    options: dict[str, Json]
    """What `-X` set, by name."""
    warning_options: tuple[str, ...]
    """What `-W` and PYTHONWARNINGS set, in order."""
    hash_seed: Count | Literal["random"]
    """The seed of the hashes of text (`PYTHONHASHSEED`): with `random`, each process orders sets of text anew."""
    recursion_limit: Count
    byte_order: Literal["little", "big"]
    global_interpreter_lock: bool
    traced: bool
    """Whether a debugger, a profiler or a measurement of coverage watched every call of this thread."""
    text_encoding: str
    """Of files that are opened without one."""
    locale: str
    """Language and encoding of numbers, dates and the order of texts, as the program set it."""


class TimeZonePart(Part):
    """Local time."""

    name: str
    offset_seconds: int
    """By which local time was ahead of UTC."""


class SystemRecord(Record):
    """`environment/system.json`: machine, operating system, interpreter and process, when training began."""

    KIND: ClassVar[str] = "system"
    kind: Literal["system"] = "system"
    collected: UtcTime
    operating_system: OperatingSystemPart
    machine: MachinePart
    processor: ProcessorPart
    cpu_details: Annotated[Unavailable | dict[str, Json], Field(union_mode="left_to_right")]
    """What py-cpuinfo found: caches, stepping, frequencies as advertised, ..."""
    memory: MemoryPart | Unavailable
    load_averages: tuple[Real, Real, Real] | Unavailable
    """Processes that ran or waited to run, mean over 1, 5 and 15 minutes."""
    disks: dict[Literal["archive", "working_directory"], DiskPart | Unavailable]
    gpus: GpusPart | Unavailable
    pci_devices: tuple[PciDevicePart, ...] | Unavailable
    """Display and computing devices of any make, whether or not a driver for computing is installed."""
    numeric_libraries: NumericLibrariesPart | Unavailable
    process: ProcessPart
    python: PythonPart
    environment: dict[str, str]
    """The environment variables that decide how a training runs, by an allow-list."""
    time_zone: TimeZonePart
    framework: FrameworkPart | Unavailable
    """Keras and its backend; filled by the training side, which alone may import them."""


class ShadowedPackage(Part):
    """An installed distribution that another one of the same name hides."""

    version: str | Unavailable
    location: str


class PackagePart(Part):
    """One installed distribution."""

    name: str
    """As the distribution writes it."""
    version: str | Unavailable
    location: str
    """The entry of `sys.path` where it was found."""
    installer: str | None
    """The program that installed it; null where it left no note."""
    requested: bool
    """Whether the installer noted that a user asked for it, rather than another distribution."""
    editable: bool
    """Whether it is a link to a source folder, whose content the fingerprint does not cover."""
    direct_url: Json
    """Where it came from if not from an index (PEP 610); null otherwise."""
    tags: tuple[str, ...]
    """Of the wheel: Python, ABI and platform."""
    record_sha256: Sha256 | Unavailable
    """Fingerprint of the installed files: SHA-256 of the canonical JSON of the sorted [path, hash] rows of RECORD,
    without the rows that vary between machines: what the installer writes about itself (INSTALLER, REQUESTED, RECORD,
    direct_url.json, uv_*.json), compiled files (`.pyc`), files outside the package folder (programs), rows without a
    hash."""
    file_count: Count | Unavailable
    """Rows in the fingerprint."""
    shadowed: tuple[ShadowedPackage, ...] = ()


class UnreadablePackage(Part):
    """What looks like an installed distribution but cannot be read."""

    location: str
    reason: str


class ChangedFilesPart(Part):
    """Files of an installed package that are not those of which its installer noted the hash in RECORD."""

    changed_count: Count
    changed: tuple[str, ...]
    """Paths from the package's `location`, the first 20."""
    missing_count: Count
    missing: tuple[str, ...]
    """Ditto, of those that are gone."""


class CondaPackagePart(Part):
    """A package that conda (or mamba, or pixi) installed: not only Python's."""

    version: str
    build: str
    """The build's text, which tells one build of a version from another."""
    channel: str | Unavailable
    """Where it came from, secrets removed."""
    sha256: Sha256 | Unavailable
    """Of the package file that was downloaded."""


class PackagesRecord(Record):
    """`environment/packages.json`: every installed distribution."""

    KIND: ClassVar[str] = "packages"
    kind: Literal["packages"] = "packages"
    collected: UtcTime
    packages: dict[str, PackagePart]
    """By normalised name (PEP 503), sorted. The first on `sys.path` counts; later ones are listed as shadowed."""
    unreadable: tuple[UnreadablePackage, ...] = ()
    edited: dict[str, ChangedFilesPart] | Unavailable = Unavailable(unavailable="it was not looked at")
    """By normalised name, the packages that were changed in place after they were installed: their versions and
    fingerprints do not tell what ran. Files of another size, or younger than RECORD, were compared with it."""
    conda_packages: dict[str, CondaPackagePart] | None = None
    """By name, sorted; null: Python does not lie in an environment of conda. Those of Python stand in `packages`, too.
    """


class CommitPart(Part):
    """The commit that was checked out."""

    hash: CommitHash
    committed: UtcTime | Unavailable
    offset_seconds: int | Unavailable
    """By which the committer's local time was ahead of UTC."""
    subject: str
    """First line of the message, secrets removed."""
    description: str | Unavailable
    """`git describe`: the nearest tag, the commits since, the commit."""


class StatusEntry(Part):
    """One tracked file that differs from the commit."""

    code: str
    """The two letters of `git status --porcelain`: in the index, in the working tree."""
    path: str


class ChangesPart(Part):
    """Tracked files that differ from the commit."""

    count: Count
    entries: tuple[StatusEntry, ...]
    """The first ones."""


class UntrackedPart(Part):
    """Files that git neither tracks nor ignores."""

    count: Count
    paths: tuple[str, ...]
    """The first ones, sorted."""


class PatchPart(Part):
    """Uncommitted changes to tracked files, staged ones included, as `git apply` takes them at the top folder."""

    size_bytes: Count
    """0: nothing is uncommitted, and there is no patch file."""
    sha256: Sha256 | Unavailable
    withheld: str | None = None
    """Why the patch is not in the archive; null where it is, or where there is nothing to keep."""
    lfs_object_count: Count = 0
    """Contents that the patch only names, since git-lfs keeps them elsewhere: without its store they are lost."""


class UpstreamPart(Part):
    """The remote branch that the branch follows, as last fetched."""

    branch: str
    """Such as `origin/main`."""
    ahead: Count
    """Commits that only the branch has."""
    behind: Count
    """Commits that only the upstream has."""


class RemotePart(Part):
    """A remote repository, its address without user, password and query."""

    name: str
    url: str | None
    push_url: str | None = None
    """Where it differs."""


class SubmodulePart(Part):
    """A repository inside the repository."""

    path: str
    url: str | None
    recorded_commit: CommitHash | Unavailable
    """What the commit of the outer repository asks for."""
    checked_out_commit: CommitHash | Unavailable
    """What the patch of its changes starts from."""
    changes: ChangesPart | Unavailable
    """Its tracked files that differ from its commit."""


class RepositoryPart(Part):
    """A git repository."""

    layout: Literal["main", "linked_worktree", "submodule", "bare"]
    root: str | Unavailable
    """Top folder of the working tree."""
    folder: str | Unavailable
    """The folder that was asked about, relative to the root; `.` for the root itself."""
    commit: CommitPart | Unavailable
    branch: str | Unavailable
    dirty: bool | Unavailable
    """Whether tracked files differ from the commit, those of submodules included. Untracked files do not count."""
    upstream: UpstreamPart | Unavailable
    on_remote: bool | Unavailable
    """Whether a branch of a remote holds the commit, as far as was known here without asking the remote: others can
    fetch it."""
    operation: str | None
    """What was begun and not ended: `merge`, `rebase`, `cherry-pick`, `revert`, `bisect`; null: nothing."""
    shallow: bool | Unavailable
    """Whether the history was cut off when it was cloned."""
    sparse: bool | Unavailable
    """Whether only a part of the tree is checked out."""
    changes: ChangesPart | Unavailable
    untracked: UntrackedPart | Unavailable
    patch: PatchPart | Unavailable
    """`environment/uncommitted.patch`: without what changed inside of submodules."""
    submodules_patch: PatchPart | Unavailable
    """`environment/submodules.patch`: what changed inside of them, their paths seen from the top folder."""
    remotes: tuple[RemotePart, ...] | Unavailable
    submodules: tuple[SubmodulePart, ...] | Unavailable
    filters_off: tuple[str, ...] = ()
    """Content filters of the repository's own configuration. They were not run, since they are programs: what they
    would have changed shows up as changes."""


class GitRecord(Record):
    """`environment/git.json`: the repository the code came from."""

    KIND: ClassVar[str] = "git"
    kind: Literal["git"] = "git"
    collected: UtcTime
    git_version: str | Unavailable
    repository: RepositoryPart | Unavailable
