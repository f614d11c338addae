"""`archiver repair`: a damaged archive, made whole in a new folder as far as what is left proves what was there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from archiver import layout
from archiver.archive.inspection import MAXIMAL_SIGNATURE_BYTES
from archiver.archive.run import Run
from archiver.archive.verifying import verify
from archiver.closing import next_part
from archiver.errors import ArchiverError, RunStateError, StorageError
from archiver.repairing import documents, hdf5_files, legacy, plain, zip_files
from archiver.repairing.hdf5_files import Damaged
from archiver.repairing.outcomes import Outcome, RepairReport
from archiver.repairing.rebuilding import rebuild, why_not
from archiver.repairing.seals import Seals
from archiver.repairing.tensors import Pool, model_files
from archiver.repairing.workbench import Bench, Candidate, entries_of, layout_manifests
from archiver.report.report import ReportOptions
from archiver.sealing import seal, unseal
from archiver.storage import files
from archiver.storage.beneath import Entry
from archiver.storage.digests import sha256_of
from archiver.storage.guards import reading
from archiver.storage.journal import Journal
from archiver.storage.manifests import MANIFEST_NAMES
from archiver.storage.reading import read_below

COPY = "new"
ROUNDS = 4
"""What is restored can help to restore other files, so often."""


def repair(path: str | os.PathLike[str], output: str | os.PathLike[str]) -> RepairReport:
    """Write a damaged archive anew, with everything in it that can be had again.

    The damaged archive is only read. A file counts as restored when its bytes have the digest that was sealed; then
    the seal holds again. A model file of which only the tensors can be had again is written anew, and the new archive
    is sealed again, its journal telling so (event `repaired`).

    Args:
        path: the folder of the damaged run.
        output: the new folder, which must not be there.

    Returns:
        what became of each file, and what verify says of the new folder. Where nothing could be repaired there is none.

    Raises:
        NotAnArchiveError: there is no archive.
        RunStateError: it is whole, it was not sealed, or there is something at `output`.
        StorageError: the file system refused.
    """
    run, target = Run.open(path), Path(os.path.abspath(output))
    seals = Seals.of(run)
    _require_sealed(run, seals)
    _require_free(run, target)
    entries = entries_of(run.path)
    temporary = files.temporary_name(target)
    try:
        files.require_room(target, sum(entry.size_bytes for entry in entries.values()))
        with files.explained("create", temporary):
            os.mkdir(temporary)
            os.mkdir(temporary / COPY)
        bench = Bench(run, Run(temporary / COPY, run.name), seals, temporary, entries)
        return _repair(bench, target)
    finally:
        files.remove(temporary)


def _require_sealed(run: Run, seals: Seals) -> None:
    """Nothing proves what was in an archive without a seal; one that is being changed is left alone."""
    if "blake3" in seals.raw:
        return
    try:
        events = run.journal.read().events
    except ArchiverError:
        events = ()
    if not any(seals.listed.values()) or (events and events[-1].event != "sealed"):
        raise RunStateError(f"{run.path} is not sealed: nothing says what was in it; `archiver finalize` seals it.")


def _require_free(run: Run, target: Path) -> None:
    if os.path.lexists(target):
        raise RunStateError(
            f"Received output={str(target)!r}, which is there already. Expected the name of a new folder."
        )
    if target.is_relative_to(os.path.realpath(run.path)) or target.is_relative_to(os.path.abspath(run.path)):
        raise RunStateError(
            f"Received output={str(target)!r}, which lies in the damaged archive. Expected another place."
        )


def _repair(bench: Bench, target: Path) -> RepairReport:
    bench.copy_all()
    bench.seals = bench.seals.sorted_out(bench.found)
    _leave_out(bench)
    _trust_metadata(bench)
    _restore_files(bench)
    original = _restore_manifests(bench)
    broken = bench.broken()
    _refuse_whole(bench, broken)
    rest = [name for name in broken if not _rebuild(bench, name, may_seal=original is not None)]
    outcomes = tuple(bench.outcomes[name] for name in sorted(bench.outcomes))
    is_better = not rest or any(outcome.what in ("restored", "rebuilt") for outcome in outcomes)
    if not is_better:
        findings = verify(bench.source.path).findings
        return RepairReport(str(bench.source.path), None, bench.run.name, outcomes, None, original, findings)
    if any(outcome.what == "rebuilt" for outcome in outcomes) and not rest and original is not None:
        _seal_again(bench, outcomes)
    report = verify(bench.run.path)
    if os.path.lexists(target):
        raise StorageError(f"{target} has come into being meanwhile; nothing was written")
    files.rename(bench.run.path, target)
    files.flush_in_background(target)
    return RepairReport(
        str(bench.source.path), str(target), bench.run.name, outcomes, report.seal_id, original, report.findings
    )  # fmt: skip


def _leave_out(bench: Bench) -> None:
    listed = {*bench.seals.paths(), *layout_manifests()}
    for name, entry in bench.entries.items():
        if name == layout.SIGNATURE.pattern and _keep_signature(bench, entry):
            continue
        if name not in listed:
            what = "no manifest lists it" if entry.kind == "file" else f"it is a {entry.kind}, which is never copied"
            bench.outcomes[name] = Outcome(name, "left_out", what)


def _keep_signature(bench: Bench, entry: Entry) -> bool:
    """It holds again where the seal does; sealing again removes it."""
    if entry.kind != "file" or entry.size_bytes > MAXIMAL_SIGNATURE_BYTES:
        return False
    try:
        data = read_below(bench.source.path, entry.path, MAXIMAL_SIGNATURE_BYTES)
    except (OSError, ArchiverError):
        return False
    files.write_bytes(bench.run.path / entry.path, data)
    return True


def _trust_metadata(bench: Bench) -> None:
    """Take sizes from the metadata only while that is sound itself."""
    if not bench.is_sound(layout.METADATA.path(bench.run.name)):
        bench.seals = replace(bench.seals, recorded={})


def _restore_files(bench: Bench) -> None:
    """Round after round: quick proposals first, then every bit of what is left."""
    for _ in range(ROUNDS):
        for thorough in (False, True):
            done = [_restore(bench, name, thorough=thorough) for name in _in_order(bench)]
            if any(done) or not done:
                break
        if not any(done):
            return


def _in_order(bench: Bench) -> list[str]:
    """The records that others are made good by come first."""
    name = bench.run.name
    first = [
        layout.JOURNAL.pattern, layout.METADATA.path(name), layout.WEIGHTS.path(name),
        layout.CHECKPOINT_STATE.path(name), layout.RESULTS.path(name),
    ]  # fmt: skip
    return sorted(bench.broken(), key=lambda each: (first.index(each) if each in first else len(first), each))


def _restore(bench: Bench, name: str, *, thorough: bool) -> bool:
    ways = (plain.with_one_bit_flipped,) if thorough else _QUICK
    is_restored = any(bench.restore(name, _tried(way(bench, name), name)) for way in ways)
    if is_restored and name == layout.METADATA.path(bench.run.name):
        bench.seals = replace(bench.seals, recorded=Seals.of(bench.run).recorded)
    return is_restored


def _of_model_file(bench: Bench, name: str) -> Iterator[Candidate]:
    if name not in model_files(bench) and not name.endswith((".npz", ".keras", ".zip")):
        return
    pool = Pool.of(bench)
    form = model_files(bench).get(name, "npz")
    if form in ("keras", "npz"):
        yield from zip_files.proposals(bench, pool, name)
        return
    path = bench.path(name)
    damaged = Damaged(name, path if path.is_file() else None, pool.tables.get(name))
    yield from hdf5_files.proposals(pool, damaged)
    if form == "h5":
        yield from legacy.proposals(bench, pool, damaged)


_QUICK = (plain.from_elsewhere, documents.from_other_files, _of_model_file, plain.as_text)


def _tried(candidates: Iterator[Candidate], name: str) -> Iterator[Candidate]:
    """The candidates until making one fails: what a stranger's file is made of may be anything."""
    while True:
        try:
            with reading(name, "what it could be made from"):
                candidate = next(candidates, None)
        except ArchiverError:
            return
        if candidate is None:
            return
        yield candidate


