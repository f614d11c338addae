"""Two runs that are the same, and copies of one of them to change."""

import shutil

import pytest

from archiver.archive.run import Run
from archiver.testing import tiny_run


@pytest.fixture(scope="session")
def twins(tmp_path_factory):
    """Two tested runs of three epochs that differ in nothing that matters."""
    root = tmp_path_factory.mktemp("twins")
    tiny_run(root, "warm", tested=True)  # what scoring imports is loaded in all that follow
    return tiny_run(root, "one", epochs=3, tested=True), tiny_run(root, "two", epochs=3, tested=True)


@pytest.fixture
def pair(twins, tmp_path):
    """The same, the second one to be changed."""
    return twins[0], Run(shutil.copytree(twins[1].path, tmp_path / "two_models"), "two")
