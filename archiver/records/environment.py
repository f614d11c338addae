"""Where a training ran: the machine, Python, the installed packages, the repository.

The user's home folder is written as `~` in every path; secrets are replaced by `[redacted]`; users' names are not
recorded.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from archiver.records.base import Count, Json, Part, Real, Record, Sha256, Unavailable, UtcTime
from archiver.records.framework import FrameworkPart
from archiver.records.source import CommandPart

CommitHash = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
"""Name of a git commit: SHA-1, or SHA-256 in repositories of that format."""


class OperatingSystemPart(Part):
    """The operating system."""

    system: str
    """`Linux`, `Darwin`, `Windows`."""
    release: str
    """Of the kernel."""
    version: str
    """The kernel's build."""
    distribution: str | Unavailable
    libc: str | Unavailable
    """Name and version of the C library Python is linked with."""


class MachinePart(Part):
    """The computer, real or virtual."""

    architecture: str
    """As the kernel names it, such as `x86_64`."""
    host_name: str
    boot_id: str | Unavailable
    """The kernel's random id of this boot."""
    boot_time: UtcTime | Unavailable
    container: str | None
    """What hints at a container (`docker`, `podman`, `kubernetes`, ...); null where nothing does."""
    virtual_machine: str | None
    """What hints at a virtual machine: the name of the hypervisor or cloud, or `unknown hypervisor`; null where
    nothing does."""


class ProcessorPart(Part):
    """The CPU."""

    model: str | Unavailable
    vendor: str | Unavailable
    physical_cores: Count | Unavailable
    logical_cores: Count | Unavailable
    usable_cores: Count | Unavailable
    """Logical cores this process may run on (its affinity)."""
    container_core_limit: Real | None
    """CPU time per second that the control group allows, the smallest along its hierarchy; null: no limit."""
    maximal_frequency_hertz: Real | Unavailable
    current_frequency_hertz: Real | Unavailable
    """Of one core, when it was looked at."""
    flags: tuple[str, ...] | Unavailable
    """Instruction set extensions, sorted."""


class MemoryPart(Part):
    """Main memory when the training began."""

    total_bytes: Count
    available_bytes: Count
    """What can be given to processes without swapping."""
    swap_total_bytes: Count
    swap_free_bytes: Count
    container_limit_bytes: Count | None
    """The smallest limit along the hierarchy of the control group; null: no limit."""


class DiskPart(Part):
    """A file system."""

    path: str
    """The folder that was asked about."""
    file_system: str | Unavailable
    """Its type, such as `ext4`."""
    total_bytes: Count
    used_bytes: Count
    available_bytes: Count
    """What this process could still write."""


class GpuPart(Part):
    """One GPU, whether the training used it or not."""

    index: Count
    """As the driver counts."""
    name: str
    uuid: str | Unavailable
    pci_bus_id: str | Unavailable
    compute_capability: str | Unavailable
    memory_total_bytes: Count | Unavailable
    memory_used_bytes: Count | Unavailable
    """By all processes, when it was looked at."""
    power_limit_watts: Real | Unavailable
    maximal_frequency_hertz: Real | Unavailable
    """Of its multiprocessors."""
    temperature_celsius: Real | Unavailable


class GpusPart(Part):
    """The NVIDIA GPUs of the machine."""

    driver_version: str | Unavailable
    cuda_driver_version: str | Unavailable
    """The newest CUDA version the driver can serve."""
    devices: tuple[GpuPart, ...]


class LimitPart(Part):
    """A limit of the process, in the unit of `getrlimit`; null: unlimited."""

    soft: int | None
    hard: int | None


class ProcessPart(Part):
    """The process that trained."""

    process_id: Count
    started: UtcTime | Unavailable
    executable: str | Unavailable
    command: CommandPart | Unavailable
    working_directory: str | Unavailable
    parents: tuple[str, ...] | Unavailable
    """Names of the parent process, its parent, and so on."""
    limits: dict[str, LimitPart]
    """By name: `address_space` in bytes, `open_files` in number, ..."""


class PythonPart(Part):
    """The interpreter."""

    version: str
    build: str
    """The interpreter's own description of its build."""
    implementation: str
    compiler: str
    executable: str | Unavailable
    prefix: str
    base_prefix: str
    """Differs from `prefix` in a virtual environment."""
    path: tuple[str, ...]
    """`sys.path`: where modules are looked for, in order."""
    flags: dict[str, Json]
    """`sys.flags` by name."""
    options: dict[str, Json]
    """What `-X` set, by name."""
    hash_seed: Count | Literal["random"]
    """The seed of the hashes of text (`PYTHONHASHSEED`): with `random`, each process orders sets of text anew."""
    recursion_limit: Count
    byte_order: Literal["little", "big"]
    global_interpreter_lock: bool


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


class PackagesRecord(Record):
    """`environment/packages.json`: every installed distribution."""

    KIND: ClassVar[str] = "packages"
    kind: Literal["packages"] = "packages"
    collected: UtcTime
    packages: dict[str, PackagePart]
    """By normalised name (PEP 503), sorted. The first on `sys.path` counts; later ones are listed as shadowed."""
    unreadable: tuple[UnreadablePackage, ...] = ()


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
    """The uncommitted changes to tracked files, staged ones included, as `git apply` takes them; submodules are left to
    `submodules`."""

    size_bytes: Count
    """0: nothing is uncommitted, and there is no patch file."""
    sha256: Sha256 | Unavailable
    withheld: str | None = None
    """Why the patch is not in the archive; null where it is, or where there is nothing to keep."""


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
    """Uncommitted changes inside a submodule are not looked at."""


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
    """Whether tracked files differ from the commit. Untracked files do not count."""
    changes: ChangesPart | Unavailable
    untracked: UntrackedPart | Unavailable
    patch: PatchPart | Unavailable
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