def _restore_manifests(bench: Bench) -> str | None:
    """Make the manifests anew from the files, and take them where one of those found confirms them.

    Returns:
        The seal id that the archive had; None where it cannot be told.
    """
    seals = bench.seals
    made = seals.made_anew({name: bench.digests[name] for name in seals.paths() if bench.is_sound(name)})
    is_confirmed = seals.confirms(made, all_sound=not bench.broken())
    same = [MANIFEST_NAMES[each] for each, data in made.items() if seals.raw.get(each) == data]
    for algorithm, name in MANIFEST_NAMES.items():
        data = made[algorithm] if is_confirmed else seals.raw.get(algorithm)
        if data is not None:
            files.write_bytes(bench.path(name), data)
        if is_confirmed and seals.files.get(algorithm) != data:
            before = sha256_of(seals.files[algorithm]) if algorithm in seals.files else None
            how = f"made anew from the digests of the files; {' and '.join(same)} confirms it"
            bench.outcomes[name] = Outcome(name, "restored", how, before, sha256_of(made[algorithm]))
        elif not is_confirmed and (data is None or data != made.get(algorithm, data)):
            how = "too few manifests agree with each other and the files to tell what stood in it"
            bench.outcomes[name] = Outcome(name, "not_repaired", how)
    return sha256_of(made["blake3"]) if is_confirmed else None


def _refuse_whole(bench: Bench, broken: list[str]) -> None:
    if not broken and not bench.outcomes and verify(bench.source.path).is_whole:
        raise RunStateError(f"{bench.source.path} is whole: there is nothing to repair.")


def _rebuild(bench: Bench, name: str, *, may_seal: bool) -> bool:
    """Whether a broken file was rebuilt; else the outcome says why not."""
    reason = rebuild(bench, name) if may_seal else why_not(bench, Pool.of(bench), name)
    if reason is None:
        return True
    before = bench.digests.get(name, {}).get("sha256")
    bench.outcomes[name] = Outcome(name, "not_repaired", reason, before)
    return False


def _seal_again(bench: Bench, outcomes: tuple[Outcome, ...]) -> None:
    """The seal that was there becomes the previous one; the journal tells what was done."""
    run = bench.run
    journal = Journal(run.path, part=next_part(run))
    had_figures = any(name.startswith("figures/") for name in bench.seals.paths())
    unseal(run, journal)
    journal.append(
        "repaired",
        files=[
            {
                "file": each.path, "what": each.what, "how": each.how,
                "sha256_sealed": bench.seals.expected(each.path).get("sha256"),
                "sha256_before": each.sha256_before, "sha256_after": each.sha256_after,
            }
            for each in outcomes
            if each.what in ("restored", "rebuilt")
        ],
        left_out=[each.path for each in outcomes if each.what == "left_out"],
    )  # fmt: skip
    seal(run, journal, ReportOptions(figures=had_figures))
