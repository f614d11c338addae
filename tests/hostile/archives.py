"""Archives that a stranger could send: each noun turns a good one into one of them, and says what is due to it.

Where it can be done, metadata and manifests agree with what lies there: an attacker seals too. `ARCHIVES` lists them.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import socket
import stat
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from archiver import layout
from archiver.archive.run import Run
from archiver.storage.digests import ALGORITHMS
from archiver.storage.manifests import MANIFEST_NAMES
from tests.archive.resealing import edit_journal, edit_json, seal_as_it_is
from tests.property.campaigns import campaign

CANARY = "CANARY-5f1e9d"
"""Stands in files outside of the archive; whoever prints it has been there."""

SEAL = layout.MANIFEST_BLAKE3.pattern
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m"
TURNED = "\u202egnp.exe\u2066"
STAMP = '"utc":"2026-01-01T00:00:00Z","monotonic_seconds":1,"part":0'
LONG_AGO = 1_000_000_000


@dataclass(frozen=True)
class Hostile:
    """One archive and its due."""

    name: str
    make: Callable[[Run, Path], Any]
    """Changes the archive; gets the folder outside of it, too. What a context manager does comes after sealing."""
    due: frozenset[str]
    """Codes of findings, each of which the report must have."""
    told: frozenset[str] = frozenset()
    """Codes that the report must have as information."""
    about: str = ""
    """A part of the place or message of one of them."""
    is_whole: bool = False
    """Whether there may be no finding."""
    deep: bool = True
    seconds: float = 10
    mebibytes: int = 200
    sealed: bool = field(default=True, kw_only=True)
    """False: metadata and manifests are left as `make` leaves them."""


ARCHIVES: list[Hostile] = []

Make = Callable[[Run, Path], Any]


def hostile(*due: str, told: tuple[str, ...] = (), sealed: bool = True, **options: Any) -> Callable[[Make], Make]:
    """Register an archive by its findings; `told`: by its information."""

    def register(make: Make) -> Make:
        ARCHIVES.append(
            Hostile(make.__name__, make, frozenset(due), frozenset(told), is_whole=not due, sealed=sealed, **options)
        )
        return make

    return register


@contextlib.contextmanager
def made(case: Hostile, run: Run, outside: Path) -> Iterator[None]:
    """The archive as the stranger would send it."""
    later = case.make(run, outside)
    if case.sealed:
        seal_as_it_is(run.path)
    with later if isinstance(later, AbstractContextManager) else contextlib.nullcontext():
        yield


def outside_of(root: Path) -> Path:
    """A folder that nobody must look into: files with a canary, read last long ago."""
    folder = root / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text(CANARY)
    (folder / "secret.json").write_text(json.dumps({"kind": CANARY}))
    (folder / f"{CANARY}_run.json").write_text("{}")
    for path in folder.iterdir():
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


def add_lines(run: Run, *paths: str | bytes, data: bytes = CANARY.encode()) -> None:
    """Put paths into all three manifests, with the digests of `data`, and let the manifests agree with each other."""
    from archiver.storage.digests import bytes_digests

    digests = bytes_digests(data, ALGORITHMS)
    written: list[tuple[str, bytes]] = []
    for algorithm, name in MANIFEST_NAMES.items():
        path = run.path / name
        lines = [line for line in path.read_bytes().splitlines() if line[-len(name) :].decode() not in MANIFEST_NAMES]
        lines = [line for line in lines if line.partition(b"  ")[2].decode() not in MANIFEST_NAMES.values()]
        lines += [digests[algorithm].encode() + b"  " + (p.encode() if isinstance(p, str) else p) for p in paths]
        lines += [bytes_digests(d, [algorithm])[algorithm].encode() + b"  " + n.encode() for n, d in written]
        lines.sort(key=lambda line: line.partition(b"  ")[2])
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        written.append((name, path.read_bytes()))


def record(run: Run, file: layout.ArchiveFile) -> Path:
    """Where a file lies."""
    return run.path_of(file)


def replace(path: Path) -> Path:
    """Remove a file or folder, so that something else can take its place."""
    path.rename(path.with_name(f"was_{path.name}")) if path.is_dir() else path.unlink()
    return path


# -- paths in manifests


@hostile("unsafe_path", about="../../outside/secret.txt", sealed=False)
def parent_path(run: Run, outside: Path) -> None:
    add_lines(run, "files/../../../outside/secret.txt", "../../outside/secret.txt")


@hostile("unsafe_path", about="is absolute", sealed=False)
def absolute_path(run: Run, outside: Path) -> None:
    add_lines(run, str(outside / "secret.txt"), "/etc/passwd")


@hostile("unsafe_path", about="backslash", sealed=False)
def backslashes(run: Run, outside: Path) -> None:
    add_lines(run, "..\\..\\outside\\secret.txt")


@hostile("unsafe_path", about="drive letter", sealed=False)
def drive_letter(run: Run, outside: Path) -> None:
    add_lines(run, "C:/Windows/System32/config", "c:secret.txt")


@hostile(told=("unportable_name",), about="files/NUL.txt")
def device_names(run: Run, outside: Path) -> None:
    for name in ("CON", "NUL.txt", "com1.csv", "lpt9"):
        (run.path / "files" / name).write_text("x")


@hostile(told=("unportable_name",), about="files/report.html.")
def trailing_dots_and_spaces(run: Run, outside: Path) -> None:
    for name in ("report.html.", "report.html "):
        (run.path / "files" / name).write_text("x")


@hostile(told=("unportable_name",), about="cannot be seen")
def name_that_reads_backwards(run: Run, outside: Path) -> None:
    (run.path / "files" / f"plot{TURNED}").write_text("x")


@hostile("manifest", about="collides")
def names_that_differ_in_case(run: Run, outside: Path) -> None:
    (run.path / "files" / "NOTES.txt").write_text("other notes")


@hostile("manifest", about="collides")
def names_that_differ_in_unicode_form(run: Run, outside: Path) -> None:
    (run.path / "files" / "\u00e9.txt").write_text("one")
    (run.path / "files" / "e\u0301.txt").write_text("another")


@hostile("manifest", about="collides", sealed=False)
def same_line_twice(run: Run, outside: Path) -> None:
    add_lines(run, "files/notes.txt", data=b"other notes")


@hostile("unsafe_path", about="control character", sealed=False)
def terminal_codes_in_a_listed_name(run: Run, outside: Path) -> None:
    (run.path / "files" / f"a{ESCAPES}b").write_text(CANARY)
    add_lines(run, f"files/a{ESCAPES}b")


@hostile("unlisted", about="is not listed")
def line_feed_in_a_name(run: Run, outside: Path) -> Any:
    return _afterwards(lambda: (run.path / "files" / "a\n[changed] forged: line").write_text("x"))


@hostile("unlisted", "manifest", about="is not UTF-8", sealed=False)
def name_of_255_bytes_that_are_no_text(run: Run, outside: Path) -> None:
    name = b"\xff\xfe\x9b" * 85
    descriptor = os.open(os.fsencode(run.path / "files") + b"/" + name, os.O_CREAT | os.O_WRONLY)
    os.write(descriptor, CANARY.encode())
    os.close(descriptor)
    add_lines(run, b"files/" + name)


@hostile("changed", about=SEAL, sealed=False)
def seal_that_lists_itself(run: Run, outside: Path) -> None:
    lines = (run.path / SEAL).read_bytes().splitlines()
    lines.append(b"0" * 64 + b"  " + SEAL.encode())
    lines.sort(key=lambda line: line.partition(b"  ")[2])
    (run.path / SEAL).write_bytes(b"".join(line + b"\n" for line in lines))


# -- size of manifests


@hostile("unreadable", about="at most 67108864", sealed=False)
def manifest_of_many_gigabytes(run: Run, outside: Path) -> None:
    os.truncate(run.path / SEAL, 1 << 40)


@hostile("missing", about="and 99|and 799", sealed=False, seconds=60, mebibytes=600)
def manifest_of_many_lines(run: Run, outside: Path) -> None:
    count = campaign(100_000, 800_000)
    with (run.path / SEAL).open("ab") as file:
        file.writelines(b"%064x  zz/%06d\n" % (index, index) for index in range(count))


@hostile("manifest", about="and 1 more of them|the rest is not read", sealed=False, seconds=30, mebibytes=400)
def manifest_of_line_feeds(run: Run, outside: Path) -> None:
    with (run.path / SEAL).open("ab") as file:
        file.write(b"\n" * (60 << 20))


@hostile("manifest", about="does not end with a line feed", sealed=False, seconds=20, mebibytes=500)
def manifest_of_one_line(run: Run, outside: Path) -> None:
    (run.path / SEAL).write_bytes(b"0" * (60 << 20))


# -- kinds of files


@hostile("not_a_regular_file", "missing", about="symlink")
def record_that_is_a_link(run: Run, outside: Path) -> None:
    replace(record(run, layout.RESULTS)).symlink_to(outside / "secret.json")


@hostile("not_a_regular_file", about="configs")
def folder_that_is_a_link(run: Run, outside: Path) -> None:
    replace(run.path / "configs").symlink_to(outside)


@hostile("not_a_regular_file", about="loop")
def links_in_a_circle(run: Run, outside: Path) -> None:
    (run.path / "loop").symlink_to(".")
    (run.path / "files" / "up").symlink_to("..")
    (run.path / "files" / "itself").symlink_to("itself")


@hostile("not_a_regular_file", about="symlink")
def links_into_proc(run: Run, outside: Path) -> None:
    (run.path / "files" / "environ").symlink_to("/proc/self/environ")
    (run.path / "files" / "memory").symlink_to("/proc/self/mem")
    (run.path / "files" / "root").symlink_to("/proc/1/root")


@hostile("not_a_regular_file", "not_sealed", about="symlink")
def seal_that_is_a_link(run: Run, outside: Path) -> Any:
    return _afterwards(lambda: replace(run.path / SEAL).symlink_to(outside / "secret.txt"))


@hostile("not_a_regular_file", "journal", about="symlink")
def journal_that_is_a_link(run: Run, outside: Path) -> None:
    replace(run.path / "journal.jsonl").symlink_to(outside / "secret.json")


@hostile("not_a_regular_file", about="manifest-blake3.previous")
def previous_seal_that_is_a_link(run: Run, outside: Path) -> None:
    replace(run.path / "manifest-blake3.previous").symlink_to(outside / "secret.txt")


@hostile("not_a_regular_file", "missing", about="fifo")
def pipes_that_nobody_writes_to(run: Run, outside: Path) -> None:
    for path in (run.path / "README.md", record(run, layout.RESULTS), record(run, layout.KERAS_MODEL)):
        os.mkfifo(replace(path))


@hostile("not_a_regular_file", "journal", about="fifo")
def journal_that_is_a_pipe(run: Run, outside: Path) -> None:
    os.mkfifo(replace(run.path / "journal.jsonl"))


@hostile("not_a_regular_file", about="socket")
def socket_that_nobody_answers(run: Run, outside: Path) -> None:
    here = os.getcwd()
    os.chdir(run.path)  # the name of a socket may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
    finally:
        os.chdir(here)


@hostile("not_a_regular_file", about="device")
def device(run: Run, outside: Path) -> None:
    try:
        os.mknod(run.path / "files" / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this user, or this container, cannot make devices")


@hostile(told=("hard_link",), about="2 hard links")
def hard_link_to_the_outside(run: Run, outside: Path) -> None:
    os.link(outside / "secret.txt", run.path / "files" / "innocent.txt")


@hostile("unlisted", about="model.sig2", sealed=False)
def file_that_no_manifest_knows(run: Run, outside: Path) -> None:
    (run.path / "model.sig2").write_text("{}")


@hostile("unlisted", about="empty/inner")
def folders_without_files(run: Run, outside: Path) -> None:
    (run.path / "empty" / "inner").mkdir(parents=True)


# -- sizes


@hostile("unreadable", about="far larger than what is stored", sealed=False)
def file_of_a_terabyte_of_nothing(run: Run, outside: Path) -> None:
    with (run.path / "files" / "notes.txt").open("ab") as file:
        file.truncate(1 << 40)


@hostile("changed", about="files/growing.bin")
def file_that_grows_while_it_is_read(run: Run, outside: Path) -> Any:
    path = run.path / "files" / "growing.bin"
    path.write_bytes(b"x")
    return _growing(path)


@hostile("unreadable", about="too deep")
def folders_nested_very_deep(run: Run, outside: Path) -> Any:
    return _afterwards(lambda: _nest(run.path / "files", campaign(1_500, 10_000)))


@hostile(told=("unknown_file",), about="and ", seconds=60, mebibytes=500)
def very_many_empty_files(run: Run, outside: Path) -> None:
    (run.path / "many").mkdir()
    for index in range(campaign(5_000, 200_000)):
        os.close(os.open(run.path / "many" / f"{index}", os.O_CREAT | os.O_WRONLY))


# -- journal


@hostile("unreadable", about="Expected at most")
def journal_of_a_terabyte_of_nothing(run: Run, outside: Path) -> Any:
    return _afterwards(lambda: os.truncate(run.path / "journal.jsonl", 1 << 40))


@hostile("journal", about="cut short", seconds=20, mebibytes=700)
def journal_of_nothing_within_the_limit(run: Run, outside: Path) -> None:
    os.truncate(run.path / "journal.jsonl", campaign(20, 200) << 20)


@hostile("journal", about="and 1 more of them|the rest is not read", seconds=30, mebibytes=700)
def journal_of_line_feeds(run: Run, outside: Path) -> None:
    with (run.path / "journal.jsonl").open("ab") as file:
        file.write(b"\n" * (campaign(20, 200) << 20))


@hostile("journal", about="values", seconds=30, mebibytes=700)
def journal_of_lists(run: Run, outside: Path) -> None:
    event = {"event": "logged", "utc": "2026-01-01T00:00:00Z", "monotonic_seconds": 1, "details": {"name": "LISTS"}}
    line = json.dumps(event).encode().replace(b'"LISTS"', b"[" + b"[]," * 1_000_000 + b"[]]")
    with (run.path / "journal.jsonl").open("ab") as file:
        for _ in range(20):
            file.write(line + b"\n")


@hostile("journal", about="journal.jsonl:", seconds=10)
def journal_of_brackets(run: Run, outside: Path) -> None:
    with (run.path / "journal.jsonl").open("ab") as file:
        file.write(b'{"event": "logged", "details": ' + b"[" * 100_000 + b"\n" + b'{"a":' * 100_000 + b"\n")


@hostile("disagreement", about="journal")
def journal_of_numbers_beyond_all(run: Run, outside: Path) -> None:
    _append_raw(run, '{"event":"epoch_ended","utc":"2026-01-01T00:00:00Z","monotonic_seconds":1e999,'
                     '"details":{"phase":0,"epoch":1e300,"metrics":{"loss":1e999,"acc":-1e999,"x":1E400},'
                     '"seconds":1e308,"train_seconds":1e308,"step_count":1e30}}')  # fmt: skip


@hostile("disagreement", about="journal")
def journal_of_values_of_other_types(run: Run, outside: Path) -> None:
    for details in (
        {"phase": {}, "epoch": [], "metrics": [], "seconds": "x", "directions": 3, "learning_rate": {}},
        {"phase": "x", "epoch": None, "metrics": {"loss": {"a": []}, "": None}, "step_count": -1},
    ):
        _append(run, "epoch_ended", details)
    _append(run, "step_failed", {"file": {}, "step": [], "exception": "x"})
    _append(run, "status", {"status": {"a": 1}, "stop_reason": ["x"], "exception": {"type": 3}})
    _append(run, "status", {"status": "complete", "phase": {}, "stop_reason": [], "early_stopping": 7})
    _append(run, "logged", {"name": {}, "value": {}})
    _append(run, "models_saved", {"phase": [], "weights_digest": {}})
    _append(run, "unsealed", {"seal_id": {"x": []}, "sealing_seconds": "x"})
    _append(run, "evaluated", {"metrics": 3})
    _append(run, "best_epoch", {"phase": "x", "epoch": {}, "monitor": []})
    _append(run, "cooling_break", {"duration_seconds": "x"})
    _append(run, "memory_alert", {"limit": [], "bytes": "x"})


@hostile("missing", about="tiny_run.json")
def journal_that_names_another_folder(run: Run, outside: Path) -> None:
    edit_journal(run.path, lambda events: events[0]["details"].update(name="../../outside/secret"))
    (run.path / "configs").rename(run.path / "configs2")


@hostile("missing", about="another_run")
def journal_of_another_run(run: Run, outside: Path) -> None:
    edit_journal(run.path, lambda events: events[0]["details"].update(name="another_run"))


# -- records


@hostile("record", about="recursion limit")
def deep_record(run: Run, outside: Path) -> None:
    _set(run, layout.MODEL_CONFIG, b'{"kind": "model_config", "config": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@hostile("record", about="results")
def numbers_beyond_all(run: Run, outside: Path) -> None:
    path = record(run, layout.RESULTS)
    data = path.read_bytes()
    data = data.replace(b'"epoch_count": ', b'"epoch_count": 1' + b"0" * 5000)
    path.write_bytes(data.replace(b'"training_seconds": ', b'"training_seconds": 1e999999, "x": '))


@hostile("record", about="Unicode|surrogate|JSON")
def lone_surrogates(run: Run, outside: Path) -> None:
    path = record(run, layout.RUN)
    path.write_bytes(path.read_bytes().replace(b'"kind": "run"', b'"kind": "run", "group": "\\ud800"'))
    _append_raw(run, f'{{"event":"logged",{STAMP},"details":{{"name":"\\udc80"}}}}')


@hostile("record", about="tiny")
def terminal_codes_in_fields(run: Run, outside: Path) -> None:
    """In keys, values and names: whatever is printed, no code reaches the terminal."""

    def edit(document: Any) -> None:
        document[f"a{ESCAPES}"] = f"\0{ESCAPES}{TURNED}"
        document["group"] = f"{ESCAPES}{TURNED}\r\n\0"

    edit_json(record(run, layout.RUN), edit)
    edit_json(record(run, layout.RESULTS), lambda document: document.update(kind=f"{ESCAPES}{TURNED}"))
    _append(run, "step_failed", {"step": f"x{ESCAPES}", "file": f"{ESCAPES}\r", "exception": {"type": TURNED}})
    _append(run, "warning", {"message": f"{ESCAPES}{TURNED}"})


@hostile("record", about="too many to list", seconds=30, mebibytes=1200)
def record_of_very_many_keys(run: Run, outside: Path) -> None:
    document = json.loads(record(run, layout.GIT).read_bytes())
    document |= {f"key{index}": index for index in range(campaign(100_000, 1_000_000))}
    _set(run, layout.GIT, json.dumps(document).encode())


@hostile("unreadable", about="Expected at most")
def record_of_a_terabyte_of_nothing(run: Run, outside: Path) -> Any:
    return _afterwards(lambda: os.truncate(record(run, layout.RUN), 1 << 40))


@hostile("record", about="values", seconds=60, mebibytes=1200)
def records_that_become_large_in_memory(run: Run, outside: Path) -> None:
    for file in (layout.TRAIN_CONFIG, layout.PREPROCESSING, layout.OPTIMIZER_CONFIG):
        _set(run, file, b'{"x": [' + b"[]," * 4_000_000 + b"[]]}")


@hostile("record", about="newer version")
def record_of_a_future_version(run: Run, outside: Path) -> None:
    edit_json(record(run, layout.RESULTS), lambda document: document.update(format_version=2))


@hostile("schema", about="is no schema")
def another_schema(run: Run, outside: Path) -> None:
    (run.path / "schemas" / "results.schema.json").write_text("{}")


@hostile("schema", about="expected '../schemas/results.schema.json'")
def schema_from_elsewhere(run: Run, outside: Path) -> None:
    edit_json(record(run, layout.RESULTS), lambda document: document.update({"$schema": "file:///etc/passwd"}))


@hostile("record", "missing", about="secret.txt")
def table_of_weights_in_another_folder(run: Run, outside: Path) -> None:
    def edit(document: Any) -> None:
        for part in document["formats"].values():
            part["file"] = "../../outside/secret.txt"

    edit_json(record(run, layout.WEIGHTS), edit)
    _set(run, layout.SYSTEM, b"[]")


# -- reports and traces


@hostile(told=("needs_trust",), about="README.html")
def report_that_runs_a_script(run: Run, outside: Path) -> None:
    path = run.path / "README.html"
    path.write_text(path.read_text().replace("</body>", "<script>alert(1)</script></body>"))


@hostile(told=("needs_trust",), about="README.md")
def report_with_html_in_it(run: Run, outside: Path) -> None:
    with (run.path / "README.md").open("a") as file:
        file.write('\n<img src="x" onerror="alert(1)">\n[click](javascript:alert(1))\n')


@hostile(told=("needs_trust",), about="figures/x.svg")
def figure_that_runs_a_script(run: Run, outside: Path) -> None:
    (run.path / "figures").mkdir(exist_ok=True)
    (run.path / "figures" / "x.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>')


@hostile(told=("needs_trust",), about="traces/memory.csv")
def trace_with_formulas(run: Run, outside: Path) -> None:
    with (run.path / "traces" / "memory.csv").open("a") as file:
        file.write("=cmd|'/c calc'!A1,0\n")


@hostile("disagreement", about="traces/memory.csv", seconds=20, mebibytes=300)
def trace_of_one_line(run: Run, outside: Path) -> None:
    (run.path / "traces" / "memory.csv").write_bytes(b"elapsed_seconds,part" + b",1" * (campaign(2, 32) << 20))


@hostile("disagreement", about="traces/memory.csv", seconds=20, mebibytes=300)
def trace_of_many_columns(run: Run, outside: Path) -> None:
    columns = b"elapsed_seconds,part," + b",".join(b"c%d_bytes" % index for index in range(100_000))
    (run.path / "traces" / "memory.csv").write_bytes((columns + b"\n") + b"1," * 100_000 + b"1\n")


# -- model files


@hostile(told=("needs_trust",), about="Lambda")
def lambda_in_the_model(run: Run, outside: Path) -> None:
    """The record of the model says nothing of it: an attacker writes that, too."""
    function = {"class_name": "__lambda__", "config": {"code": "4wEA"}}
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "f", "function": function}}
    _edit_keras(run, {"config.json": json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}).encode()})


@hostile(told=("needs_trust",), about="os.system")
def foreign_module_in_the_model(run: Run, outside: Path) -> None:
    layer = {"module": "os", "class_name": "system", "config": {"command": "touch owned"}}
    _edit_keras(run, {"config.json": json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}).encode()})


@hostile(told=("needs_trust",), about="models/tiny.h5")
def lambda_in_the_legacy_model(run: Run, outside: Path) -> None:
    layer = {"class_name": "Lambda", "config": {"name": "f", "function": ["4wEA", None, None]}}
    with h5py.File(record(run, layout.H5_MODEL), "r+") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}).encode()


@hostile(told=("needs_trust",), about="config.json: too many values", mebibytes=400)
def deep_configuration(run: Run, outside: Path) -> None:
    _edit_keras(run, {"config.json": b"[" * (50 << 20)}, zipfile.ZIP_DEFLATED)


@hostile(told=("needs_trust",), about="config.json: it is no JSON")
def configuration_that_is_none(run: Run, outside: Path) -> None:
    _edit_keras(run, {"config.json": b"\xff\xfe{"})


@hostile("tensor", about="far more than is stored", seconds=20)
def zip_bomb(run: Run, outside: Path) -> None:
    path = record(run, layout.KERAS_MODEL)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("config.json", "{}")
        with archive.open("model.weights.h5", "w", force_zip64=True) as member:
            for _ in range(64):
                member.write(bytes(1 << 20))
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\1\2")
    data[entry + 24 : entry + 28] = struct.pack("<I", 0xFFFFFFF0)  # four gigabytes declared
    path.write_bytes(data)


@hostile("tensor", about="is there twice")
def duplicate_members(run: Run, outside: Path) -> None:
    path = record(run, layout.KERAS_MODEL)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", '{"class_name": "Lambda"}')


@hostile("tensor", about="overlap")
def members_in_the_same_bytes(run: Run, outside: Path) -> None:
    """As in the bombs of David Fifield: one kernel, and many names for it."""
    path = record(run, layout.CHECKPOINT_VARIABLES)
    kernel = io.BytesIO()
    np.lib.format.write_array(kernel, np.zeros(1 << 16))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", kernel.getvalue())
        first = archive.filelist[0]
        for index in range(200):
            other = zipfile.ZipInfo(f"b{index}.npy")
            for name in ("header_offset", "CRC", "compress_size", "file_size", "compress_type", "flag_bits"):
                setattr(other, name, getattr(first, name))
            archive.filelist.append(other)
            archive.NameToInfo[other.filename] = other
        archive._didModify = True


@hostile("tensor", about="tiny.keras")
def zip64_that_lies(run: Run, outside: Path) -> None:
    path = record(run, layout.KERAS_MODEL)
    with zipfile.ZipFile(path, "w") as archive, archive.open("model.weights.h5", "w", force_zip64=True) as member:
        member.write(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\1\2")
    data[entry + 20 : entry + 28] = b"\xff" * 8
    extra = struct.pack("<HHQQ", 1, 16, (1 << 64) - 1, (1 << 63) - 1)
    name_bytes = struct.unpack_from("<H", data, entry + 28)[0]
    data[entry + 30 : entry + 32] = struct.pack("<H", len(extra))
    at = entry + 46 + name_bytes
    data[at:at] = extra
    end = data.rfind(b"PK\5\6")
    data[end + 12 : end + 16] = struct.pack("<I", end - entry)
    path.write_bytes(data)


@hostile("tensor", about="unsafe name")
def member_with_a_parent_path(run: Run, outside: Path) -> None:
    with zipfile.ZipFile(record(run, layout.KERAS_MODEL), "a") as archive:
        archive.writestr("../../outside/secret.txt", "overwritten")


class Evil:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("/tmp/archiver-unpickled",)


@hostile("tensor", about="unusual header")
def pickled_objects_in_the_checkpoint(run: Run, outside: Path) -> None:
    np.savez(record(run, layout.CHECKPOINT_VARIABLES), **{"model/0": np.array([Evil()], object)})


@hostile("tensor", about="does not begin like an array")
def pickle_in_the_predictions(run: Run, outside: Path) -> None:
    with zipfile.ZipFile(record(run, layout.PREDICTIONS), "w") as archive:
        archive.writestr("output.npy", pickle.dumps(Evil()))


@hostile("tensor", about="not as long as its header says")
def array_that_lies_about_its_shape(run: Run, outside: Path) -> None:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**18}, 99), }}\n"
    with zipfile.ZipFile(record(run, layout.PREDICTIONS), "w") as archive:
        archive.writestr("output.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode())


def h5(run: Run) -> h5py.File:
    """The weights, open for changes."""
    return h5py.File(record(run, layout.WEIGHTS_H5), "r+")


@hostile("tensor", about="second hard link")
def groups_in_a_circle(run: Run, outside: Path) -> None:
    with h5(run) as file:
        file["layers/again"] = file["/"]


@hostile(told=(), about="", mebibytes=300)
def huge_attribute(run: Run, outside: Path) -> None:
    """Nothing reads it: attributes are no tensors."""
    with h5(run) as file:
        for index in range(400):
            file.attrs[f"a{index}"] = np.zeros(60_000, "u1")


@hostile("tensor", about="external storage")
def tensor_in_another_file(run: Run, outside: Path) -> None:
    with h5(run) as file:
        file.create_dataset("x", shape=(10,), dtype="u1", external=[(str(outside / "secret.txt"), 0, 10)])


@hostile("tensor", about="virtual")
def virtual_dataset(run: Run, outside: Path) -> None:
    virtual = h5py.VirtualLayout((10,), "f4")
    virtual[:] = h5py.VirtualSource(str(outside / "secret.txt"), "x", (10,))
    with h5(run) as file:
        file.create_virtual_dataset("x", virtual)


@hostile("tensor", about="a soft link")
def soft_link(run: Run, outside: Path) -> None:
    with h5(run) as file:
        file["layers/link"] = h5py.SoftLink("/layers")


@hostile("tensor", about="a link to another file")
def external_link(run: Run, outside: Path) -> None:
    with h5(run) as file:
        file["layers/link"] = h5py.ExternalLink(str(outside / "secret.h5"), "/")


@hostile("tensor", about="too much memory to read in order")
def tensor_without_bounds(run: Run, outside: Path) -> None:
    with h5(run) as file:
        file.create_dataset("x", shape=(50_000_000, 50_000_000), dtype="f4", chunks=(1000, 1000), compression="gzip")


@hostile("tensor", about="more than it can need")
def chunk_that_is_a_bomb(run: Run, outside: Path) -> None:
    """The place of a real tensor: a chunk of few bytes declared, and 256 megabytes packed."""
    import zlib

    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    with h5(run) as file:
        place = next(iter(_tensors(file)))
        shape = file[place].shape
        del file[place]
        made = file.create_dataset(place, shape=shape, dtype="f4", chunks=shape or None, compression=9)
        made.id.write_direct_chunk((0,) * len(shape), packed)


@hostile("tensor", about="more than it can need|unpacks to|does not begin")
def user_block(run: Run, outside: Path) -> None:
    path = record(run, layout.WEIGHTS_H5)
    path.write_bytes(b"#!/bin/sh\ntouch /tmp/archiver-executed\n".ljust(512, b"\n") + path.read_bytes())


@hostile("tensor", about="nested too deep")
def deep_groups(run: Run, outside: Path) -> None:
    with h5(run) as file:
        file["/".join("g" * 70)] = 1


# -- helpers


def _tensors(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) and item.ndim else None)
    return found


def _set(run: Run, file: layout.ArchiveFile, data: bytes) -> None:
    record(run, file).write_bytes(data)


def _append_raw(run: Run, line: str) -> None:
    with (run.path / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def _append(run: Run, event: str, details: Any) -> None:
    _append_raw(run, f'{{"event":{json.dumps(event)},{STAMP},"details":{json.dumps(details)}}}')


def _edit_keras(run: Run, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    path = record(run, layout.KERAS_MODEL)
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in (kept | members).items():
            archive.writestr(name, data)


@contextlib.contextmanager
def _afterwards(change: Callable[[], object]) -> Iterator[None]:
    """What cannot be sealed, such as a terabyte, is put there afterwards."""
    change()
    yield


@contextlib.contextmanager
def _growing(path: Path) -> Iterator[None]:
    """Somebody appends to the file, a megabyte at a time, faster than most would read it."""
    stop = threading.Event()

    def append() -> None:
        with path.open("ab") as file:
            while not stop.is_set() and file.tell() < 1 << 28:
                file.write(bytes(1 << 20))

    thread = threading.Thread(target=append, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        path.unlink(missing_ok=True)


def _nest(folder: Path, depth: int) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=descriptor)
        inner = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


def remove(folder: Path) -> None:
    """Remove what `shutil.rmtree` cannot, as folders nested ten thousand deep."""
    import subprocess

    subprocess.run(["rm", "-rf", str(folder)], check=True)
