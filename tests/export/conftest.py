"""One sealed run for all exports, and a copy of it for a test that changes it."""

import shutil
from pathlib import Path

import pytest

from archiver.archive.run import Run
from archiver.testing import tiny_run


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tiny_run(tmp_path_factory.mktemp("sealed"), tested=True)


@pytest.fixture
def run(sealed: Run, tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(sealed.path, tmp_path / "tiny_models"))
