"""Whatever is done to an archive, and wherever it is cut off: it verifies, or says that it is not sealed.

The disk is stopped at every change of a file that a step makes (kills, half-written lines, a full disk, an error of
the device), and at random ones in random rows of steps.
"""

import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver import layout, verify
from archiver.archive.claiming import claim
from archiver.archive.run import Run
from archiver.closing import close_unfinished, write_history, write_results
from archiver.errors import RecordError, RunStateError, StorageError, UnsafePathError
from archiver.naming import run_name
from archiver.report import drawing
from archiver.sealing import changing, seal
from archiver.storage import files
from archiver.storage.digests import sha256_of
from archiver.storage.hashing import regular_files
from archiver.storage.journal import Journal, events_named, parse_journal
from archiver.storage.manifests import MANIFEST_NAMES, PREVIOUS_SEAL
from archiver.storage.tensors import open_tensors
from archiver.testing import add_phase, add_test_results, tiny_run
from tests.property.campaigns import campaign
from tests.property.disk import STOPS, Disk, Stop, stop_points

Step = Callable[[Run, Journal], object]


def finish(run: Run, journal: Journal) -> None:
    """What a live run does at its end, and again if that failed."""
    if run.seal_id is None:
        write_history(run)
        write_results(run)
        seal(run, journal)


def change(run: Run, journal: Journal) -> None:
    """What `finalize` does: records are written anew, and a file is added."""
    number = len(list((run.path / "files").glob("added-*"))) if (run.path / "files").is_dir() else 0
    with changing(run, journal):
        files.write_bytes(run.path / "files" / f"added-{number}", b"added " * 100)
        journal.append("logged", name="added", value=number)
        write_history(run)
        write_results(run)


def next_phase(run: Run, journal: Journal) -> None:
    """`fit` on the same model again, to its end."""
    add_phase(run, epochs=1)


def killed_phase(run: Run, journal: Journal) -> None:
    """`fit` on the same model again, killed while it trained."""
    add_phase(run, epochs=1, sealed=False, status="interrupted")


def close(run: Run, journal: Journal) -> None:
    """`archiver finalize`."""
    close_unfinished(run)


