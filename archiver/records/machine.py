"""The computer a training ran on: operating system, processor, memory, disks, GPUs, what limits a container."""

from archiver.records.base import Count, Part, Real, Unavailable, UtcTime


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


class ContainerPart(Part):
    """The container the process ran in."""

    kind: str
    """What hints at it: `docker`, `podman`, `kubernetes`, `apptainer`, `lxc`, `systemd-nspawn`, ..."""
    id: str | Unavailable
    image: str | Unavailable
    """Name of the image, where the container is told it."""
    image_id: str | Unavailable


class MachinePart(Part):
    """The computer, real or virtual."""

    architecture: str
    """As the kernel names it, such as `x86_64`."""
    host_name: str
    container: ContainerPart | None
    """null: nothing hints at a container."""
    virtual_machine: str | None
    """What hints at a virtual machine: the name of the hypervisor or cloud, `WSL`, or `unknown hypervisor`; null where
    nothing does."""
    runs_in: tuple[str, ...]
    """The services and programs that the process says it runs under: `jupyter`, `colab`, `kaggle`, `databricks`,
    `sagemaker`, `slurm`, `github-actions`, `pytest`, ..., sorted."""
    boot_time: UtcTime | Unavailable
    boot_id: str | Unavailable
    """The kernel's random id of this boot."""


class NumaNodePart(Part):
    """Processors and the memory that is near to them."""

    node: Count
    cores: str
    """Logical cores, as ranges: `0-15,32-47`."""
    memory_bytes: Count | Unavailable


class ProcessorPart(Part):
    """The CPU."""

    model: str | Unavailable
    vendor: str | Unavailable
    physical_cores: Count | Unavailable
    logical_cores: Count | Unavailable
    usable_cores: Count | Unavailable
    """Logical cores this process may run on (its affinity)."""
    usable_core_list: str | Unavailable
    """Which ones, as ranges: `0-3,8`."""
    container_core_limit: Real | None
    """CPU time per second that the control group allows, the smallest along its hierarchy; null: no limit."""
    sockets: Count | Unavailable
    simultaneous_multithreading: bool | Unavailable
    """Whether a physical core serves as several logical ones."""
    maximal_frequency_hertz: Real | Unavailable
    current_frequency_hertz: Real | Unavailable
    """Of one core, when it was looked at."""
    frequency_governor: str | Unavailable
    """The kernel's policy for the frequency of core 0, such as `performance` or `powersave`."""
    turbo: bool | Unavailable
    """Whether cores may go beyond their nominal frequency."""
    cache_bytes: dict[str, Count] | Unavailable
    """Size of each cache of core 0, by level and kind: `L1 data`, `L1 instruction`, `L2`, `L3`."""
    numa_nodes: tuple[NumaNodePart, ...] | Unavailable
    family_model_stepping: tuple[str, str, str] | Unavailable
    """As the CPU numbers its own design, decimal."""
    microcode: str | Unavailable
    """Version of the CPU's microcode."""
    flags: tuple[str, ...] | Unavailable
    """Instruction set extensions, sorted."""


class MemoryPart(Part):
    """Main memory when the training began."""

    total_bytes: Count
    available_bytes: Count
    """What can be given to processes without swapping."""
    container_limit_bytes: Count | None
    """The smallest limit along the hierarchy of the control group; null: no limit."""
    swap_total_bytes: Count
    swap_free_bytes: Count
    pressure_percent: Real | Unavailable
    """Share of the last 10 seconds in which some process of the machine waited for memory."""
    transparent_huge_pages: str | Unavailable
    """`always`, `madvise` or `never`: whether the kernel gives memory in huge pages unasked."""
    huge_pages_reserved: Count | Unavailable
    """Pages of the kernel's default huge size that were set aside."""
    swappiness: Count | Unavailable
    """How readily the kernel swaps: 0 to 200."""
    overcommit: str | Unavailable
    """Whether the kernel promises more memory than there is: `heuristic`, `always` or `never`."""


