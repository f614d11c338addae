"""What repair reads of a stranger's bytes: an answer or one of our errors, whatever they are."""

import io
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.errors import DamagedFileError, UnsafeFileError
from archiver.storage.hdf5 import Hdf5Tensors
from archiver.storage.hdf5_attributes import ROOT_ADDRESS, Attribute, read_attributes
from archiver.storage.hdf5_format import Source
from archiver.storage.zip_mending import copied, descriptions, write_zip


@pytest.fixture(scope="module")
def attributed() -> bytes:
    """A file with an attribute of each kind that Keras writes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["text"] = "ä" * 5000
        file.attrs["ascii"] = b"bytes"
        file.attrs["texts"] = [b"one", b"two" * 100]
        file.attrs["fixed"] = np.array([b"a", b"bcd"])
        file.attrs["empty"] = np.zeros(0)
        file.attrs["none"] = ""
    return buffer.getvalue()


def test_attributes(attributed):
    found = read_attributes(Source(io.BytesIO(attributed), "f"), ROOT_ADDRESS, "root")
    assert found == [
        Attribute("text", "text", ("ä" * 5000).encode()),
        Attribute("ascii", "ascii", b"bytes"),
        Attribute("texts", "texts", (b"one", b"two" * 100)),
        Attribute("fixed", "fixed", (b"a", b"bcd"), 3),
        Attribute("empty", "empty", ()),
        Attribute("none", "text", b""),
    ]


@given(st.data())
def test_broken_attributes(attributed, data):
    broken = bytearray(attributed)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert len(read_attributes(Source(io.BytesIO(broken), "f"), ROOT_ADDRESS, "root")) <= 1000
        Hdf5Tensors(io.BytesIO(broken), "f")
    except (DamagedFileError, UnsafeFileError):
        pass


@given(st.data())
def test_broken_zips(data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("one", "two", "three"):
            archive.writestr(name, name.encode() * 20)
    whole = buffer.getvalue()
    broken = bytearray(whole)
    start, noise = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.binary(max_size=60))
    broken[start : start + len(noise)] = noise
    file = io.BytesIO(broken)
    for members in descriptions(file):
        out = io.BytesIO()
        try:
            write_zip(out, members, {member.name: copied(file, member) for member in members})
        except DamagedFileError:
            continue
        assert len(out.getvalue()) <= 8 * len(broken)
