"""Single changed bytes are found by the CRC, wherever they are."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from archiver.storage.crc import single_byte_changes


@given(st.binary(min_size=1, max_size=3000), st.data())
def test_the_changed_byte_is_found(data, draw):
    position, change = draw.draw(st.integers(0, len(data) - 1)), draw.draw(st.integers(1, 255))
    changed = bytearray(data)
    changed[position] ^= change
    found = list(single_byte_changes(len(data), zlib.crc32(changed), zlib.crc32(data)))
    assert found == [(position, change)]


def test_it_takes_the_square_root_of_the_length():
    length, position, change = 50_000_000, 12_345_678, 0x40
    zeros = zlib.crc32(bytes(length))
    changed = bytearray(length)
    changed[position] = change
    assert (position, change) in list(single_byte_changes(length, zlib.crc32(changed), zeros))


@given(st.binary(max_size=100))
def test_nothing_changed(data):
    assert list(single_byte_changes(len(data), zlib.crc32(data), zlib.crc32(data))) == []


def test_what_no_single_byte_explains():
    assert list(single_byte_changes(3, 0, zlib.crc32(b"abc") ^ 0x12345678)) == []