class ControlGroupPart(Part):
    """What the control group (a container, a batch job, a service) grants its processes beyond what `processor` and
    `memory` say; the smallest limit along the hierarchy. null: no limit."""

    version: Count
    """1, or 2 for the unified hierarchy."""
    memory_used_bytes: Count | Unavailable
    """By all processes of the group, page cache included, when it was looked at."""
    memory_throttle_bytes: Count | None
    """Above it the group's processes are slowed down (version 2)."""
    swap_limit_bytes: Count | None
    """Of swap alone in version 2; of memory and swap together in version 1."""
    process_limit: Count | None
    """Processes and threads."""
    cores: str | Unavailable
    """Logical cores the group may use, as ranges."""
    killed_for_memory: Count | Unavailable
    """Processes of the group that the kernel had killed for want of memory."""


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
    is_rotational: bool | Unavailable
    """Whether it lies on a turning disk, as the kernel says."""


class GpuPart(Part):
    """One GPU, whether the training used it or not."""

    index: Count
    """As the driver counts."""
    name: str
    uuid: str | Unavailable
    memory_total_bytes: Count | Unavailable
    memory_used_bytes: Count | Unavailable
    """By all processes, when it was looked at."""
    compute_capability: str | Unavailable
    multi_instance: bool | Unavailable
    """Whether the GPU is divided into instances (MIG), of which a process sees one."""
    error_correction: bool | Unavailable
    """Whether its memory corrects errors (ECC)."""
    power_limit_watts: Real | Unavailable
    power_watts: Real | Unavailable
    """When it was looked at."""
    temperature_celsius: Real | Unavailable
    frequency_hertz: Real | Unavailable
    """Of its multiprocessors, when it was looked at."""
    maximal_frequency_hertz: Real | Unavailable
    """Of its multiprocessors."""
    maximal_memory_frequency_hertz: Real | Unavailable
    slowed_down_by: tuple[str, ...] | Unavailable
    """What kept its clocks down when it was looked at: `idle`, `power cap`, `heat`, ..."""
    compute_mode: str | Unavailable
    """`default`, `exclusive process` or `prohibited`: how many processes may compute on it."""
    persistence_mode: bool | Unavailable
    """Whether the driver stays loaded while nobody uses the GPU."""
    other_processes: Count | Unavailable
    """Processes that computed on it, this one left out, when it was looked at."""
    pci_bus_id: str | Unavailable
    pci_link: str | Unavailable
    """Generation and width it used, of the largest possible: `5 x16 of 5 x16`."""
    numa_node: Count | Unavailable
    firmware: str | Unavailable
    """Version of the video BIOS."""


class GpusPart(Part):
    """The NVIDIA GPUs of the machine."""

    driver_version: str | Unavailable
    cuda_driver_version: str | Unavailable
    """The newest CUDA version the driver can serve. The versions the training computes with are in
    `numeric_libraries`."""
    devices: tuple[GpuPart, ...]


class PciDevicePart(Part):
    """A display or computing device on the PCI bus, of any make."""

    address: str
    vendor: str
    """`NVIDIA`, `AMD`, `Intel`, or the vendor's number in hexadecimal."""
    device: str
    """The product's number in hexadecimal."""
    driver: str | Unavailable
    """The kernel's module that drives it."""


class LibraryPart(Part):
    """A library of numeric code, of threads, of a GPU or of memory allocation that the process had loaded."""

    name: str
    """`openblas`, `mkl`, `openmp (gnu)`, `cudnn`, `cuda runtime`, `nccl`, `jemalloc`, ..."""
    version: str | Unavailable
    """As the library itself says, else as its file is named."""
    details: str | None = None
    """What else it says of itself; null: nothing."""
    threads: Count | None = None
    """How many threads it would compute with; null: it has none, or cannot be asked without starting it."""
    file: str


class NumericLibrariesPart(Part):
    """What computes below Python: results and speed depend on it."""

    loaded: tuple[LibraryPart, ...] | Unavailable
    """Sorted by name and file. What is loaded later, such as a library of the GPU at its first use, is missing."""
    blas: dict[str, str]
    """What NumPy and SciPy were built with, for those that were imported: name and version of BLAS and LAPACK."""
