"""Model files of the recorded tensors, where the bytes that were sealed cannot be had again.

Each tensor's digest is checked against the tables afterwards; what no record and no sound file holds is not made up.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from archiver import layout
from archiver.archive.tensor_tables import RecordedTensor, TensorTable
from archiver.errors import ArchiverError, DamagedFileError
from archiver.repairing import legacy
from archiver.repairing.hdf5_files import Damaged, parts_of_source
from archiver.repairing.keras_writing import VARIABLES, Part, write_legacy, write_weights
from archiver.repairing.legacy import stored_dtype
from archiver.repairing.outcomes import Outcome
from archiver.repairing.tensors import Pool, Source
from archiver.repairing.workbench import Bench
from archiver.repairing.zip_files import INNER, from_file
from archiver.storage import files
from archiver.storage.guards import TensorEntry
from archiver.storage.tensors import WEIGHTS_MEMBER, open_tensors
from archiver.storage.zip_mending import STORED, Content, Member, copied, crc_of, descriptions, write_zip


def rebuild(bench: Bench, name: str) -> str | None:
    """Put a new file of the recorded tensors into the copy.

    Returns:
        why that cannot be done without loss; None when it is done.
    """
    pool = Pool.of(bench)
    table = pool.tables.get(name)
    makers: dict[str, Callable[[Bench, Pool, TensorTable, Path], str]] = {
        "weights.h5": _weights, "keras": _keras, "h5": _legacy,
    }  # fmt: skip
    if table is None or table.form not in makers:
        return None if bench.is_sound(name) else why_not(bench, pool, name)
    made: list[str] = []

    def write(target: Path) -> None:
        made.append(makers[table.form](bench, pool, table, target))
        _check(target, table)

    target = bench.scratch / f"{INNER}-rebuilt{Path(name).suffix}"
    try:
        write(target)
    except ArchiverError as error:
        return f"{error}"
    except (OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
        return f"it cannot be written anew ({type(error).__name__}: {error})"
    else:
        with bench.attempt(name, lambda path: files.rename(target, path)) as found:
            if found is None:
                return "it cannot be written anew"
            bench.take(name, *found, Outcome(name, "rebuilt", f"{made[0]}; every recorded tensor was checked"))
        return None
    finally:
        files.remove(target)


def why_not(bench: Bench, pool: Pool, name: str) -> str:
    """Why a file stays as it is."""
    if name == layout.BEST_WEIGHTS.path(bench.run.name):
        return "no other file holds the weights of the best epoch"
    if name not in pool.tables:
        return "nothing else in the archive tells what was in it"
    return "no other file holds all of it"


def _check(path: Path, table: TensorTable) -> None:
    with open_tensors(path, table.form, where=table.file) as tensors:
        for location, tensor in (table.recorded | table.derived).items():
            is_there = location in table.recorded or location in tensors.entries
            if is_there and tensors.digest(location) != tensor.sha256:
                raise DamagedFileError(f"{tensor.what} would not be the recorded one")


def _recorded(bench: Bench) -> None:
    """Raise unless every weight is in the table: a format that keeps some in another form is not rebuilt from it."""
    if bench.records.weights is None:
        raise DamagedFileError("the table of the weights is damaged too")


def _content(pool: Pool, table: TensorTable, twin: Source | None) -> Callable[[Part], bytes]:
    expected = table.derived | table.recorded

    def content(part: Part) -> bytes:
        tensor = expected.get(part.path)
        if tensor is not None:
            found = pool.content(tensor.sha256, table.file)
            if found is None:
                raise DamagedFileError(f"no file holds {tensor.what}")
            return found[1]
        if twin is None:
            raise DamagedFileError(f"no record tells of the tensor {part.path}")
        with twin.opened() as tensors:
            return tensors.content(part.path)

    return content


def _parts(bench: Bench, pool: Pool, table: TensorTable) -> tuple[str, list[Part], Source | None]:
    """The structure of a sound file that is alike; else, of the recorded tensors alone."""
    _recorded(bench)
    for twin in pool.alike(table.file):
        if twin.is_sound and twin.digests.keys() >= table.recorded.keys():
            return f"with the structure of {twin.name}", parts_of_source(twin), twin
    weights = bench.records.weights
    form = weights.formats.get(table.form) if weights is not None else None
    if form is None or form.not_comparable:
        raise DamagedFileError("it held variables in another form than the recorded one, and no file is like it")
    if bench.records.checkpoint is None:
        raise DamagedFileError("the checkpoint, which holds the optimizer, is damaged too")
    return "from the tables of the weights and the optimizer", _parts_of_table(pool, table), None


def _parts_of_table(pool: Pool, table: TensorTable) -> list[Part]:
    parts: list[Part] = []
    seen: set[str] = set()
    for location, tensor in (table.recorded | table.derived).items():
        group = location.rpartition("/")[0]
        if group.rpartition("/")[2] != VARIABLES:
            raise DamagedFileError(f"{tensor.what} is not where Keras keeps variables")
        if group not in seen:
            seen.add(group)
            parts.append(Part(group))
        parts.append(Part(location, (), _entry(pool, table, tensor)))
    return parts


def _entry(pool: Pool, table: TensorTable, tensor: RecordedTensor) -> TensorEntry:
    found = pool.content(tensor.sha256, table.file)
    if found is None:
        raise DamagedFileError(f"no file holds {tensor.what}")
    count = 1
    for length in tensor.shape:
        count *= length
    item_bytes = len(found[1]) // count if count else 1
    dtype = stored_dtype(tensor.dtype, item_bytes)
    if dtype != tensor.dtype:
        raise DamagedFileError(f"{tensor.what} is of a type that needs a note by Keras, and no file is like it")
    return TensorEntry(dtype, tensor.shape, item_bytes)


def _weights(bench: Bench, pool: Pool, table: TensorTable, target: Path) -> str:
    how, parts, twin = _parts(bench, pool, table)
    write_weights(target, parts, _content(pool, table, twin), in_memory=False)
    return f"written anew {how}"


def _keras(bench: Bench, pool: Pool, table: TensorTable, target: Path) -> str:
    path = bench.path(table.file)
    if not path.is_file():
        raise DamagedFileError("its configuration is lost with it, and no other file holds it as it was")
    how, parts, twin = _parts(bench, pool, table)
    inner = bench.scratch / f"{INNER}-weights.h5"
    try:
        write_weights(inner, parts, _content(pool, table, twin), in_memory=True)
        with path.open("rb") as file, target.open("wb") as out:
            for members in descriptions(file):
                others = [member for member in members if member.name != WEIGHTS_MEMBER.encode()]
                contents = {member.name: copied(file, member) for member in others}
                if len(others) < len(members) and all(_is_whole(contents[each.name], each) for each in others):
                    write_zip(out, members, contents | {WEIGHTS_MEMBER.encode(): from_file(inner)})
                    return f"its weights written anew {how}; its configuration has the CRC it had"
    finally:
        files.remove(inner)
    raise DamagedFileError("its configuration is damaged too")


def _is_whole(content: Content, member: Member) -> bool:
    try:
        return member.method == STORED and crc_of(content) == member.crc
    except ArchiverError:
        return False


def _legacy(bench: Bench, pool: Pool, table: TensorTable, target: Path) -> str:
    _recorded(bench)
    path = bench.path(table.file)
    damaged = Damaged(table.file, path if path.is_file() else None, table)
    own = legacy.own_attributes(damaged)
    if own is None or not legacy.is_as_in_keras(bench, pool, own):
        raise DamagedFileError("its configuration cannot be read, or is not what a sound .keras file says")
    write_legacy(target, legacy.legacy_model(bench, pool, damaged, own))
    return "written anew with its own configuration, which says what the .keras file says"
