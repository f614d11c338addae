"""The environment variables that decide how a training runs, by an allow-list."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from archiver.collect.redaction import hide_home, is_secret_name, redact_arguments

_ALLOWED = re.compile(
    # the framework and its compiler; Terraform's variables begin with TF_, too
    r"(?!TF_(?:VAR|CLI|TOKEN|LOG|WORKSPACE|DATA_DIR|PLUGIN|REGISTRY))"
    r"(?:TF|TF2|TENSORFLOW|KERAS|TFDS|JAX|XLA|LIBTPU|TPU|TORCH|TORCHINDUCTOR|PYTORCH|TRITON)(?:_[A-Z0-9_]+)?|"
    # GPUs
    r"(?:CUDA|CUDNN|CUBLAS|CUBLASLT|CUFFT|CUSPARSE|CUSOLVER|NVRTC|NVIDIA|NVTE|NCCL|TRT|HIP|HSA|ROCR|ROCM|ROCBLAS|MIOPEN|"
    r"RCCL|AMD|GPU|ZE|SYCL|ONEAPI|METAL|MTL|UCX)(?:_[A-Z0-9_]+)?|"
    # numeric libraries and threads
    r"(?:OMP|KMP|GOMP|LIBGOMP|MKL|OPENBLAS|GOTO|BLIS|FLEXIBLAS|VECLIB|NUMEXPR|NUMBA|NPY|NUMPY|SCIPY|DNNL|ONEDNN|TBB|"
    r"HDF5|H5PY|ARROW|RAY|HOROVOD|OMPI|MPI|PMI|PMIX)(?:_[A-Z0-9_]+)?|"
    # memory, the C library, the linker
    r"(?:MALLOC|TCMALLOC|JEMALLOC|MIMALLOC|GLIBC)(?:_[A-Z0-9_]+)?|_RJEM_MALLOC_CONF|LD_[A-Z_]+|DYLD_[A-Z_]+|"
    # Python, its environment, its surroundings
    r"PYTHON[A-Z0-9_]*|VIRTUAL_ENV(?:_PROMPT)?|CONDA_(?:PREFIX|DEFAULT_ENV|SHLVL|PYTHON_EXE)|PIXI_ENVIRONMENT_NAME|"
    r"PYENV_VERSION|TOKENIZERS_PARALLELISM|"
    r"COLAB_(?:RELEASE_TAG|GPU|TPU_ADDR)|KAGGLE_(?:KERNEL_RUN_TYPE|DOCKER_IMAGE)|DATABRICKS_RUNTIME_VERSION|"
    r"CONTAINER_IMAGE|(?:APPTAINER|SINGULARITY)_(?:NAME|CONTAINER)|"
    # language and time
    r"LC_[A-Z]+|LANG|LANGUAGE|TZ|SOURCE_DATE_EPOCH|"
    # the job
    r"SLURM_(?:JOB_ID|JOB_NAME|JOB_PARTITION|JOB_NUM_NODES|ARRAY_JOB_ID|ARRAY_TASK_ID|NODEID|PROCID|LOCALID|STEP_ID|"
    r"NTASKS|CPUS_PER_TASK|CPUS_ON_NODE|GPUS|GPUS_ON_NODE|MEM_PER_NODE|MEM_PER_CPU|RESTART_COUNT|CPU_BIND\w*)|"
    r"PBS_(?:JOBID|NODENUM|ARRAY_INDEX|NCPUS)|LSB_(?:JOBID|JOBINDEX)|SGE_TASK_ID|"
    r"(?:LOCAL_|GROUP_|NODE_)?RANK|(?:LOCAL_)?WORLD_SIZE|MASTER_(?:ADDR|PORT)"
)
"""The variables by which the programs below a training are set: nothing else of the environment is recorded."""

MAXIMAL_VALUE_LENGTH = 4096

DECISIVE = (
    "PYTHONHASHSEED", "KERAS_BACKEND", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC", "TF_CUDNN_USE_AUTOTUNE",
    "TF_CUDNN_USE_FRONTEND", "TF_ENABLE_ONEDNN_OPTS", "TF_XLA_FLAGS", "XLA_FLAGS", "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_ENABLE_AUTO_MIXED_PRECISION", "NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "NCCL_ALGO", "NCCL_PROTO", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "MKL_CBWR", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE", "NPY_DISABLE_CPU_FEATURES", "JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_DEFAULT_PRNG_IMPL", "JAX_THREEFRY_PARTITIONABLE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)  # fmt: skip
"""The environment variables that decide bits."""


def allowed_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the allow-list, sorted; never one with a secret name.

    Values are cut after `MAXIMAL_VALUE_LENGTH` characters, secrets inside of them removed.
    """
    return {
        name: _bounded(hide_home(_redact_value(environ[name])))
        for name in sorted(environ)
        if _ALLOWED.fullmatch(name) and not is_secret_name(name)
    }


def variable(name: str) -> str | None:
    """The value of an environment variable as a record can hold it; None where it is not set."""
    value = os.environ.get(name)
    return None if value is None else allowed_environment({name: value}).get(name)


def _redact_value(value: str) -> str:
    """JSON (TF_CONFIG), or options as on a command line (XLA_FLAGS), or anything else."""
    words = [value] if value.lstrip()[:1] in ("{", "[") else value.split(" ")
    return " ".join(redact_arguments(words))


def _bounded(value: str) -> str:
    left_out = len(value) - MAXIMAL_VALUE_LENGTH
    return value if left_out <= 0 else f"{value[:MAXIMAL_VALUE_LENGTH]} ... ({left_out} more characters)"
