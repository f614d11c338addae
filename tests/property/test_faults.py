"""Every fault is found and named, wherever it is and whatever it keeps; an untouched archive never has a finding."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver import layout, verify
from archiver.archive.run import Run
from archiver.archive.verifying import HashChoice
from archiver.records.model import VariablePart
from archiver.testing import tiny_run
from tests.property.campaigns import campaign
from tests.property.faults import WAYS, Damage, Subject, is_named

ALGORITHMS: tuple[HashChoice, ...] = ("blake3", "sha256", "md5", "all")
EXAMPLES = campaign(normal=16, stress=527)
"""Of each of the ways: about 300 faults in every run of the tests, 10,000 under `make stress`."""

random_campaign = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two phases, test results, three seals."""
    return tiny_run(tmp_path_factory.mktemp("faults"), phases=2, tested=True)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of such an archive as they were sealed before."""
    folder = tiny_run(tmp_path_factory.mktemp("older"), tested=True).path
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.stress
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_fault_is_found_and_named(
    way: Callable[[Subject, Any], Damage], run: Run, older: dict[str, bytes]
) -> None:
    @random_campaign
    @given(data=st.data(), algorithm=st.sampled_from(ALGORITHMS), deep=st.booleans())
    def try_it(data: st.DataObject, algorithm: HashChoice, deep: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            subject = Subject(Path(shutil.copytree(run.path, Path(folder, "run"))), older, Path(folder))
            damage = way(subject, data.draw)
            report = verify(subject.folder, algorithm=algorithm, deep=deep)
            if algorithm in damage.blind:
                # The one thing that needs BLAKE3: no other file holds the digests of the last manifest.
                assert report.is_whole, report.findings
                report = verify(subject.folder, deep=deep)
            assert not report.is_whole, damage
            assert is_named(report, damage), (damage, report.findings)

    try_it()


# -- deep


TENSORS = ("keras", "h5", "weights.h5", "npz")


def tensors_of(run: Run, form: str) -> tuple[str, tuple[VariablePart, ...]]:
    if form == "npz":
        state = run.read(layout.CHECKPOINT_STATE)
        parts = state.optimizer + state.metrics + state.model + state.seed_generators
        return layout.CHECKPOINT_VARIABLES.path(run.name), parts
    return layout.MODEL_FORMATS[form].path(run.name), run.read(layout.WEIGHTS).variables


@pytest.mark.stress
@pytest.mark.parametrize("form", TENSORS)
def test_a_bit_in_a_tensor_is_named_by_layer_and_variable(form: str, run: Run) -> None:
    file, variables = tensors_of(run, form)
    whole = (run.path / file).read_bytes()

    @settings(random_campaign, max_examples=campaign(12, 500))
    @given(data=st.data(), variable=st.sampled_from(variables))
    def try_it(data: st.DataObject, variable: VariablePart) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(shutil.copytree(run.path, Path(folder, "run")))
            raw = value_of(run, variable)
            start = whole.find(raw)
            bit = data.draw(st.integers(0, 8 * len(raw) - 1))
            damaged = bytearray(whole)
            damaged[start + bit // 8] ^= 1 << bit % 8
            (path / file).write_bytes(damaged)
            findings = verify(path, deep=True).findings
            assert {finding.code for finding in findings} == {"changed", "tensor"}
            (tensor,) = (finding for finding in findings if finding.code == "tensor")
            assert tensor.path == file
            assert f"variable {variable.path}" in tensor.message
            assert variable.layer is None or f"of layer {variable.layer}" in tensor.message

    try_it()


def value_of(run: Run, variable: VariablePart) -> bytes:
    """The bytes of a variable, unique in its file."""
    from archiver.storage.npz import read_npz_array

    state = run.read(layout.CHECKPOINT_STATE)
    for group in ("model", "optimizer", "metrics", "seed_generators"):
        for part in getattr(state, group):
            if part.sha256 == variable.sha256:
                array = read_npz_array(run.path_of(layout.CHECKPOINT_VARIABLES), f"{group}/{part.index}")
                return array.tobytes()
    raise AssertionError(f"{variable.path} is not in the checkpoint")


# -- the other side


def by_copytree(source: Path, folder: Path) -> Path:
    return Path(shutil.copytree(source, folder / source.name))


def by_cp(source: Path, folder: Path) -> Path:
    subprocess.run(["cp", "-r", str(source), str(folder)], check=True)
    return folder / source.name


def by_hard_links(source: Path, folder: Path) -> Path:
    return Path(shutil.copytree(source, folder / "linked", copy_function=os.link))


def by_moving(source: Path, folder: Path) -> Path:
    return Path(shutil.move(by_copytree(source, folder), folder / "moved away" / "ärchive"))


def by_renaming(source: Path, folder: Path) -> Path:
    return by_copytree(source, folder).rename(folder / "another_name_models")


def read_only(source: Path, folder: Path) -> Path:
    copy = by_copytree(source, folder)
    for path in [*copy.rglob("*"), copy]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return copy


def with_other_times(source: Path, folder: Path) -> Path:
    copy = by_copytree(source, folder)
    for path in copy.rglob("*"):
        os.utime(path, (0, 0))
    return copy


def behind_a_link(source: Path, folder: Path) -> Path:
    (folder / "link").symlink_to(by_copytree(source, folder))
    return folder / "link"


COPIES = (
    by_copytree, by_cp, by_hard_links, by_moving, by_renaming, read_only, with_other_times, behind_a_link,
)  # fmt: skip


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Archives of every kind of run."""
    root = tmp_path_factory.mktemp("untouched")
    return [
        tiny_run(root, epochs=1),
        tiny_run(root, tested=True),
        tiny_run(root, phases=3),
        tiny_run(root, "x" * 150, status="failed"),
        tiny_run(root, "_", status="interrupted"),
        tiny_run(root, "a b é", phases=2, status="interrupted"),
    ]


@pytest.mark.stress
@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.__name__)
def test_an_untouched_archive_has_no_finding(
    copy: Callable[[Path, Path], Path], untouched: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    @settings(random_campaign, max_examples=campaign(4, 125))
    @given(which=st.integers(0, 5), algorithm=st.sampled_from(ALGORITHMS), deep=st.booleans(), inside=st.booleans())
    def try_it(which: int, algorithm: HashChoice, deep: bool, inside: bool) -> None:
        source = untouched[which]
        # Beside the source, since hard links do not lead to another file system.
        beside = source.path.parents[1]
        with tempfile.TemporaryDirectory(dir=beside) as folder, monkeypatch.context() as patch:
            (Path(folder) / "moved away").mkdir()
            path = copy(source.path, Path(folder))
            patch.chdir(path if inside else path.parent)
            report = verify("." if inside else path.name, algorithm=algorithm, deep=deep)
            assert report.findings == ()
            assert {finding.code for finding in report.information} <= {"hard_link"}
            assert report.name == source.name
            assert report.seal_id == source.seal_id

    try_it()
