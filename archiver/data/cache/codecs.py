"""How windows are packed, each by itself: a window costs one read and one unpacking (`benchmarks/cache.py`).

`bitshuffle_lz4` is the fastest that packs well; such a file needs hdf5plugin wherever it is read. `gzip` opens with
every HDF5; `none` is not packed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from archiver.errors import ArgumentError, MissingExtraError

Codec = Literal["bitshuffle_lz4", "bitshuffle_zstd", "gzip", "none"]
CODECS: tuple[str, ...] = get_args(Codec)
PLUGIN_CODECS = ("bitshuffle_lz4", "bitshuffle_zstd")
GZIP_LEVEL = 4


def require_codec(codec: Any) -> str:
    """The codec, if it is one.

    Raises:
        ArgumentError: it is none.
        MissingExtraError: it needs hdf5plugin, which is not installed.
    """
    if codec not in CODECS:
        raise ArgumentError(f"Received codec={codec!r}. Expected one of {', '.join(CODECS)}.")
    if codec in PLUGIN_CODECS:
        require_plugin(codec)
    return str(codec)


def require_plugin(codec: str) -> Any:
    """hdf5plugin, which tells libhdf5 of the filters.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import hdf5plugin
    except ImportError as error:
        raise MissingExtraError(
            f'The codec {codec} needs hdf5plugin: pip install "keras-archiver[data]". The codecs gzip and none do '
            "without."
        ) from error
    return hdf5plugin


def filter_arguments(codec: str) -> Mapping[str, Any]:
    """What h5py's `create_dataset` takes for a codec.

    Raises:
        MissingExtraError: it needs hdf5plugin, which is not installed.
    """
    if codec == "gzip":
        return {"compression": "gzip", "compression_opts": GZIP_LEVEL, "shuffle": True}
    if codec == "none":
        return {}
    plugin = require_plugin(codec)
    return dict(plugin.Bitshuffle(cname="lz4" if codec == "bitshuffle_lz4" else "zstd"))
