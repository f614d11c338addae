"""Folders of images: the record against images that were made for it."""

import hashlib
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archiver.collect.data_paths import named_paths
from archiver.collect.data_sources import describe_paths
from archiver.collect.image_headers import image_format, missing_end
from archiver.collect.reading_limits import Limits
from archiver.records.base import Unavailable

SUFFIXES = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "BMP": "bmp", "WEBP": "webp", "TIFF": "tif"}


def picture(seed: int, size: tuple[int, int] = (16, 12), mode: str = "RGB") -> Image.Image:
    generator = np.random.default_rng(seed)
    return Image.fromarray(generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).convert(mode)


def encoded(
    seed: int, format_name: str = "PNG", size: tuple[int, int] = (16, 12), mode: str = "RGB", **options
) -> bytes:
    buffer = io.BytesIO()
    picture(seed, size, mode).save(buffer, format_name, **options)
    return buffer.getvalue()


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def describe(root: Path, limits: Limits | None = None):
    (part,) = describe_paths(named_paths(root), limits or Limits())
    return part


def images_of(root: Path):
    return describe(root).images


def test_classes_formats_sizes_and_modes(tmp_path):
    write(tmp_path, {
        "cat/1.jpg": encoded(1, "JPEG"), "cat/2.jpg": encoded(2, "JPEG", (20, 30)),
        "cat/old/3.jpeg": encoded(3, "JPEG"),
        "dög/1.png": encoded(4, "PNG", mode="L"), "dög/2.png": encoded(5, "PNG", mode="RGBA"),
        "dög/3.PNG": encoded(6, "PNG"), "dög/notes.txt": b"notes",
        ".hidden/1.png": encoded(7), "top.bmp": encoded(8, "BMP"),
    })  # fmt: skip
    images = images_of(tmp_path)
    assert images.class_counts == {"cat": 3, "dög": 3}
    assert (images.image_count, images.inspected_count, images.inspection) == (8, 8, "complete")
    assert images.formats == {"BMP": 1, "JPEG": 3, "PNG": 4}
    assert images.modes == {"RGB": 6, "L": 1, "RGBA": 1}
    assert (images.width.minimum, images.width.maximum, images.width.mean) == (16, 20, (7 * 16 + 20) / 8)
    assert (images.height.minimum, images.height.maximum, images.height.mean) == (12, 30, (7 * 12 + 30) / 8)
    assert [(s.width, s.height, s.image_count) for s in images.common_sizes] == [(16, 12, 7), (20, 30, 1)]
    assert images.distinct_size_count == 2
    assert (images.damaged_count, images.mismatch_count, images.animated_count) == (0, 0, 0)
    assert images.duplicates.image_count == 0


@pytest.mark.parametrize("format_name", SUFFIXES)
def test_each_format_is_told_by_its_content_and_is_whole(format_name, tmp_path):
    data = encoded(1, format_name, (31, 7))
    assert image_format(data[:32]) == format_name
    assert missing_end(format_name, data) is None
    write(tmp_path, {f"a.{SUFFIXES[format_name]}": data})
    images = images_of(tmp_path)
    assert (images.formats, images.damaged_count, images.mismatch_count) == ({format_name: 1}, 0, 0)
    assert (images.width.maximum, images.height.maximum) == (31, 7)
    assert images.class_counts == Unavailable(unavailable="the images lie in no sub-folders")


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_what_is_cut_short_is_found(format_name, share, tmp_path):
    data = encoded(1, format_name, (64, 64))
    write(tmp_path, {f"a.{SUFFIXES[format_name]}": data[: int(len(data) * share)]})
    images = images_of(tmp_path)
    (damaged,) = images.damaged
    assert (images.damaged_count, damaged.path) == (1, f"a.{SUFFIXES[format_name]}")


def test_a_thumbnail_s_end_is_not_the_picture_s(tmp_path):
    thumbnail = encoded(1, "JPEG", (8, 8))
    whole = encoded(2, "JPEG", (64, 64))
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 8) + b"Exif\0\0" + thumbnail
    data = whole[:2] + segment + whole[2:]
    assert missing_end("JPEG", data) is None
    assert missing_end("JPEG", data + b"trailing bytes of a camera") is None
    assert "no end of image" in missing_end("JPEG", data[:-200])


def test_what_is_no_image_and_what_is_another_format(tmp_path):
    write(tmp_path, {
        "a/text.jpg": b"this is text, not a picture", "a/empty.jpg": b"", "a/ok.jpg": encoded(1, "JPEG"),
        "b/really.jpg": encoded(2, "PNG"), "b/also.gif": encoded(3, "WEBP"), "b/flipped.png": flipped(encoded(4)),
    })  # fmt: skip
    images = images_of(tmp_path)
    assert images.formats == {"JPEG": 1, "PNG": 2, "WEBP": 1, "unknown": 2}
    assert [(part.path, part.format) for part in images.mismatches] == [("b/also.gif", "WEBP"), ("b/really.jpg", "PNG")]
    reasons = {part.path: part.reason for part in images.damaged}
    assert reasons.keys() == {"a/text.jpg", "a/empty.jpg", "b/flipped.png"}
    assert reasons["a/empty.jpg"] == "is empty"
    assert reasons["a/text.jpg"] == "its content is no image"
    assert (images.mismatch_count, images.damaged_count) == (2, 3)


