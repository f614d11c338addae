"""Packages that were edited in place are found, by real installations into a folder of their own."""

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from archiver.collect.package_changes import changes_of, find_changed_files

METADATA = "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def hash_of(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder into which pip installed a wheel."""
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    contents = {
        "thing/__init__.py": "value = 1\n",
        "thing/with space, comma.txt": "text\n",
        "thing-1.0.dist-info/METADATA": METADATA,
        "thing-1.0.dist-info/WHEEL": WHEEL,
    }
    rows = [f'"{name}",{hash_of(text)},{len(text)}' for name, text in contents.items()]
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in contents.items():
            archive.writestr(name, text)
        archive.writestr("thing-1.0.dist-info/RECORD", "\n".join([*rows, "thing-1.0.dist-info/RECORD,,", ""]))
    options = ["--quiet", "--no-index", "--no-deps", "--prefix", tmp_path]
    command = [sys.executable, "-m", "pip", "install", *options, wheel]
    subprocess.run(command, check=True, env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    (installed,) = tmp_path.glob("**/thing-1.0.dist-info")
    return installed.parent


def changes(site: Path):
    return changes_of(PathDistribution(site / "thing-1.0.dist-info"))


def later(path: Path) -> None:
    now = path.stat().st_mtime + 60
    os.utime(path, (now, now))


def test_what_was_just_installed_is_unchanged(site):
    assert changes(site) is None


def test_an_edit_of_another_size_is_found_whatever_the_time(site):
    path = site / "thing" / "__init__.py"
    before = path.stat()
    path.write_text("value = 100\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = changes(site)
    assert (found.changed, found.changed_count, found.missing_count) == (("thing/__init__.py",), 1, 0)


def test_an_edit_of_the_same_size_is_found_by_its_time(site):
    path = site / "thing" / "with space, comma.txt"
    path.write_text("tixt\n")
    later(path)
    assert changes(site).changed == ("thing/with space, comma.txt",)


def test_a_file_that_was_only_touched_is_not_reported(site):
    later(site / "thing" / "__init__.py")
    assert changes(site) is None


def test_a_file_that_is_gone_is_found(site):
    (site / "thing" / "__init__.py").unlink()
    found = changes(site)
    assert (found.changed_count, found.missing) == (0, ("thing/__init__.py",))


def test_all_packages_of_this_process_are_looked_at(site, monkeypatch):
    monkeypatch.syspath_prepend(str(site))
    (site / "thing" / "__init__.py").write_text("edited = True\n")
    broken = site / "broken-1.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("nothing")
    found = find_changed_files()
    assert found["thing"].changed == ("thing/__init__.py",)
    assert "keras" not in found


def test_a_hash_that_nobody_knows_is_compared_by_size(site):
    record = site / "thing-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text().replace("sha256=", "unheard="))
    later(site / "thing" / "__init__.py")
    assert changes(site) is None
    (site / "thing" / "__init__.py").write_text("of another size")
    assert changes(site).changed_count == 1
