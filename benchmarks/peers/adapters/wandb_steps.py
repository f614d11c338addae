"""W&B offline: WandbMetricsLogger with every step."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 1 << 15
FULL, FIRST, LAST = 1, 2, 4


def load() -> None:
    """W&B and its callback."""
    import wandb
    from wandb.integration.keras import WandbMetricsLogger

    assert wandb.init
    assert WandbMetricsLogger


def train(folder: Path, fit: Any) -> None:
    """A run around `fit`."""
    import wandb
    from wandb.integration.keras import WandbMetricsLogger

    with wandb.init(project="runs", mode="offline", dir=folder):
        fit([WandbMetricsLogger(log_freq="batch")])


def kept_steps(folder: Path) -> int:
    """Records of history with a step's loss in the run's file."""
    from wandb.proto import wandb_internal_pb2

    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    count = 0
    for data in whole_records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        count += any((item.key or "/".join(item.nested_key)) == "batch/loss" for item in record.history.item)
    return count


def whole_records(data: bytes) -> Iterator[bytes]:
    """Of a file in LevelDB's log format: blocks of 32 KiB, pieces with checksum, length and type before them."""
    place, joined = 7, b""
    while place + 7 <= len(data):
        if BLOCK - place % BLOCK < 7:
            place += BLOCK - place % BLOCK
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        piece = data[place + 7 : place + 7 + length]
        if kind == 0 or len(piece) < length:
            return
        place += 7 + length
        joined = piece if kind in (FULL, FIRST) else joined + piece
        if kind in (FULL, LAST):
            yield joined
