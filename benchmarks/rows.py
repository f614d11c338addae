"""The numbers to beat: for each, which figure of which benchmark is ours, its bound, and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass

OWN = "archiver"


@dataclass(frozen=True)
class Row:
    """One number to beat."""

    what: str
    measure: str
    """The name under which a benchmark hands its figures over (`benchmarks.common.figure`)."""
    bound: float
    benchmark: str
    limit: str = ""
    """The physical limit, or what the bound was made of."""
    reason: str = ""
    """What stands in the way, said where the bound is not kept."""
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def best(self, values: dict[str, float]) -> str:
        """Who has the best of some values."""
        return (max if self.at_least else min)(values, key=lambda who: values[who])


VERIFY_LIMIT = "page cache 13 GB/s; SHA-256 2.2 GB/s a core, BLAKE3 8.5 GB/s a core, of which md5sum has 0.9"
VERIFY_REASON = (
    "the row of hashlib alone is what this machine allows; what is beyond it is `archiver verify` of a small archive "
    "(Python's start, the records and their agreement), which takes longer on some machines than on others"
)
HOOK_REASON = (
    "between two steps the processor's caches are full of TensorFlow's: the same hook, called in a loop, takes a tenth "
    "(`benchmarks.overhead`)"
)
EPOCH_REASON = (
    "about a fifth each: to ask for the learning rate, an operation of TensorFlow; to sum up the steps; to check and "
    "write a line of the journal; to write the trace of 100 steps"
)
END_REASON = (
    "most of it is done once in a process: templates, the colours of code and the classes of records are made; where "
    "that was done before, it takes a fifth (`benchmarks.overhead`)"
)
MEMORY_REASON = (
    "the imports are 17 MiB; as much is left in Python's arenas, which it does not give back, once packages, sources "
    "and processor are described beside the training"
)
IMPORT_REASON = "390 modules, of which pydantic and the classes of the records take more than half"
HELP_REASON = "importing click, of which the row of `import click` tells, is nine tenths of it"
SMALL_REASON = (
    "`import pydantic` and `import click` (their rows) are four tenths of it, the classes of the records a third"
)
CATALOG_REASON = (
    "two records of each run, 8 kB, are opened safely, decoded and made a row: three fifths of the processor time of "
    "two cores; the rest is finding the runs, SQLite and its indexes; 491 ms were seen where pydantic takes 2.1 s for "
    "the same records"
)
BLAKE3_REASON = (
    "what is beyond hashing is `archiver verify` of a small archive, on one core, which takes nearly a fifth of "
    "md5sum's time by itself where Python is slow; where it takes 0.26 s, 6.2 x were seen"
)
SAMPLE_REASON = (
    "the kernel makes what is read, at the speed of the machine, which psutil's row tells: 29 us were seen where "
    "psutil takes 123"
)
REFRESH_REASON = "a stat of every run, and a look for new ones: 36 ms were seen on a machine with quicker system calls"
QUERY_REASON = (
    "SQLite takes a tenth; the rest is Python that has done other things before: asked again and again, it takes a "
    "fraction of a millisecond"
)
FEEDING_REASON = (
    "the bound is what TFRecord took where it was made; in the same run here it takes more, too, as its row tells"
)
CACHE_READ_REASON = (
    "h5py alone reads 25 k/s of such a file on the same machine; what is beyond it finds the recording of each window"
)
STATISTICS_REASON = "the speed of memory: NumPy's row was 0.72 GB/s where the bound was made"

ROWS = (
    Row("hook of a step, with its trace", "step_hook", 3, "peers", "about 1 us", HOOK_REASON),
    Row("hooks of an epoch, without a snapshot", "epoch_hooks", 0.5, "peers", "", EPOCH_REASON),
    Row("end of a run beyond saving and hashing, without figures", "end", 100, "peers", "", END_REASON),
    Row(
        "memory added to the training process", "memory", 25, "peers",
        "imports alone 22 MB (pynvml 12.5, pydantic 4.8)", MEMORY_REASON,
    ),
    Row("import after TensorFlow", "import", 0.2, "peers", "", IMPORT_REASON),
    Row("`archiver --help`, whole process", "help", 0.1, "startup", "Python 0.01 s, click 0.05 s", HELP_REASON),
    Row(
        "`archiver verify` of a small archive, whole process", "verify_small", 0.4, "startup", "pydantic 0.13 s",
        SMALL_REASON,
    ),
    Row(
        "verify 1.8 GB against `md5sum -c`: BLAKE3", "verify_blake3", 5, "verify", VERIFY_LIMIT, BLAKE3_REASON,
        at_least=True,
    ),
    Row(
        "the same: SHA-256, one core", "verify_sha256_one_core", 1.8, "verify", VERIFY_LIMIT, VERIFY_REASON,
        at_least=True,
    ),
    Row(
        "the same: SHA-256, all cores", "verify_sha256", 3.3, "verify", VERIFY_LIMIT, VERIFY_REASON,
        at_least=True,
    ),
    Row("faults found", "faults_found", 100, "faults", at_least=True),
    Row("faults named: the file, and the tensor", "faults_named", 100, "faults", at_least=True),
    Row("untouched copies reported", "untouched_reported", 0, "faults"),
    Row("kill -9: resumed bit for bit, with the whole history", "resumed_exactly", 100, "resume", at_least=True),
    Row("kill -9: telemetry lost, at 1 Hz", "lost_telemetry", 1, "peers", "one sampling period"),
    Row("kill -9: losses of steps lost, an epoch taking 1 s", "lost_losses", 1, "peers", "one sampling period"),
    Row("one full sample: process, machine, container", "sample", 60, "sampling", "44 us", SAMPLE_REASON),
    Row("the same with the process tree", "sample_with_tree", 250, "sampling", "184 us", SAMPLE_REASON),
    Row(
        "sampling at 1 Hz, share of a core", "sampling_share", 0.05, "sampling", "",
        "a processor that did other things for a second has nothing at hand: a tick takes several times what the same "
        "functions take one after the other",
    ),
    Row("memory peaks of 5 ms caught, at 1 Hz", "peaks_caught", 100, "memory_watch", at_least=True),
    Row("the same: error", "peak_error", 1, "memory_watch", "0.4 MB"),
    Row(
        "guard: past the hard limit, beyond what a step allocates", "guard_overshoot", 200, "memory_watch",
        "17 MB, polling every 20 ms",
    ),
    Row("10,000 runs into the catalogue, cold", "catalog_cold", 500, "catalog", "280 ms", CATALOG_REASON),
    Row("the same, refreshed", "catalog_refresh", 50, "catalog", "30 ms: a stat of every run", REFRESH_REASON),
    Row("the same, a query", "catalog_query", 1, "catalog", "0.11 ms: SQLite alone, one column", QUERY_REASON),
    Row(
        "feeding from disk, by blocks: more than in memory", "feeding_blocks", 16, "feeding", "TFRecord 16 us",
        FEEDING_REASON,
    ),
    Row("the same in any order", "feeding_any_order", 45, "feeding", "49 us: `pread` by one thread"),
    Row("the same: memory added", "feeding_memory", 64, "feeding"),
    Row(
        "window cache: smaller than float32", "cache_size", 3.1, "cache", "bitshuffle and LZ4 of the data",
        at_least=True,
    ),
    Row(
        "the same: written", "cache_written", 1430, "cache", "1,430 MB/s into memory",
        "every item is flushed to the disk before it counts as done; the row of a plain file is flushed as often",
        at_least=True,
    ),
    Row("the same: windows a second, at random", "cache_read", 29, "cache", "29 k/s", CACHE_READ_REASON, at_least=True),
    Row(
        "statistics of an array in one pass, with a digest", "statistics", 2.5, "statistics", "2.6 GB/s",
        STATISTICS_REASON,
        at_least=True,
    ),
)  # fmt: skip