STEPS: dict[str, Step] = {
    "finish": finish, "change": change, "next_phase": next_phase, "killed_phase": killed_phase, "close": close,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_quick_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures come and go with `figures=`; to draw them would take most of the time of a campaign."""
    monkeypatch.setattr(drawing, "FIGURES", {"learning_curves": lambda records: b"<svg/>"})
    monkeypatch.setattr(drawing, "FIGURES_OF_FILES", {})


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Archives to begin with."""
    root = tmp_path_factory.mktemp("starts")
    return {
        "ended": tiny_run(root, "ended", epochs=1, sealed=False),
        "sealed": tiny_run(root, "sealed", epochs=1),
        "tested": tiny_run(root, "tested", tested=True),
        "failed": tiny_run(root, "failed", status="failed"),
        "claimed": claimed(root),
        "killed": tiny_run(root, "killed", sealed=False, status="interrupted"),
        "killed_later": tiny_run(root, "killed_later", epochs=1, phases=2, sealed=False, status="interrupted"),
    }


def claimed(root: Path) -> Run:
    """A name that a process claimed which was killed then."""
    run, _ = claim(root, run_name("claimed"), "version")
    let_process_be_gone(run)
    return run


def let_process_be_gone(run: Run) -> None:
    path = run.journal.path
    path.write_bytes(re.sub(rb'"start_time_seconds":[0-9.]+', b'"start_time_seconds":0', path.read_bytes()))


def copied(run: Run, folder: Path) -> Run:
    return Run.open(shutil.copytree(run.path, folder))


# -- what must hold


def contents(run: Run) -> dict[str, bytes]:
    """The bytes of all files, temporary ones left out."""
    paths = [path for path in regular_files(run.path) if files.TEMPORARY_PREFIX not in path]
    return {path: (run.path / path).read_bytes() for path in paths}


def is_data(path: str, name: str) -> bool:
    """Whether a file is what a run brought in, and not derived from that or part of the seal."""
    derived = (
        layout.README, layout.README_HTML, layout.CRATE, layout.FIGURES, layout.METADATA, layout.HISTORY,
        layout.RESULTS, layout.SCHEMAS, layout.JOURNAL,
        layout.PREVIOUS_SEAL, layout.MANIFEST_MD5, layout.MANIFEST_SHA256, layout.MANIFEST_BLAKE3,
    )  # fmt: skip
    return not any(entry.matches(path, name) for entry in derived)


def check_data(run: Run, before: dict[str, bytes], *, may_change: bool) -> None:
    """Nothing is lost or torn; where the step brought in new data, each file is the old or the new one, whole."""
    after = contents(run)
    replaced = {file.path(run.name) for file in (layout.WEIGHTS, layout.CHECKPOINT_STATE, layout.BEST_WEIGHTS)}
    for path in filter(lambda path: is_data(path, run.name), before):
        if path in (layout.PREDICTIONS.path(run.name), layout.TEST_SCORES.path(run.name)):
            continue  # goes with the weights that made it
        if not may_change:
            assert after.get(path) == before[path], path
        else:
            assert path in after or path in replaced, path
    old, new = parse_journal(before[layout.JOURNAL.pattern]), parse_journal(after[layout.JOURNAL.pattern])
    assert new.events[: len(old.events)] == old.events
    assert not new.faults
    for path, data in after.items():
        if data != before.get(path):
            check_whole(run, path, data)


def check_whole(run: Run, path: str, data: bytes) -> None:
    for entry in layout.RECORD_FILES:
        if entry.matches(path, run.name):
            run.read(entry)
    form = next((form for form in ("keras", "weights.h5", "h5", "npz") if path.endswith("." + form)), None)
    if form is not None:
        with open_tensors(run.path / path, form) as tensors:
            assert all(tensors.digest(location) for location in tensors.entries)
    elif layout.STEPS.matches(path, run.name):
        assert re.fullmatch(rb"[a-z_,]+\n([^,\n]+(,[^,\n]+){5}\n)*", data)
    elif "added" in path:
        assert data == b"added " * 100


def seals_of(run: Run) -> list[str]:
    """All seals that an archive has had, in order."""
    unsealed = [event.details["seal_id"] for event in events_named(run.journal.read(), "unsealed")]
    return [*unsealed, run.seal_id] if run.seal_id else unsealed


def check_chain(run: Run, seal_ids: list[str]) -> None:
    """Each seal names the one before it: in the journal, in the metadata and by the file it left."""
    events = run.journal.read().events
    unsealed = [event.details["seal_id"] for event in events if event.event == "unsealed"]
    assert unsealed == seal_ids[:-1]
    previous = seal_ids[-2] if len(seal_ids) > 1 else None
    assert run.read(layout.METADATA).previous_seal_id == previous
    assert events[-1].event == "sealed"
    assert events[-1].details["previous_seal_id"] == previous
    assert (sha256_of((run.path / PREVIOUS_SEAL).read_bytes()) if previous else None) == previous


def check_archive(run: Run, *, deep: bool = False) -> bool:
    """Whole, or not sealed and saying so; returns which."""
    report = verify(run.path, deep=deep)
    codes = {finding.code for finding in report.findings}
    if run.seal_id is None:
        assert "not_sealed" in codes
        assert codes <= {"not_sealed", "journal"}, report.findings
    else:
        report.raise_for_findings()
        assert not list(run.path.rglob(".tmp-*"))
    return report.is_whole


def stopped(step: Step, run: Run, journal: Journal, disk: Disk) -> bool:
    """Do a step on the disk; whether it came to its end."""
    try:
        with disk:
            step(run, journal)
    except StorageError:
        assert disk.stop in ("full", "full_once", "broken_once")
        return False
    return not disk.was_killed


# -- every stop point of the basic steps


@pytest.mark.stress
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("stop", ["kill", "full"])
def test_stop_points_of_a_first_phase(stop: Stop, starts: dict[str, Run], tmp_path: Path) -> None:
    """Among them those at which nothing is known yet but the name."""
    with Disk() as counting:
        add_phase(copied(starts["claimed"], tmp_path / "count"))
    share = campaign(19, 1)
    points = stop_points(counting.changes, stop)[::share]
    assert len(points) > 100 // share
    for at in points:
        stopped_there(next_phase, starts["claimed"], tmp_path, Disk(stop, at))


def test_a_name_is_claimed_or_nothing_is_left_behind(tmp_path: Path) -> None:
    with Disk() as counting:
        claim(tmp_path / "count", run_name("a"), "version")
    for stop, at in itertools.product(("full", "full_once", "broken_once"), range(1, len(counting.changes) + 1)):
        root = tmp_path / f"{stop}-{at}"
        try:
            with Disk(stop, at):
                run, _ = claim(root, run_name("a"), "version")
        except StorageError:
            assert not list(tmp_path.glob(f"{root.name}/*"))
        else:
            assert [event.event for event in run.journal.read().events] == ["created"]


SCENARIOS = [("ended", "finish"), ("tested", "change"), ("sealed", "next_phase"), ("killed_later", "close")]


@pytest.mark.stress
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("start", "name"), SCENARIOS, ids=[f"{start}-{name}" for start, name in SCENARIOS])
@pytest.mark.parametrize("stop", ["kill", "torn", "full", "broken_once"])
def test_every_stop_point(start: str, name: str, stop: Stop, starts: dict[str, Run], tmp_path: Path) -> None:
    step = STEPS[name]
    with Disk() as counting:
        step(copied(starts[start], tmp_path / "count"), Journal(tmp_path / "count"))
    share = campaign(7 if name == "next_phase" else 2, 1)
    points = stop_points(counting.changes, stop)[::share]
    assert len(points) > 10 // share
    ends = [stopped_there(step, starts[start], tmp_path, Disk(stop, at)) for at in points]
    assert not all(ends)


