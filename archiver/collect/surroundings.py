"""What the process runs in: a container, a virtual machine, a hosted service, a notebook."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from archiver.collect.attempts import text_of
from archiver.collect.command import recordable
from archiver.collect.redaction import redact_remote, redact_text
from archiver.records.base import Unavailable
from archiver.records.machine import ContainerPart

_FILES = {
    ".dockerenv": "docker",
    "run/.containerenv": "podman",
    ".singularity.d": "apptainer",
    "dev/lxd/sock": "lxc",
    "run/host/container-manager": "systemd-nspawn",
}
_VARIABLES = {
    "APPTAINER_NAME": "apptainer",
    "SINGULARITY_NAME": "apptainer",
    "KUBERNETES_SERVICE_HOST": "kubernetes",
}
_GROUPS = (
    ("kubepods", "kubernetes"), ("docker", "docker"), ("libpod", "podman"), ("lxc", "lxc"), ("garden", "garden"),
    ("machine.slice", "systemd-nspawn"), ("containerd", "containerd"),
)  # fmt: skip
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_FIELD = re.compile(r'^(\w+)="([^"]*)"$', re.MULTILINE)

_SERVICES = {
    "COLAB_RELEASE_TAG": "colab", "KAGGLE_KERNEL_RUN_TYPE": "kaggle", "DATABRICKS_RUNTIME_VERSION": "databricks",
    "SM_TRAINING_ENV": "sagemaker", "TRAINING_JOB_NAME": "sagemaker", "AZUREML_RUN_ID": "azure-ml",
    "CLOUD_ML_PROJECT_ID": "vertex-ai", "CLOUD_ML_JOB": "vertex-ai", "PAPERSPACE_NOTEBOOK_REPO_ID": "paperspace",
    "LIGHTNING_CLOUD_PROJECT_ID": "lightning", "RUNPOD_POD_ID": "runpod", "VAST_CONTAINERLABEL": "vast-ai",
    "SLURM_JOB_ID": "slurm", "PBS_JOBID": "pbs", "LSB_JOBID": "lsf", "COBALT_JOBID": "cobalt", "OAR_JOB_ID": "oar",
    "_CONDOR_SCRATCH_DIR": "htcondor", "SGE_TASK_ID": "grid-engine", "RAY_JOB_ID": "ray",
    "AWS_BATCH_JOB_ID": "aws-batch", "KUBERNETES_SERVICE_HOST": "kubernetes", "CODESPACES": "codespaces",
    "GITHUB_ACTIONS": "github-actions", "GITLAB_CI": "gitlab-ci", "JENKINS_URL": "jenkins",
    "TF_BUILD": "azure-pipelines",
    "OMPI_COMM_WORLD_SIZE": "openmpi", "TORCHELASTIC_RUN_ID": "torchrun", "PYTEST_CURRENT_TEST": "pytest",
    "VSCODE_PID": "vscode", "TMUX": "tmux", "STY": "screen",
}  # fmt: skip
_MODULES = {
    "google.colab": "colab", "ipykernel": "jupyter", "IPython": "ipython", "marimo": "marimo",
    "spyder_kernels": "spyder",
    "pydevd": "debugger", "debugpy": "debugger", "streamlit": "streamlit", "ray": "ray", "mpi4py.MPI": "mpi",
}  # fmt: skip


def collect_container(
    environ: Mapping[str, str] = os.environ, root: Path = Path("/"), process: Path = Path("/proc/self")
) -> ContainerPart | None:
    """The container, by the traces that container programs leave; None where there are none."""
    podman = dict(_FIELD.findall(text_of(root / "run/.containerenv")))
    groups = text_of(process / "cgroup")
    kind = _kind(environ, root, groups)
    if kind is None:
        return None
    image = podman.get("image") or _image(environ)
    return ContainerPart(
        kind=kind,
        id=podman.get("id") or _id(groups, process) or Unavailable(unavailable="the container is not told its id"),
        image=recordable(_without_secrets(image))
        if image
        else Unavailable(unavailable="the container is not told its image; give it a variable CONTAINER_IMAGE"),
        image_id=podman.get("imageid") or Unavailable(unavailable="the container is not told it"),
    )


def _kind(environ: Mapping[str, str], root: Path, groups: str) -> str | None:
    named = text_of(root / "run/systemd/container") or environ.get("container", "")
    candidates = [
        *(kind for variable, kind in _VARIABLES.items() if variable in environ),
        *(kind for file, kind in _FILES.items() if (root / file).exists()),
        *([named[:50]] if re.fullmatch(r"[\w.-]+", named) else []),
        *(kind for mark, kind in _GROUPS if mark in groups),
    ]
    return candidates[0] if candidates else None


def _id(groups: str, process: Path) -> str | None:
    """Where the process has a namespace of its own for control groups, files that Docker mounts still tell."""
    lines = [line for line in text_of(process / "mountinfo", 1 << 20).splitlines() if "/containers/" in line]
    found = _ID.search(groups) or _ID.search("\n".join(lines))
    return found[0] if found else None


def _image(environ: Mapping[str, str]) -> str | None:
    names = ("CONTAINER_IMAGE", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "SLURM_CONTAINER_IMAGE")
    return next((environ[name] for name in names if environ.get(name)), None)


def _without_secrets(address: str) -> str:
    return redact_remote(address) if "://" in address else redact_text(address)


def virtual_machine() -> str | None:
    """The hypervisor or cloud this machine is a guest of; None where nothing hints at one."""
    if "microsoft" in platform.release().lower():
        return "WSL"
    names = [text_of(f"/sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")]
    is_virtual = " hypervisor" in text_of("/proc/cpuinfo", 16 << 10) or text_of("/sys/hypervisor/type")
    if not is_virtual:
        return None
    return " ".join(filter(None, names)) or text_of("/sys/hypervisor/type") or "unknown hypervisor"


def runs_in(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Services, batch systems, notebooks and tools that the process says it runs under, sorted."""
    found = {name for variable, name in _SERVICES.items() if environ.get(variable)}
    found |= {name for module, name in _MODULES.items() if module in sys.modules and _is_at_work(module)}
    return tuple(sorted(found))


def _is_at_work(module: str) -> bool:
    """IPython may be imported by a library without anybody typing into it."""
    return module != "IPython" or shell() is not None


def shell() -> object | None:
    """The shell of IPython that runs the user's code (in Jupyter too); None where there is none."""
    module = sys.modules.get("IPython")
    get = getattr(module, "get_ipython", None)
    return get() if callable(get) else None
