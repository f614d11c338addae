"""What differs in the installed packages: those that compute first."""

from __future__ import annotations

import re

from archiver.comparison.differences import Cause, Found, Rank
from archiver.comparison.facts import Topic, differing, fact, known, merged, short
from archiver.records.environment import PackagePart, PackagesRecord

RECORD = "packages"
_COMPUTES = re.compile(
    r"keras|keras-(?:nightly|hub|cv|nlp)|tensorflow(?:-.+)?|tf-nightly(?:-.+)?|tf-keras|jax|jaxlib|jax-.+|flax|torch|"
    r"numpy|ml-dtypes|opt-einsum|triton|nvidia-.+|mkl|intel-openmp|onednn|oneccl.*|libtpu.*|rocm-.+"
)
"""Normalised names of what computes: backends, what they are made of, and NumPy."""
_PREPARES = re.compile(
    r"scipy|h5py|hdf5plugin|pandas|pyarrow|scikit-learn|scikit-image|pillow|opencv-.+|albumentations|torchvision|librosa|"
    r"tensorflow-datasets|datasets|pyedflib|mne|numba|soundfile|polars|xgboost|lightgbm"
)
"""Normalised names of what reads and prepares data."""
_OWN = "keras-archiver"
_NUMERIC = "computes: bits may differ between its versions"
_READING = "may read or prepare data in another way"
_OTHER = "matters only where the program uses it"


def causes_in_packages(before: PackagesRecord, after: PackagesRecord) -> Found:
    """Versions, and contents where the versions are equal."""
    for name in merged(before.packages, after.packages):
        if name != _OWN:
            yield from _package(name, before.packages.get(name), after.packages.get(name))
    if before.conda_packages is not None and after.conda_packages is not None:
        old, new = before.conda_packages, after.conda_packages
        for name in merged(old, new):
            texts = [f"{part.version} {part.build}" if part else None for part in (old.get(name), new.get(name))]
            facts = [(fact(_topic(name), f"conda package {name}", text, "conda_packages", name),) for text in texts]
            yield from differing(RECORD, *facts)


def _topic(name: str) -> Topic:
    if _COMPUTES.fullmatch(name):
        return Topic("packages", Rank.NUMERIC_PACKAGE, _NUMERIC)
    if _PREPARES.fullmatch(name):
        return Topic("packages", Rank.PYTHON, _READING)
    return Topic("packages", Rank.PACKAGE, _OTHER)


def _package(name: str, before: PackagePart | None, after: PackagePart | None) -> Found:
    topic = _topic(name)
    versions = [None if part is None else known(part.version) or "unknown version" for part in (before, after)]
    if versions[0] != versions[1]:
        where = f"{RECORD}#/packages/{name}/version"
        yield Cause("packages", f"package {name}", versions[0], versions[1], topic.rank, topic.why, where)
        return
    marks = [short(known(part.record_sha256)) if part else None for part in (before, after)]
    if marks[0] and marks[1] and marks[0] != marks[1]:
        why = f"version {versions[0]} in both, and yet other files: another build, or edited in place"
        where = f"{RECORD}#/packages/{name}/record_sha256"
        yield Cause("packages", f"contents of package {name}", marks[0], marks[1], topic.rank, why, where)
    links = [part.editable if part else None for part in (before, after)]
    if links[0] != links[1]:
        why = "an editable package is a folder whose content is not fingerprinted"
        where = f"{RECORD}#/packages/{name}/editable"
        yield Cause("packages", f"package {name} is editable", links[0], links[1], topic.rank, why, where)
