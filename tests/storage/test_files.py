import errno
import multiprocessing
import os

import pytest

from archiver.errors import RunStateError, StorageError
from archiver.storage import files


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "a.txt"
    files.write_text(path, "old")
    monkeypatch.setattr(files.os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(StorageError, match=r"cannot write .*a\.txt: No space left.*free space") as caught:
        files.write_text(path, "new")
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["a.txt"]


def test_a_body_that_raises_leaves_nothing(tmp_path):
    def write_half():
        with files.replacing(tmp_path / "a.keras") as temporary:
            assert temporary.name.endswith("a.keras"), "Keras looks at the suffix"
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert os.listdir(tmp_path) == []


def test_an_append_that_fails_takes_its_part_back(tmp_path, monkeypatch):
    path = tmp_path / "journal"
    files.append_bytes(path, b"first\n")
    write = os.write

    def half(descriptor, data):
        if len(data) > 3:
            return write(descriptor, data[:3])
        raise OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr(files.os, "write", half)
    with pytest.raises(StorageError):
        files.append_bytes(path, b"second")
    assert path.read_bytes() == b"first\n"


def _claim(path, results):
    results.put(files.claim_folder(path))


def test_only_one_process_claims_a_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_claim, args=(tmp_path / "a", results)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(results.get() for _ in processes) == [False, False, False, True]


def test_cleaning_up(tmp_path):
    files.write_text(tmp_path / "kept" / "a", "1")
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    (tmp_path / "kept" / f"{files.TEMPORARY_PREFIX}1-b").write_text("left behind")
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / f"{files.TEMPORARY_PREFIX}2").write_text("left behind")
    files.remove_temporaries(tmp_path)
    files.remove_empty_folders(tmp_path)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["kept", "kept/a"]


# -- what is new


def test_a_new_file_or_folder_is_there_when_it_is_whole(tmp_path):
    with files.creating(tmp_path / "sub" / "file") as temporary:
        temporary.write_text("x")
        assert not (tmp_path / "sub" / "file").exists()
    with files.creating(tmp_path / "folder") as temporary:
        (temporary / "inside").mkdir(parents=True)
    assert (tmp_path / "sub" / "file").read_text() == "x"
    assert (tmp_path / "folder" / "inside").is_dir()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "inside", "sub"]


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_appears_meanwhile_is_left_alone(is_folder, tmp_path):
    def make():
        with files.creating(tmp_path / "new") as temporary:
            temporary.mkdir() if is_folder else temporary.write_text("ours")
            (tmp_path / "new").write_text("theirs")

    with pytest.raises(RunStateError, match="never overwritten"):
        make()
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("new", "theirs")]


def test_what_fails_leaves_nothing(tmp_path):
    def fail():
        with files.creating(tmp_path / "new") as temporary:
            temporary.mkdir()
            (temporary / "file").touch()
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match="free space"):
        fail()
    assert not list(tmp_path.iterdir())
