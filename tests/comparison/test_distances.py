"""Distances block by block are those that numpy computes of the whole arrays."""

import itertools
import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from archiver.comparison import distances
from archiver.comparison.distances import Distance, distance_between, together
from archiver.storage.npz import write_npz
from archiver.storage.tensors import open_tensors

TYPES = ("float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool")


def pieces(data: bytes, item_bytes: int, cuts) -> list[bytes]:
    """`data` in blocks of whole elements, some of them empty."""
    places = sorted({0, len(data), *(cut * item_bytes % (len(data) + item_bytes) for cut in cuts)})
    places = [place for place in places if place <= len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


@st.composite
def pairs(draw):
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    shape = draw(st.integers(0, 60))
    limits = {"min_value": -1e4, "max_value": 1e4} if dtype.kind == "f" and draw(st.booleans()) else {}
    elements = arrays.from_dtype(dtype, **limits)
    made = arrays.arrays(dtype, shape, elements=elements)
    return draw(made), draw(made), draw(st.lists(st.integers(0, 70))), draw(st.lists(st.integers(0, 70)))


@given(pairs())
def test_distances_are_those_of_numpy(pair):
    x, y, cuts, others = pair
    size = x.dtype.itemsize
    found = distance_between(pieces(x.tobytes(), size, cuts), pieces(y.tobytes(), size, others), x.dtype.name)
    a, b = x.astype("float64"), y.astype("float64")
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    assert found.element_count == len(x)
    assert found.changed_count == np.count_nonzero(~same)
    finite = np.isfinite(a) & np.isfinite(b)
    assert found.non_finite_count == np.count_nonzero(~finite)
    with np.errstate(over="ignore"):
        a, b = np.where(finite, a, 0.0), np.where(finite, b, 0.0)
        for value, vector in ((found.norm_before, a), (found.norm_after, b), (found.distance, a - b)):
            assert value == pytest.approx(math.sqrt(float(np.sum(vector * vector))), rel=1e-12)
        assert found.maximal_absolute == np.max(np.abs(a - b), initial=0.0)
    if found.maximal_at is not None:
        assert abs(a[found.maximal_at] - b[found.maximal_at]) == found.maximal_absolute
    assert found.maximal_magnitude == max(np.max(np.abs(a), initial=0.0), np.max(np.abs(b), initial=0.0))


@given(pairs())
def test_swapping_mirrors(pair):
    x, y, *_ = pair
    one = distance_between([x.tobytes()], [y.tobytes()], x.dtype.name)
    other = distance_between([y.tobytes()], [x.tobytes()], x.dtype.name)
    assert (one.norm_before, one.norm_after) == (other.norm_after, other.norm_before)
    for name in (
        "changed_count",
        "non_finite_count",
        "distance",
        "maximal_absolute",
        "maximal_at",
        "relative",
        "cosine",
    ):
        assert getattr(one, name) == getattr(other, name)
    assert distance_between([x.tobytes()], [x.tobytes()], x.dtype.name).changed_count == 0


def test_many_blocks_and_stretches(monkeypatch):
    monkeypatch.setattr(distances, "STRETCH_BYTES", 1 << 10)
    numbers = np.random.default_rng(1)
    x, y = numbers.normal(size=(2, 10_007)).astype("float32")
    found = distance_between(pieces(x.tobytes(), 4, range(0, 9000, 997)), pieces(y.tobytes(), 4, [3, 5000]), "float32")
    a, b = x.astype("float64"), y.astype("float64")
    assert found.distance == pytest.approx(np.linalg.norm(a - b), rel=1e-13)
    assert found.maximal_at == int(np.argmax(np.abs(a - b)))
    assert found.cosine == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-9)
    assert found.relative == pytest.approx(np.linalg.norm(a - b) / max(np.linalg.norm(a), np.linalg.norm(b)), rel=1e-12)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn"])
def test_types_of_ml_dtypes(dtype):
    x, y = np.random.default_rng(2).normal(size=(2, 100)).astype(dtype)
    found = distance_between([x.tobytes()], [y.tobytes()], dtype)
    assert isinstance(x.dtype.type(0), ml_dtypes.bfloat16 | ml_dtypes.float8_e4m3fn)
    assert found.distance == pytest.approx(np.linalg.norm(x.astype("float64") - y.astype("float64")), rel=1e-12)


@pytest.mark.parametrize(("before", "after"), [(b"\0" * 8, b"\0" * 4), (b"", b"\0" * 4)])
def test_tensors_of_other_lengths_are_refused(before, after):
    with pytest.raises(ValueError, match="longer than the other"):
        distance_between([before], [after], "float32")


@pytest.mark.parametrize("dtype", ["complex64", "void16", "<U3", "object", "nonsense", "floating", "float128"])
def test_what_holds_no_real_numbers_is_refused(dtype):
    with pytest.raises(ValueError, match="no real numbers"):
        distance_between([b""], [b""], dtype)


def test_together_is_end_to_end():
    x, y = np.random.default_rng(3).normal(size=(2, 50))
    parts = [distance_between([x[:20].tobytes()], [y[:20].tobytes()], "float64")]
    parts.append(distance_between([x[20:].tobytes()], [y[20:].tobytes()], "float64"))
    whole = distance_between([x.tobytes()], [y.tobytes()], "float64")
    for name in (
        "element_count",
        "changed_count",
        "norm_before",
        "norm_after",
        "distance",
        "maximal_absolute",
        "cosine",
    ):
        assert getattr(together(parts), name) == pytest.approx(getattr(whole, name), rel=1e-12)
    assert together([]) == Distance(0, 0, 0, 0.0, 0.0, 0.0, 0.0, None, 0.0, 0.0)
    assert together([]).cosine is None


def test_blocks_are_the_bytes_of_a_tensor(tmp_path):
    """What is digested and what is compared are the same bytes."""
    import hashlib

    array = np.random.default_rng(4).normal(size=(700, 600))  # several blocks
    write_npz(tmp_path / "a.npz", [("a", array)])
    with open_tensors(tmp_path / "a.npz", "npz") as tensors:
        blocks = [bytes(block) for block in tensors.blocks("a")]
        assert len(blocks) > 1
        assert b"".join(blocks) == array.tobytes()
        assert hashlib.sha256(array.tobytes()).hexdigest() == tensors.digest("a")
