"""Locks made from a real index on loopback, read by other people's tools."""

import contextlib
import functools
import hashlib
import http.server
import json
import platform
import subprocess
import sys
import threading
import tomllib
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.pylock import Pylock

from archiver import layout, verify
from archiver.archive.run import Run
from archiver.cli.main import cli
from archiver.errors import RunStateError
from archiver.records.environment import PackagePart
from archiver.reproduction.environment import locked_hashes, requirements_of
from archiver.reproduction.locking import lock_environment
from archiver.sealing import changing
from archiver.testing import tiny_run

PYTHON = f"{sys.version_info.major}{sys.version_info.minor}"
LINUX = f"cp{PYTHON}-cp{PYTHON}-manylinux_2_17_{platform.machine()}"


def write_wheel(folder: Path, name: str, version: str, tag: str) -> Path:
    path = folder / f"{name}-{version}-{tag}.whl"
    inner = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"version = {version!r}\n")
        archive.writestr(f"{inner}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{inner}/WHEEL", f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{inner}/RECORD", "")
    return path


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """The wheels of an index, by name of the file; and its address."""
    root = tmp_path_factory.mktemp("index")
    found = {}
    for name, version, tag in (
        ("alpha", "1.0", "py3-none-any"), ("alpha", "2.0", "py3-none-any"), ("beta", "3.1", LINUX),
        ("beta", "3.1", f"cp{PYTHON}-cp{PYTHON}-win_amd64"), ("delta", "1.0", "cp27-none-win32"),
    ):  # fmt: skip
        folder = root / name
        folder.mkdir(exist_ok=True)
        wheel = write_wheel(folder, name, version, tag)
        found[wheel.name] = hashlib.sha256(wheel.read_bytes()).hexdigest()
    handler = functools.partial(Quiet, directory=root)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def pip_asks(address: str):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONSTRAINT", "PIP_NO_INDEX"):
            patch.delenv(name, raising=False)
        patch.setenv("PIP_CONFIG_FILE", "/dev/null")
        patch.setenv("PIP_INDEX_URL", address)
        patch.setenv("PIP_NO_CACHE_DIR", "1")
        patch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        yield


def package(name: str, version: str, tag: str = "py3-none-any", **other) -> PackagePart:
    values = {"installer": "pip", "requested": False, "editable": False, "direct_url": None, "file_count": 1}
    return PackagePart(
        name=name, version=version, location="/somewhere", tags=(tag,), record_sha256="0" * 64, **(values | other)
    )


def make_run(folder: Path) -> Run:
    run = tiny_run(folder)
    packages = {
        "alpha": package("Alpha", "1.0"),
        "beta": package("beta", "3.1", LINUX),
        "delta": package("delta", "1.0"),
        "mine": package("mine", "0", editable=True, direct_url={"url": "file:///mine"}),
        "odd": package("odd", "1 --index-url=http://elsewhere"),
    }
    system = run.read(layout.SYSTEM)
    python = system.python.model_copy(update={"version": f"{sys.version.split()[0]} (main)"})
    with changing(run):
        run.write(layout.PACKAGES, run.read(layout.PACKAGES).model_copy(update={"packages": packages}))
        run.write(layout.SYSTEM, system.model_copy(update={"python": python}))
    return run


@pytest.fixture
def run(tmp_path) -> Run:
    return make_run(tmp_path)


@pytest.fixture(scope="module")
def locked(tmp_path_factory, index):
    """A run that was locked by the command, its seal before, and what the command said."""
    run = make_run(tmp_path_factory.mktemp("locked"))
    before = run.seal_id
    with pip_asks(index[1]):
        done = CliRunner().invoke(cli, ["lock", str(run.path)], catch_exceptions=False)
    assert done.exit_code == 0
    return run, before, done.output


def test_the_lock_has_the_files_of_the_index_and_says_what_it_lacks(locked, index):
    (run, before, output), (wheels, address) = locked, index
    verify(run.path).raise_for_findings()
    assert before != run.seal_id
    assert f"sealed: {run.seal_id}" in output
    document = tomllib.loads(run.path_of(layout.LOCK).read_text())
    lock = Pylock.from_dict(document)
    assert str(lock.requires_python) == f"=={sys.version_info.major}.{sys.version_info.minor}.*"
    assert [(each.name, str(each.version)) for each in lock.packages] == [("alpha", "1.0"), ("beta", "3.1")]
    for each in lock.packages:
        (wheel,) = each.wheels
        assert wheel.hashes == {"sha256": wheels[wheel.name]}
        assert wheel.url.startswith(address)
    assert document["tool"]["archiver"]["seal-id"] == before
    left_out = document["tool"]["archiver"]["left-out"]
    assert set(left_out) == {"delta", "mine", "odd"}
    assert "working folder" in left_out["mine"]
    assert "locked 2 of 5 packages" in output
    assert "left out: delta: the index has no wheel" in output
    assert "elsewhere" not in output


def test_pip_installs_from_the_lock_what_was_hashed(locked, index, tmp_path):
    run, report = locked[0], tmp_path / "report.json"
    options = ["--dry-run", "--ignore-installed", "--quiet", "--report", report, "-r", run.path_of(layout.LOCK)]
    with pip_asks(index[1]):
        command = [sys.executable, "-m", "pip", "install", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = [item["metadata"]["name"] for item in json.loads(report.read_text())["install"]]
    assert sorted(names) == ["alpha", "beta"]


@pytest.mark.parametrize("is_right", [True, False])
def test_a_rebuilt_environment_takes_the_files_of_the_lock_alone(locked, index, tmp_path, is_right):
    run = locked[0]
    found = requirements_of(run.read(layout.PACKAGES), tmp_path, locked_hashes(run))
    wheels = {name.partition("-")[0]: digest for name, digest in index[0].items() if "2.0" not in name}
    assert found.locked[0] == f"alpha==1.0 --hash=sha256:{wheels['alpha']}"
    assert [line.partition(" ")[0] for line in found.locked] == ["alpha==1.0", "beta==3.1"]
    assert found.lines == ("delta==1.0",)
    assert found.lists() == [found.locked, found.lines]
    listed = tmp_path / "locked.txt"
    text = "\n".join(found.locked)
    listed.write_text(text if is_right else text.replace(wheels["alpha"], "0" * 64))
    with pip_asks(index[1]):
        options = ["--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--requirement", listed]
        command = [sys.executable, "-m", "pip", "install", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == is_right, done.stderr


def test_a_lock_that_makes_no_sense_is_passed_over(locked, tmp_path):
    run = Run(tmp_path, "tiny")
    assert locked_hashes(run) == {}
    for text in ("nothing", "packages = [1]", 'packages = [{name = "a", version = "1", wheels = []}]'):
        run.path_of(layout.LOCK).parent.mkdir(exist_ok=True)
        run.path_of(layout.LOCK).write_text(text)
        assert locked_hashes(run) == {}


def test_an_archive_that_is_not_whole_is_left_as_it_is(run, index):
    run.path_of(layout.README).write_text("changed")
    with pip_asks(index[1]), pytest.raises(RunStateError, match=r"is not whole .*changed"):
        lock_environment(run)
    assert not run.has(layout.LOCK)


def test_an_index_that_does_not_answer_changes_nothing(run, monkeypatch):
    before = run.seal_id
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pip_asks("http://127.0.0.1:9"), pytest.raises(RunStateError, match="has none of the 3 packages"):
        lock_environment(run)
    assert run.seal_id == before
