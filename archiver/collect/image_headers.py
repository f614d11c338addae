"""What an image file says of itself: its format by content; size and mode with Pillow; whether it is whole.

Nothing is decoded, so that a small file that claims to be a huge picture costs nothing.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from typing import Any, BinaryIO

from archiver.records.base import Unavailable

HEAD_BYTES = 32
"""As many bytes of a file tell its format."""
UNKNOWN = "unknown"
NO_PILLOW = "Pillow is not installed: pip install 'keras-archiver[images]'"

_FORMATS = {
    "JPEG": (b".jpg", b".jpeg", b".jpe", b".jfif"), "PNG": (b".png", b".apng"), "GIF": (b".gif",),
    "BMP": (b".bmp", b".dib"), "WEBP": (b".webp",), "TIFF": (b".tif", b".tiff"), "AVIF": (b".avif",),
    "HEIF": (b".heic", b".heif"), "JPEG2000": (b".jp2", b".j2k"),
}  # fmt: skip
FORMAT_OF_SUFFIX = {suffix: name for name, suffixes in _FORMATS.items() for suffix in suffixes}
IMAGE_SUFFIXES = frozenset(FORMAT_OF_SUFFIX)

_BEGINNINGS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\0\0\0\x0cjP  ", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)
_READERS = {
    "JPEG": ("JpegImagePlugin", "JpegImageFile"), "PNG": ("PngImagePlugin", "PngImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"), "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"), "TIFF": ("TiffImagePlugin", "TiffImageFile"),
}  # fmt: skip
_MAY_BE_ANIMATED = ("GIF", "PNG", "WEBP")


@dataclass(frozen=True)
class ImageHeader:
    """Of one image that can be read."""

    width: int
    height: int
    mode: str
    is_animated: bool


def image_format(head: bytes) -> str:
    """The format by the first `HEAD_BYTES` bytes, `unknown` for anything but an image."""
    for beginning, name in _BEGINNINGS:
        if head.startswith(beginning):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and head[6:10] == bytes(4) and head[14:18] in _BMP_HEADER_LENGTHS:
        return "BMP"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return "AVIF" if brand in (b"avif", b"avis") else "HEIF" if brand in _HEIF_BRANDS else UNKNOWN
    return UNKNOWN


_BMP_HEADER_LENGTHS = frozenset(length.to_bytes(4, "little") for length in (12, 40, 52, 56, 64, 108, 124))
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def read_header(format_name: str, file: BinaryIO) -> ImageHeader | Unavailable:
    """Size, mode and whether there is more than one picture; Unavailable where Pillow cannot tell for want of itself
    or of a reader for the format.

    Raises:
        Exception: whatever Pillow raises on a damaged file.
    """
    reader = _reader(format_name)
    if isinstance(reader, Unavailable):
        return reader
    # The class itself instead of Image.open: that one warns of large pictures, and would try all formats.
    image = reader(file)
    header = ImageHeader(
        width=image.size[0],
        height=image.size[1],
        mode=image.mode,
        is_animated=format_name in _MAY_BE_ANIMATED and bool(getattr(image, "is_animated", False)),
    )
    if format_name == "PNG":
        image.verify()
    return header


@functools.cache
def _reader(format_name: str) -> Any:
    if format_name not in _READERS:
        return Unavailable(unavailable=f"the headers of {format_name} files are not read")
    module, name = _READERS[format_name]
    try:
        return getattr(importlib.import_module(f"PIL.{module}"), name)
    except ImportError:
        return Unavailable(unavailable=NO_PILLOW)


def missing_end(format_name: str, data: bytes) -> str | None:
    """How a file of the given bytes was cut short; None if it was not, or if that cannot be told.

    A PNG that was cut short is found by `read_header`.
    """
    if format_name == "JPEG":
        scan = _jpeg_scan(data)
        # within a scan, these two bytes cannot stand for anything else
        is_whole = scan is not None and data.rfind(b"\xff\xd9") > scan
        return None if is_whole else "is cut short: it has no end of image"
    if format_name == "GIF":
        return None if b"\0;" in data[-64:] else "is cut short: it has no trailer"
    needed = {"WEBP": _webp_bytes, "BMP": _bmp_bytes}.get(format_name, lambda _: 0)(data)
    return f"is cut short: it has {len(data):,} of {needed:,} bytes" if needed > len(data) else None


def _jpeg_scan(data: bytes) -> int | None:
    """Where the pixels begin: behind the segments, of which one may hold a small JPEG of its own."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:  # noqa: PLR2004 - a marker
        marker = data[position + 1]
        if marker == 0xDA:  # noqa: PLR2004 - start of scan
            return position
        is_alone = marker in {255, 1} or 208 <= marker <= 215  # noqa: PLR2004 - fill bytes, restarts
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        position += (1 if marker == 0xFF else 2) if is_alone else 2 + length  # noqa: PLR2004
    return None


def _webp_bytes(data: bytes) -> int:
    return int.from_bytes(data[4:8], "little") + 8


def _bmp_bytes(data: bytes) -> int:
    """Of an uncompressed bitmap with a header of today's kind; 0 for others."""
    if len(data) < 34 or data[14] < 40 or data[30:34] != bytes(4):  # noqa: PLR2004 - the header's layout
        return 0
    offset, width = int.from_bytes(data[10:14], "little"), int.from_bytes(data[18:22], "little", signed=True)
    height, bits = int.from_bytes(data[22:26], "little", signed=True), int.from_bytes(data[28:30], "little")
    return offset + (width * bits + 31) // 32 * 4 * abs(height)
