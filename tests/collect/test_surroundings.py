"""Containers and services, by the traces they really leave."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from archiver.collect.surroundings import collect_container, runs_in, shell
from archiver.records.base import Unavailable

ID = "0123456789abcdef" * 4


@pytest.fixture
def process(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "cgroup").write_text("0::/\n")
    (folder / "mountinfo").write_text("")
    return folder


def test_nothing_hints_at_a_container(tmp_path: Path, process: Path) -> None:
    assert collect_container({}, tmp_path, process) is None


def test_podman_tells_everything(tmp_path: Path, process: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".containerenv").write_text(
        f'engine="podman-4.9"\nname="box"\nid="{ID}"\nimage="docker.io/library/python:3.11"\nimageid="{ID[::-1]}"\n'
    )
    part = collect_container({"container": "oci"}, tmp_path, process)
    assert part is not None
    assert (part.kind, part.id, part.image) == ("podman", ID, "docker.io/library/python:3.11")
    assert part.image_id == ID[::-1]


def test_docker_with_a_namespace_of_its_own(tmp_path: Path, process: Path) -> None:
    (tmp_path / ".dockerenv").touch()
    (process / "mountinfo").write_text(
        f"591 576 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
    )
    part = collect_container({"CONTAINER_IMAGE": "https://u:hunter2@registry/i:1"}, tmp_path, process)
    assert part is not None
    assert (part.kind, part.id, part.image) == ("docker", ID, "https://registry/i:1")
    assert isinstance(part.image_id, Unavailable)


@pytest.mark.parametrize(
    ("variables", "group", "kind"),
    [
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "0::/", "kubernetes"),
        ({}, f"0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-{ID}.scope", "kubernetes"),
        ({}, f"12:memory:/docker/{ID}", "docker"),
        ({}, f"0::/user.slice/libpod-{ID}.scope", "podman"),
        ({"container": "lxc"}, "0::/", "lxc"),
        ({"container": "systemd-nspawn"}, "0::/", "systemd-nspawn"),
        ({"SINGULARITY_NAME": "tf.sif", "SINGULARITY_CONTAINER": "/data/tf.sif"}, "0::/", "apptainer"),
    ],
)
def test_other_traces(variables: dict[str, str], group: str, kind: str, tmp_path: Path, process: Path) -> None:
    (process / "cgroup").write_text(f"{group}\n")
    part = collect_container(variables, tmp_path, process)
    assert part is not None
    assert part.kind == kind
    assert part.id == ID if ID in group else isinstance(part.id, Unavailable)
    assert part.image == "/data/tf.sif" if kind == "apptainer" else isinstance(part.image, Unavailable)


def test_services_and_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "slurm" in runs_in({"SLURM_JOB_ID": "7"})
    assert "colab" in runs_in({"COLAB_RELEASE_TAG": "release-1"})
    assert "kaggle" in runs_in({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"})
    assert "slurm" not in runs_in({"SLURM_JOB_ID": ""})
    monkeypatch.setitem(sys.modules, "debugpy", sys)
    assert runs_in({}) == ("debugger",)


def test_ipython_that_is_only_imported_is_no_shell() -> None:
    import IPython

    assert IPython.get_ipython() is None
    assert shell() is None
    assert "ipython" not in runs_in({})
