"""The numeric libraries the process has loaded: BLAS, threads, CUDA, cuDNN, allocators.

Only what is loaded already is looked at, and asked through functions that tell a constant and start nothing.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archiver.collect.command import recordable
from archiver.records.base import Unavailable
from archiver.records.machine import LibraryPart, NumericLibrariesPart

_NAMES = (
    (r"(?:lib)?(?:scipy_)?openblas", "openblas"), (r"libmkl_rt|libmkl_core", "mkl"), (r"libblis", "blis"),
    (r"libflexiblas", "flexiblas"), (r"libblas|libcblas", "blas"), (r"liblapack", "lapack"), (r"libnvpl_\w+", "nvpl"),
    (r"libarmpl\w*", "arm performance libraries"),
    (r"libgomp", "openmp (gnu)"), (r"libiomp5", "openmp (intel)"), (r"libomp", "openmp (llvm)"), (r"libtbb", "tbb"),
    (r"libdnnl", "onednn"),
    (r"libcudart", "cuda runtime"), (r"libcudnn|libcudnn_graph", "cudnn"), (r"libcublas", "cublas"),
    (r"libcublasLt", "cublaslt"), (r"libcufft", "cufft"), (r"libcurand", "curand"), (r"libcusolver", "cusolver"),
    (r"libcusparse", "cusparse"), (r"libnccl", "nccl"), (r"libnvrtc", "nvrtc"), (r"libnvinfer", "tensorrt"),
    (r"libnvJitLink", "nvjitlink"), (r"libcuda", "cuda driver"),
    (r"libamdhip64", "hip runtime"), (r"librocblas", "rocblas"), (r"libMIOpen", "miopen"), (r"librccl", "rccl"),
    (r"libtcmalloc(?:_minimal)?", "tcmalloc"), (r"libjemalloc", "jemalloc"), (r"libmimalloc", "mimalloc"),
)  # fmt: skip
_FILE = re.compile(
    rf"(?:{'|'.join(f'(?P<n{index}>{name})' for index, (name, _) in enumerate(_NAMES))})"
    r"(?:64_?)?(?:-[0-9a-f]{6,})?(?:-[\d.]+)?\.so(?:\.(?P<version>[\d.]+))?"
)
"""File names, with the checksum that `auditwheel` puts into those inside of wheels."""

LAST_OF_FOUR_DIGITS = 10_000

_Library = Any


def collect_numeric_libraries() -> NumericLibrariesPart:
    """The libraries that are loaded now, and what NumPy and SciPy were built with."""
    return NumericLibrariesPart(loaded=loaded_libraries(), blas=_blas())


def loaded_libraries(maps: Path = Path("/proc/self/maps")) -> tuple[LibraryPart, ...] | Unavailable:
    """Numeric libraries in the kernel's table of this process' memory."""
    try:
        text = maps.read_bytes()
    except OSError as error:
        return Unavailable(unavailable=f"the system does not list what is loaded: {error.strerror}")
    paths = {line.split(None, 5)[5] for line in text.splitlines() if b".so" in line}
    parts = [_library(os.fsdecode(path)) for path in paths]
    return tuple(sorted((part for part in parts if part is not None), key=lambda part: (part.name, part.file)))


def _library(path: str) -> LibraryPart | None:
    found = _FILE.fullmatch(os.path.basename(path))
    if found is None:
        return None
    name = next(name for index, (_, name) in enumerate(_NAMES) if found[f"n{index}"])
    library = _handle(path)
    version = _asked(_VERSIONS.get(name), library) or found["version"]
    return LibraryPart(
        name=name,
        version=version or Unavailable(unavailable="neither it nor the name of its file tells"),
        details=_asked(_DETAILS.get(name), library),
        threads=_asked(_THREADS.get(name), library),
        file=recordable(path),
    )


def _handle(path: str) -> _Library:
    """The library as it is loaded; never loads it."""
    try:
        return ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError:
        return None


def _asked(question: Callable[[_Library], Any] | None, library: _Library) -> Any:
    if question is None or library is None:
        return None
    try:
        return question(library)
    except (AttributeError, OSError, ValueError):  # it has no such function
        return None


def _returned(function: str, kind: Any = ctypes.c_int) -> Callable[[_Library], Any]:
    """A question whose answer is what `function()` returns."""

    def ask(library: _Library) -> Any:
        entry = getattr(library, function)
        entry.restype = kind
        return entry()

    return ask


def _stored(function: str) -> Callable[[_Library], int | None]:
    """A question whose answer `function(int *)` stores; 0 means that it did."""

    def ask(library: _Library) -> int | None:
        number = ctypes.c_int()
        return number.value if getattr(library, function)(ctypes.byref(number)) == 0 else None

    return ask


def _property(function: str) -> Callable[[_Library], str | None]:
    """A question to `function(kind, int *)`: kinds 0, 1 and 2 are the pieces of the version."""

    def ask(library: _Library) -> str | None:
        pieces = []
        for kind in range(3):
            number = ctypes.c_int()
            if getattr(library, function)(kind, ctypes.byref(number)) != 0:
                return None
            pieces.append(str(number.value))
        return ".".join(pieces)

    return ask


def _cuda(library: _Library) -> str | None:
    number = _stored("cudaRuntimeGetVersion")(library)
    return None if number is None else f"{number // 1000}.{number % 1000 // 10}"


def dotted(number: int) -> str:
    """A version of cuDNN or NCCL in one number: 8907 is 8.9.7, 90100 is 9.1.0, 22703 is 2.27.3."""
    major = 1000 if number < LAST_OF_FOUR_DIGITS else 10_000
    return f"{number // major}.{number % major // 100}.{number % 100}"


def _cudnn(library: _Library) -> str:
    return dotted(_returned("cudnnGetVersion", ctypes.c_size_t)(library))


def _nccl(library: _Library) -> str | None:
    number = _stored("ncclGetVersion")(library)
    return None if number is None else dotted(number)


def _openblas(function: str, kind: Any) -> Callable[[_Library], Any]:
    """A question to OpenBLAS, whose builds put letters before and behind the names of functions."""
    names = [f"{before}{function}{behind}" for before in ("scipy_", "") for behind in ("64_", "")]

    def ask(library: _Library) -> Any:
        name = next(name for name in names if hasattr(library, name))
        return _returned(name, kind)(library)

    return lambda library: ask(library) if any(hasattr(library, name) for name in names) else None


def _openblas_configuration(library: _Library) -> str | None:
    text = _openblas("openblas_get_config", ctypes.c_char_p)(library)
    core = _openblas("openblas_get_corename", ctypes.c_char_p)(library)
    return " ".join(each.decode(errors="replace").strip() for each in (text, core) if each) or None


def _openblas_version(library: _Library) -> str | None:
    found = re.search(r"OpenBLAS ([\d.]+)", _openblas_configuration(library) or "")
    return found[1] if found else None


_VERSIONS: dict[str, Callable[[_Library], Any]] = {
    "openblas": _openblas_version,
    "cuda runtime": _cuda,
    "cudnn": _cudnn,
    "nccl": _nccl,
    "cublas": _property("cublasGetProperty"),
    "cufft": _property("cufftGetProperty"),
    "curand": _property("curandGetProperty"),
    "cusolver": _property("cusolverGetProperty"),
    "cusparse": _property("cusparseGetProperty"),
}
_DETAILS: dict[str, Callable[[_Library], Any]] = {"openblas": _openblas_configuration}
_THREADS: dict[str, Callable[[_Library], Any]] = {
    "openblas": _openblas("openblas_get_num_threads", ctypes.c_int),
    "openmp (gnu)": _returned("omp_get_max_threads"),
}
"""The runtimes of Intel and LLVM, and MKL, are not asked: that would start them."""


def _blas() -> dict[str, str]:
    found = {}
    for module in ("numpy", "scipy"):
        for kind in ("blas", "lapack"):
            text = _built_with(sys.modules.get(module), kind)
            if text:
                found[f"{module} {kind}"] = text
    return found


def _built_with(module: Any, kind: str) -> str | None:
    try:
        build = module.show_config(mode="dicts")["Build Dependencies"][kind]
        return f"{build['name']} {build.get('version', '')}".strip()
    except (AttributeError, TypeError, KeyError):  # not imported, or built in another way
        return None
