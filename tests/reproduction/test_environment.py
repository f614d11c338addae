"""What an environment is made from, where it is kept, and how it is compared with what was recorded."""

import sys
from pathlib import Path

import pytest

from archiver import layout
from archiver.collect.packages import collect_packages, normalised_name
from archiver.errors import CannotReproduceError
from archiver.records.base import utc_now
from archiver.records.environment import PackagePart, PackagesRecord
from archiver.reproduction import environment as environments
from archiver.reproduction.environment import compare, packages_of, planned, rebuilt, requirements_of
from archiver.reproduction.recipe import read_recipe
from archiver.reproduction.reproduction import Options, reproduce
from archiver.sealing import changing
from archiver.testing import tiny_run
from tests.reproduction.test_consent import with_program

HERE = Path("/home/u/project")


def package(name, version="1.0", url=None, editable=False, digest="0" * 64):
    return PackagePart(
        name=name, version=version, location="~/site", installer="pip", requested=False, editable=editable,
        direct_url=url, tags=(), record_sha256=digest, file_count=1,
    )  # fmt: skip


def packages(*parts):
    return PackagesRecord(collected=utc_now(), packages={normalised_name(part.name): part for part in parts})


def test_requirements_are_the_recorded_versions_and_places():
    git = {"url": "https://example.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    wheel = {"url": "https://example.org/b-2-py3-none-any.whl", "archive_info": {"hashes": {"sha256": "1" * 64}}}
    found = requirements_of(
        packages(
            package("NumPy", "2.1"), package("local", "1.0+cpu"), package("a", url=git), package("b", url=wheel),
            package("keras-archiver"), package("pip"),
            package("mine", url={"url": f"file://{HERE}", "dir_info": {"editable": True}}, editable=True),
        ),
        HERE,
    )  # fmt: skip
    assert found.lines == (
        "a @ git+https://example.org/a.git@abc",
        f"b @ https://example.org/b-2-py3-none-any.whl#sha256={'1' * 64}",
        "local==1.0+cpu",
        "numpy==2.1",
    )
    assert found.obstacles == ()
    assert found.digest("3.11.7") != found.digest("3.12.1")


def test_what_no_index_has_is_an_obstacle():
    folder = {"url": "file:///home/u/other", "dir_info": {"editable": True}}
    found = requirements_of(packages(package("other", url=folder, editable=True), package("odd", "1 ; x")), HERE)
    assert found.lines == ()
    assert found.obstacles == (
        "other was installed from the folder /home/u/other, which no index has",
        "odd has the version '1 ; x', which is none",
    )


def test_packages_are_compared_by_version_and_by_content():
    recorded = packages(*(package(name) for name in ("same", "newer", "edited", "missing", "keras-archiver")))
    found = packages(package("same"), package("newer", "1.1"), package("edited", digest="1" * 64))
    count, differences = compare(recorded, found)
    assert count == 4
    assert {each.name: each.reason for each in differences} == {
        "newer": "version 1.0, here 1.1",
        "edited": "1.0 with other files",
        "missing": "not installed here",
    }


def test_another_python_tells_its_packages():
    found = packages_of(sys.executable)
    assert compare(found, collect_packages()) == (len(set(found.packages) - {"keras-archiver", "pip", "uv"}), [])


def rebuildable(tmp_path, *parts):
    """An archive of those packages, on this Python."""
    run = with_program(tiny_run(tmp_path / "runs"))
    with changing(run):
        run.write(layout.PACKAGES, packages(*parts))
    return run


def test_an_environment_is_made_once_and_kept_under_its_digest(tmp_path, monkeypatch):
    """Of nothing, which needs no index."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(environments, "packages_of", lambda python: packages())
    plan = planned(read_recipe(rebuildable(tmp_path, package("pip"))))
    assert plan.folder.parent == tmp_path / "cache" / "archiver" / "environments"
    said = []
    part = rebuilt(plan, said.append).part
    assert (part.kind, part.requirements_sha256, part.differences) == ("rebuild", plan.digest, ())
    assert Path(plan.python).exists()
    assert "installing 0 packages" in said[0]
    rebuilt(plan, said.append)
    assert "made before" in said[1]
    (plan.folder / "archiver-environment.json").unlink()  # as a process leaves it that was killed
    rebuilt(plan, said.append)
    assert "installing 0 packages" in said[2]


def test_packages_that_cannot_be_had_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    run = rebuildable(tmp_path, package("no-such-package-of-archiver", "1.0"))
    with pytest.raises(CannotReproduceError, match="no-such-package-of-archiver"):
        reproduce(run.path, Options(tmp_path / "again", environment="rebuild", trust=True), lambda line: None)
    assert not (tmp_path / "again").exists()


def test_nothing_is_installed_without_consent(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    url = {"url": "https://example.org/evil.tar.gz", "archive_info": {}}
    run, lines = rebuildable(tmp_path, package("evil", url=url)), []
    with pytest.raises(CannotReproduceError, match="nothing was run"):
        reproduce(run.path, Options(tmp_path / "again", environment="rebuild"), lines.append)
    assert "  from elsewhere than an index: evil @ https://example.org/evil.tar.gz" in lines
    assert not (tmp_path / "cache").exists()


def test_a_python_that_is_not_here_is_named(tmp_path):
    run = rebuildable(tmp_path, package("numpy"))
    system = run.read(layout.SYSTEM)
    with changing(run):
        python = system.python.model_copy(update={"version": "3.99.1 (main)"})
        run.write(layout.SYSTEM, system.model_copy(update={"python": python}))
    with pytest.raises(CannotReproduceError, match=r"Python 3\.99 \(the run had 3\.99\.1\)"):
        planned(read_recipe(run))