def flipped(data: bytes) -> bytes:
    """One bit of the pixels changed."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def test_animated_pictures(tmp_path):
    frames = [picture(seed, mode="P") for seed in range(3)]
    for name in ("moving.gif", "moving.webp", "moving.png"):
        frames[0].convert("RGB").save(
            tmp_path / name, save_all=True, append_images=[f.convert("RGB") for f in frames[1:]]
        )
    write(tmp_path, {"still.gif": encoded(1, "GIF"), "still.webp": encoded(1, "WEBP"), "still.png": encoded(1)})
    images = images_of(tmp_path)
    assert (images.animated_count, images.damaged_count, images.inspected_count) == (3, 0, 6)


def test_a_picture_that_claims_to_be_huge_costs_nothing(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )
    write(tmp_path, {"bomb.png": data})
    images = images_of(tmp_path)
    assert (images.width.maximum, images.height.maximum) == (60_000, 60_000)
    assert images.damaged_count == 0, "what its pixels unpack to is not looked at"


def test_duplicates_and_labels_that_contradict_each_other(tmp_path):
    one, two = encoded(1), encoded(2)
    write(tmp_path, {
        "cat/1.png": one, "cat/2.png": one, "dog/1.png": one, "dog/2.png": two, "dog/3.png": two,
        "dog/4.png": encoded(3),
    })  # fmt: skip
    found = images_of(tmp_path).duplicates
    assert (found.image_count, found.conflicting_count, found.between_splits_count) == (3, 1, 0)
    assert [(part.path, part.same_as) for part in found.first] == [
        ("dog/1.png", "cat/1.png"),
        ("cat/2.png", "cat/1.png"),
        ("dog/3.png", "dog/2.png"),
    ]


def test_split_folders_are_no_classes(tmp_path):
    one = encoded(1)
    write(tmp_path, {
        "train/cat/1.png": one, "train/dog/1.png": encoded(2), "test/cat/1.png": one, "test/dog/2.png": one,
        "readme.txt": b"",
    })  # fmt: skip
    images = images_of(tmp_path)
    assert images.class_counts == {"test/cat": 1, "test/dog": 1, "train/cat": 1, "train/dog": 1}
    found = images.duplicates
    assert (found.image_count, found.conflicting_count, found.between_splits_count) == (2, 1, 1)


def test_images_without_suffixes(tmp_path):
    write(tmp_path, {f"{name}/{number}": encoded(number, "JPEG") for name in "ab" for number in range(4)})
    images = images_of(tmp_path)
    assert (images.class_counts, images.formats) == ({"a": 4, "b": 4}, {"JPEG": 8})
    assert images.duplicates.conflicting_count == 4


def test_folders_of_other_files_are_none_of_images(tmp_path):
    write(tmp_path, {"1.png": encoded(1), "2.csv": b"", "3.csv": b"", "4": b"text", "5": b"text"})
    assert images_of(tmp_path) is None


def test_too_many_classes(tmp_path, monkeypatch):
    monkeypatch.setattr("archiver.collect.image_classes.MAXIMAL_CLASSES", 3)
    write(tmp_path, {f"class {number}/a.png": encoded(1) for number in range(4)})
    images = images_of(tmp_path)
    assert images.class_counts == Unavailable(unavailable="there are 4 sub-folders, more than 3")
    assert images.duplicates.conflicting_count == 3


def test_within_the_limits_classes_are_counted_and_nothing_is_read(tmp_path):
    write(tmp_path, {f"{name}/{number}.png": encoded(number) for name in "ab" for number in range(3)})
    part = describe(tmp_path, Limits(hashed_files=5))
    images = part.images
    assert images.class_counts == {"a": 3, "b": 3}
    assert (images.inspected_count, images.formats) == (0, {})
    assert images.inspection == part.manifest_sha256
    assert images.width == Unavailable(unavailable="no image could be looked into")


WITHOUT_PILLOW = """
import sys
sys.modules["PIL"] = None
from archiver.collect.data_paths import named_paths
from archiver.collect.data_sources import describe_paths
from archiver.collect.reading_limits import Limits
(part,) = describe_paths(named_paths(sys.argv[1]), Limits())
print(part.images.model_dump_json())
assert not [name for name in sys.modules if name.startswith("PIL.")]
"""


def test_without_pillow_formats_and_ends_are_told_all_the_same(tmp_path):
    write(tmp_path, {"a/1.jpg": encoded(1, "JPEG"), "a/2.jpg": encoded(2, "PNG"), "b/3.jpg": encoded(3, "JPEG")[:-50]})
    command = [sys.executable, "-c", WITHOUT_PILLOW, str(tmp_path)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    with_pillow = images_of(tmp_path)
    images = type(with_pillow).model_validate_json(result.stdout)
    assert images.formats == with_pillow.formats == {"JPEG": 2, "PNG": 1}
    assert images.damaged == with_pillow.damaged
    assert images.mismatches == with_pillow.mismatches
    assert images.width == images.modes == images.common_sizes == images.animated_count
    assert "pip install 'keras-archiver[images]'" in images.width.unavailable


def test_ten_thousand_small_images(tmp_path):
    files = [encoded(seed, "JPEG", (64, 64)) for seed in range(100)]
    for number in range(10_000):
        folder = tmp_path / f"class {number % 10}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(files[number % 100])
    part = describe(tmp_path)
    images = part.images
    assert images.class_counts == {f"class {number}": 1000 for number in range(10)}
    assert (images.inspected_count, images.formats, images.damaged_count) == (10_000, {"JPEG": 10_000}, 0)
    assert (images.duplicates.image_count, images.duplicates.conflicting_count) == (9_900, 0)
    lines = b""
    for name in sorted(os.fsencode(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.jpg")):
        lines += hashlib.sha256((tmp_path / os.fsdecode(name)).read_bytes()).hexdigest().encode() + b"  " + name + b"\n"
    assert part.manifest_sha256 == hashlib.sha256(lines).hexdigest()
