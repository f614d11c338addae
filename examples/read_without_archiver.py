"""Check and read an archive with Python alone: nothing of archiver or Keras, written from schemas/README.md.

python examples/read_without_archiver.py runs/digits_cnn_base_models

A reader for people who want to know that the format does not depend on the tool. It trusts the archive as far as its
owner is trusted: `archiver verify` is for archives of strangers.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

ALGORITHMS = ("md5", "sha256")
SEAL = "manifest-blake3.txt"


def files_below(folder: Path) -> set[str]:
    found = set()
    for place, _, names in os.walk(folder, followlinks=False):
        for name in names:
            path = Path(place, name)
            if not path.is_symlink() and path.is_file():
                found.add(path.relative_to(folder).as_posix())
    return found


def check_manifests(folder: Path) -> list[str]:
    """What is wrong with the bytes; BLAKE3 is not in the standard library, its manifest is only compared as a list."""
    faults = []
    files = files_below(folder)
    later = [f"manifest-{algorithm}.txt" for algorithm in (*ALGORITHMS, "blake3")]
    for place, algorithm in enumerate(ALGORITHMS):
        lines = (folder / f"manifest-{algorithm}.txt").read_text(encoding="utf-8").splitlines()
        listed = {path: digest for digest, path in (line.split("  ", 1) for line in lines)}
        faults += [f"{path} is missing" for path in set(listed) - files]
        faults += [f"{path} is not listed in {later[place]}" for path in files - set(listed) - set(later[place:])]
        for path in set(listed) & files:
            if hashlib.new(algorithm, (folder / path).read_bytes()).hexdigest() != listed[path]:
                faults.append(f"{path} is not what was sealed ({algorithm})")
    return faults


def read_journal(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "journal.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]


def status_of(events: list[dict[str, Any]]) -> str:
    status = "running"
    for event in events:
        if event["event"] == "status":
            status = event["details"]["status"]
        elif event["event"] in ("phase_started", "resumed"):
            status = "running"
    return status


def metrics_of(events: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Each metric, epoch by epoch; epochs that another process trained again count once."""
    epochs: list[dict[str, Any]] = []
    for event in events:
        details = event["details"]
        if event["event"] == "resumed":
            epochs = [each for each in epochs if (each["phase"], each["epoch"]) < (details["phase"], details["epoch"])]
        elif event["event"] == "epoch_ended":
            epochs.append(details)
    names = dict.fromkeys(name for epoch in epochs for name in epoch["metrics"])
    return {name: [epoch["metrics"].get(name) for epoch in epochs] for name in names}


def arrays_of(path: Path) -> dict[str, tuple[str, list[int], bytes]]:
    """Type, shape and bytes of each array of an `.npz`."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            width, form = (2, "<H") if data[6] == 1 else (4, "<I")
            start = 8 + width + struct.unpack_from(form, data, 8)[0]
            header = ast.literal_eval(data[8 + width : start].decode("latin-1"))
            found[name.removesuffix(".npy")] = (header["descr"], list(header["shape"]), data[start:])
    return found


def weights_digest(table: dict[str, Any], arrays: dict[str, tuple[str, list[int], bytes]]) -> str:
    """Of the model's weights in a checkpoint: headers and bytes, as the specification says."""
    digest = hashlib.sha256()
    for variable in table["variables"]:
        _, shape, data = arrays[f"model/{variable['index']}"]
        header = {"dtype": variable["dtype"], "index": variable["index"], "shape": shape}
        text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode("ascii")
        digest.update(struct.pack("<Q", len(text)) + text + data)
    return digest.hexdigest()


def main() -> int:
    folder = Path(sys.argv[1])
    events = read_journal(folder)
    name = events[0]["details"]["name"]
    is_sealed = (folder / SEAL).exists()
    print(f"{name}: {status_of(events)}, {'sealed' if is_sealed else 'not sealed'}")
    faults = check_manifests(folder) if is_sealed else ["it is not sealed"]
    if is_sealed:
        print(f"seal id: {hashlib.sha256((folder / SEAL).read_bytes()).hexdigest()}")
    for metric, values in metrics_of(events).items():
        print(f"{metric}: {' '.join(f'{value:.4g}' if isinstance(value, float) else str(value) for value in values)}")
    table_file, checkpoint = folder / f"models/{name}_weights.json", folder / f"models/{name}_checkpoint/variables.npz"
    if table_file.exists() and checkpoint.exists():
        table = json.loads(table_file.read_text(encoding="utf-8"))
        found = weights_digest(table, arrays_of(checkpoint))
        print(f"weights digest: {found}")
        if found != table["weights_digest"]:
            faults.append("the checkpoint's weights are not those of the table")
    print("\n".join(f"FAULT {fault}" for fault in sorted(faults)) or "every file is what was sealed")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