def stopped_there(step: Step, start: Run, tmp_path: Path, disk: Disk) -> bool:
    run = copied(start, tmp_path / str(disk.at))
    journal = Journal(run.path)
    seal_ids = seals_of(run)
    before = contents(run)
    brings_data = step is next_phase
    ended = stopped(step, run, journal, disk)
    check_data(run, before, may_change=brings_data)
    is_whole = check_archive(run, deep=brings_data)
    assert is_whole or not ended
    if not is_whole:
        go_on(run, journal, disk)
        check_data(run, before, may_change=brings_data)
        assert check_archive(run, deep=brings_data)
    assert run.seal_id
    if run.seal_id not in seal_ids:
        seal_ids.append(run.seal_id)
    check_chain(run, seal_ids)
    shutil.rmtree(run.path)
    return ended


def go_on(run: Run, journal: Journal, disk: Disk) -> None:
    """After a kill another process closes the run; after an error, the same one may go on."""
    if disk.was_killed:
        close_unfinished(run)
    else:
        finish(run, journal)


def test_a_full_disk_leaves_nothing_temporary(starts: dict[str, Run], tmp_path: Path) -> None:
    run = copied(starts["sealed"], tmp_path / "a")
    with pytest.raises(StorageError, match="free space and try again"), Disk("full", 1):
        change(run, Journal(run.path))
    assert not list(run.path.rglob(".tmp-*"))
    change(run, Journal(run.path))
    assert check_archive(run)


# -- random rows of steps


rows = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.none() | st.tuples(st.sampled_from(STOPS), st.integers(1, 70))),
    min_size=1,
    max_size=6,
)


