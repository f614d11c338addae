"""Numeric libraries: NumPy's real BLAS, and libraries compiled here that answer as those of a GPU do."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import archiver
from archiver.collect.libraries import collect_numeric_libraries, dotted, loaded_libraries
from archiver.records.base import Unavailable
from archiver.records.machine import LibraryPart, NumericLibrariesPart

CODE = (
    "import numpy; from archiver.collect.libraries import collect_numeric_libraries as c; print(c().model_dump_json())"
)


def test_the_blas_of_numpy_with_its_threads() -> None:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(Path(archiver.__file__).parents[1])}
    output = subprocess.run([sys.executable, "-c", CODE], env=environment, check=True, capture_output=True).stdout
    part = NumericLibrariesPart.model_validate_json(output)
    build = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    assert part.blas["numpy blas"] == f"{build['name']} {build['version']}"
    if "openblas" not in build["name"]:
        pytest.skip("this NumPy uses another library")
    (blas,) = (library for library in part.loaded if library.name == "openblas")  # type: ignore[union-attr]
    assert build["version"].startswith(str(blas.version))
    assert blas.threads == 1
    assert blas.details is not None
    assert "OpenBLAS" in blas.details


SOURCES = {
    "libcudnn.so.9": "unsigned long cudnnGetVersion(void) { return 90100; }",
    "libcudart.so.12": "int cudaRuntimeGetVersion(int *v) { *v = 12080; return 0; }",
    "libnccl.so.2": "int ncclGetVersion(int *v) { *v = 22703; return 0; }",
    "libcublas.so.12": "int cublasGetProperty(int kind, int *v) { int p[] = {12, 8, 4}; *v = p[kind]; return 0; }",
    "libcufft.so.11": "int cufftGetProperty(int kind, int *v) { return 1; }",
    "libgomp-a34b3233.so.1.0.0": "int omp_get_max_threads(void) { return 7; }",
    "libjemalloc.so.2": "int nothing(void) { return 0; }",
    "libmkl_rt.so": "int MKL_Get_Max_Threads(void) { __builtin_trap(); }",
    "libgompertz.so.3": "int other(void) { return 0; }",
}


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_libraries_are_asked_once_they_are_loaded(tmp_path: Path) -> None:
    """In a process of its own: a library cannot be unloaded with certainty."""
    for name, source in SOURCES.items():
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", tmp_path / name], input=source.encode(), check=True
        )
    code = (
        "import ctypes, json, sys; from archiver.collect.libraries import loaded_libraries as c\n"
        "before = c()\nkept = [ctypes.CDLL(path) for path in sys.argv[1:]]\n"
        "print(json.dumps([[p.model_dump() for p in part] for part in (before, c())]))"
    )
    paths = [str(tmp_path / name) for name in SOURCES]
    environment = os.environ | {"PYTHONPATH": str(Path(archiver.__file__).parents[1])}
    output = subprocess.run(
        [sys.executable, "-c", code, *paths], env=environment, check=True, capture_output=True
    ).stdout
    before, after = ({part["file"]: part for part in parts} for parts in json.loads(output))
    assert not set(paths) & set(before)
    found = {os.path.basename(file): part for file, part in after.items() if file in paths}
    assert {name: (part["name"], part["version"], part["threads"]) for name, part in found.items()} == {
        "libcudnn.so.9": ("cudnn", "9.1.0", None),
        "libcudart.so.12": ("cuda runtime", "12.8", None),
        "libnccl.so.2": ("nccl", "2.27.3", None),
        "libcublas.so.12": ("cublas", "12.8.4", None),
        "libcufft.so.11": ("cufft", "11", None),
        "libgomp-a34b3233.so.1.0.0": ("openmp (gnu)", "1.0.0", 7),
        "libjemalloc.so.2": ("jemalloc", "2", None),
        "libmkl_rt.so": ("mkl", {"unavailable": "neither it nor the name of its file tells"}, None),
    }


def test_a_library_that_is_gone_is_still_listed(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.write_text(
        "7f00-7f01 r-xp 00000000 08:01 42                         /no where/libnccl.so.2.21.5\n"
        "7f02-7f03 r--p 00000000 08:01 42                         /no where/libnccl.so.2.21.5\n"
        "7f04-7f05 rw-p 00000000 00:00 0                          [heap]\n"
    )
    parts = loaded_libraries(maps)
    assert parts == (LibraryPart(name="nccl", version="2.21.5", file="/no where/libnccl.so.2.21.5"),)
    assert isinstance(loaded_libraries(tmp_path / "none"), Unavailable)


def test_nothing_is_loaded_by_looking() -> None:
    loaded = Path("/proc/self/maps").read_text().count(".so")
    collect_numeric_libraries()
    assert Path("/proc/self/maps").read_text().count(".so") == loaded
    assert ctypes.CDLL(None) is not None


def test_versions_in_one_number() -> None:
    assert [dotted(number) for number in (8907, 90100, 91002, 2708, 22703)] == [
        "8.9.7", "9.1.0", "9.10.2", "2.7.8", "2.27.3",
    ]  # fmt: skip