@pytest.mark.stress
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("start", ["ended", "sealed", "tested", "failed", "killed", "killed_later"])
@settings(
    max_examples=campaign(6, 250),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(row=rows, same_process=st.booleans())
def test_any_row_of_steps(start: str, row: list, same_process: bool, starts: dict[str, Run]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = copied(starts[start], Path(folder, "run"))
        journal = Journal(run.path)
        seal_ids = seals_of(run)
        for name, stop in [*row, ("close", None)]:
            if not same_process:
                journal = Journal(run.path)
            before = contents(run)
            disk = Disk(*stop) if stop else Disk()
            ended = stopped(STEPS[name], run, journal, disk)
            if disk.was_killed:
                journal = Journal(run.path)
            check_data(run, before, may_change="phase" in name)
            check_archive(run, deep="phase" in name)
            if run.seal_id is not None and run.seal_id not in seal_ids[-1:]:
                seal_ids.append(run.seal_id)
        assert ended
        assert check_archive(run, deep=True)
        check_chain(run, seal_ids)


def test_a_seal_that_failed_twice_leaves_no_manifest_of_the_first_try(starts: dict[str, Run], tmp_path: Path) -> None:
    with Disk() as counting:
        finish(copied(starts["ended"], tmp_path / "count"), Journal(tmp_path / "count"))
    for at in range(1, len(counting.changes), 4):
        run = copied(starts["ended"], tmp_path / str(at))
        journal = Journal(run.path)
        assert not stopped(finish, run, journal, Disk("broken_once", len(counting.changes) - 1))
        assert (run.path / "manifest-sha256.txt").exists()
        if stopped(finish, run, journal, Disk("kill", at)):
            break
        assert not check_archive(run)
        close_unfinished(run)
        assert check_archive(run)
    assert at > 20


# -- nothing changes where nothing is to be changed


def state(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in paths}


@pytest.mark.parametrize("start", ["sealed", "tested", "failed"])
def test_closing_a_sealed_run_leaves_every_byte(start: str, starts: dict[str, Run]) -> None:
    run = starts[start]
    before = state(run.path)
    assert close_unfinished(run) == run.seal_id
    with pytest.raises(RunStateError, match="sealed already"):
        seal(run)
    assert verify(run.path, deep=True, algorithm="all").is_whole
    assert state(run.path) == before


def test_opening_and_sealing_again_keeps_all_but_the_seal(starts: dict[str, Run], tmp_path: Path) -> None:
    run = copied(starts["tested"], tmp_path / "a")
    before = contents(run)
    with changing(run):
        pass
    after = contents(run)
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    name = run.name
    assert changed <= {
        layout.JOURNAL.pattern, layout.README.pattern, layout.README_HTML.pattern, layout.CRATE.pattern,
        layout.METADATA.path(name), "figures/learning_curves.svg", PREVIOUS_SEAL, *MANIFEST_NAMES.values(),
    }  # fmt: skip
    assert after[PREVIOUS_SEAL] == before[layout.MANIFEST_BLAKE3.pattern]


def test_a_change_that_fails_leaves_the_archive_open(starts: dict[str, Run], tmp_path: Path) -> None:
    run = copied(starts["sealed"], tmp_path / "a")

    def change_half() -> None:
        with changing(run):
            add_phase(run, sealed=False)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change_half()
    assert not check_archive(run)
    finish(run, run.journal)
    assert check_archive(run, deep=True)


def test_an_old_history_that_could_not_be_replaced_is_excused(starts: dict[str, Run], tmp_path: Path) -> None:
    run = copied(starts["sealed"], tmp_path / "a")
    add_phase(run, sealed=False)
    for file in (layout.HISTORY, layout.RESULTS):
        run.journal.append("step_failed", step="planted", file=file.path(run.name), exception=None)
    seal(run)
    report = verify(run.path, deep=True)
    assert report.findings == ()
    said = [finding.path for finding in report.information if finding.code == "disagreement"]
    assert said[0] == layout.HISTORY.path(run.name)
    assert {path.partition("#")[0] for path in said[1:]} == {layout.RESULTS.path(run.name)}


def test_writing_test_results_again_needs_the_same_weights(starts: dict[str, Run], tmp_path: Path) -> None:
    run = copied(starts["sealed"], tmp_path / "a")
    add_test_results(run)
    assert run.read(layout.RESULTS).test.sample_count == 32
    change(run, run.journal)
    assert run.read(layout.RESULTS).test.sample_count == 32
    add_phase(run)
    assert "weights have changed" in run.read(layout.RESULTS).test.unavailable
    assert check_archive(run, deep=True)


# -- single cases that the rows above might meet too rarely


def test_a_run_that_is_closed_late_ended_when_it_was_last_seen(starts: dict[str, Run], tmp_path: Path) -> None:
    run = copied(starts["killed"], tmp_path / "a")
    last_sign = run.journal.read().events[-1].utc
    close_unfinished(run)
    (phase,) = run.read(layout.HISTORY).phases
    assert phase.ended == last_sign == run.read(layout.RESULTS).ended
    assert phase.status == run.read(layout.RESULTS).status == "interrupted"


def test_a_run_killed_at_any_line_of_its_journal_is_closed(tmp_path: Path) -> None:
    """Nothing but a folder and a part of a journal: the least that a claimed name can be."""
    run = tiny_run(tmp_path, status="interrupted", sealed=False)
    let_process_be_gone(run)
    lines = run.journal.path.read_bytes().splitlines(keepends=True)
    for count in range(len(lines) + 1):
        for rest in (b"", lines[count][:-1] if count < len(lines) else b"{"):
            folder = tmp_path / f"{count}_{len(rest)}_models"
            (folder / "configs").mkdir(parents=True)
            (folder / "journal.jsonl").write_bytes(b"".join(lines[:count]) + rest)
            close_unfinished(Run.open(folder), force=True)
            verify(folder, deep=True).raise_for_findings()


def test_a_journal_that_makes_no_sense_is_an_error_that_says_so(starts: dict[str, Run], tmp_path: Path) -> None:
    run = copied(starts["killed"], tmp_path / "a")
    run.journal.append("epoch_ended", metrics="none")
    with pytest.raises(RecordError, match="its events make no sense"):
        close_unfinished(run)
    assert not check_archive(run)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a\nb"], "control character"),
        (["a\\b"], "backslash"),
        ([os.fsdecode(b"\xff")], "not valid Unicode"),
        (["a.txt", "A.TXT"], "case or Unicode form"),
        (["\u00e9", "e\u0301"], "case or Unicode form"),
    ],
)
def test_names_that_cannot_be_sealed(names: list[str], reason: str, starts: dict[str, Run], tmp_path: Path) -> None:
    run = copied(starts["ended"], tmp_path / "a")
    before = contents(run)
    for name in names:
        (run.path / "files" / name).write_bytes(b"x")
    with pytest.raises(UnsafePathError, match=reason):
        seal(run)
    assert not check_archive(run)
    (run.path / "files" / names[0]).unlink()
    check_data(run, before, may_change=False)
    finish(run, run.journal)
    assert check_archive(run)


def test_a_process_on_another_machine_is_closed_by_force_only(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, status="running", sealed=False)
    with pytest.raises(RunStateError, match="its process is alive"):
        close_unfinished(run, force=True)
    text = run.journal.path.read_text().replace(f'"host":"{os.uname().nodename}"', '"host":"elsewhere"')
    run.journal.path.write_text(text)
    with pytest.raises(RunStateError, match="--force"):
        close_unfinished(run)
    close_unfinished(run, force=True)
    assert check_archive(run)
    assert run.status.status == "interrupted"
