"""`archiver verify` against others that check files, on 1.8 GB: 4 large files and 200 small ones.

python -m benchmarks.verify [--megabytes 450] [--rounds 5]

Beside `md5sum -c` and `sha256sum -c`: `bagit.py` and OpenSSF model-signing from `.venv-standards` (`make standards`),
and `b3sum` where it is installed. Whole processes, all in turn, warm: the files are in the page cache. Each is run with
all threads it can use and, where it uses several, on one core (`taskset`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from archiver.sealing import changing
from archiver.testing import tiny_run
from benchmarks.common import figure, interleaved, note_versions, print_machine, print_table, ratios, spread
from tests.standards.environment import PROGRAMS

REFERENCE = "md5sum -c"
ONE_CORE = ["taskset", "-c", "0"]
_MAKE_KEYS = """
import sys
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
open(sys.argv[1], "wb").write(
    key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()))
open(sys.argv[2], "wb").write(
    key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo))
"""

BLAKE3 = "archiver verify (BLAKE3; target 5x)"
SHA256 = "archiver verify --hash sha256 (target 3.3x on two cores)"
SHA256_ONE_CORE = "archiver verify --hash sha256, one core (target 1.8x)"

HASHING_ALONE = "hashlib's SHA-256 of every file and nothing else, one core (the limit)"
_HASH_ALL = """
import hashlib, pathlib, sys
for path in pathlib.Path(sys.argv[1]).rglob("*"):
    if path.is_file():
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")
"""
BLAKE3_ALONE = "BLAKE3 of every file and nothing else, a process for each core (the limit)"
_HASH_ALL_BLAKE3 = """
import os, pathlib, sys
from blake3 import blake3
files = [path for path in pathlib.Path(sys.argv[1]).rglob("*") if path.is_file()]
files.sort(key=lambda path: -path.stat().st_size)
count = os.cpu_count()
started = []
for number in range(count):
    process = os.fork()
    if process == 0:
        for path in files[number::count]:
            blake3().update_mmap(path).hexdigest()
        os._exit(0)
    started.append(process)
for process in started:
    os.waitpid(process, 0)
"""

Commands = dict[str, list[str]]


def make_archive(root: Path, megabytes: int) -> Path:
    run = tiny_run(root)
    with changing(run):
        (run.path / "files").mkdir(exist_ok=True)
        block = os.urandom(1 << 20)
        for number in range(4):
            with (run.path / "files" / f"large_{number}.bin").open("wb") as file:
                for index in range(megabytes):
                    file.write(index.to_bytes(8, "little") + block[8:])
        for number in range(200):
            (run.path / "files" / f"small_{number}.bin").write_bytes(os.urandom(4096))
    return run.path


def archiver_commands(path: Path) -> Commands:
    program = [str(Path(sys.executable).parent / "archiver"), "verify", str(path)]
    return {
        BLAKE3: program,
        "archiver verify, one core": [*ONE_CORE, *program],
        SHA256: [*program, "--hash", "sha256"],
        SHA256_ONE_CORE: [*ONE_CORE, *program, "--hash", "sha256"],
        "archiver verify --hash all": [*program, "--hash", "all"],
        HASHING_ALONE: [*ONE_CORE, sys.executable, "-c", _HASH_ALL, str(path)],
        BLAKE3_ALONE: [sys.executable, "-c", _HASH_ALL_BLAKE3, str(path)],
    }


def b3sum_commands() -> Commands:
    if not shutil.which("b3sum"):
        return {}
    command = ["b3sum", "--quiet", "-c", "manifest-blake3.txt"]
    return {"b3sum -c": command, "b3sum -c, one core": [*ONE_CORE, *command]}


def bagit_commands(path: Path, work: Path) -> Commands:
    """The same files, under other names for the same bytes, as the payload of bags: one MD5, one SHA-256."""
    found: Commands = {}
    for algorithm in ("md5", "sha256"):
        bag = Path(shutil.copytree(path, work / f"bag-{algorithm}", copy_function=os.link))
        make = f"import bagit, sys; bagit.make_bag(sys.argv[1], processes=2, checksums=[{algorithm!r}])"
        subprocess.run([str(PROGRAMS / "python"), "-c", make, str(bag)], check=True, capture_output=True)
        command = [str(PROGRAMS / "bagit.py"), "--quiet", "--validate"]
        found[f"bagit.py --validate ({algorithm})"] = [*command, str(bag)]
        found[f"bagit.py --validate --processes 2 ({algorithm})"] = [*command, "--processes", "2", str(bag)]
    return found


def model_signing_commands(path: Path, work: Path) -> Commands:
    private, public, signature = (work / name for name in ("private.pem", "public.pem", "model.sig"))
    program = str(PROGRAMS / "model_signing")
    subprocess.run([str(PROGRAMS / "python"), "-c", _MAKE_KEYS, str(private), str(public)], check=True)
    options = ["--signature", str(signature)]
    sign = [program, "sign", "key", str(path), *options, "--private_key", str(private)]
    subprocess.run(sign, check=True, capture_output=True)
    verify = [program, "verify", "key", str(path), *options, "--public_key", str(public)]
    return {"model_signing verify (SHA-256)": verify, "model_signing verify, one core": [*ONE_CORE, *verify]}


def version_of(name: str) -> str:
    code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    command = [str(PROGRAMS / "python"), "-c", code, name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def seconds(command: list[str], folder: Path) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def hand_over(found: dict[str, list[float]]) -> None:
    """The numbers to beat: how many times as fast as md5sum each is; another's best stands for it."""
    speeds = {name: ratios(found[REFERENCE], values) for name, values in found.items()}
    own = {"verify_blake3": BLAKE3, "verify_sha256": SHA256, "verify_sha256_one_core": SHA256_ONE_CORE}
    for measure, name in own.items():
        figure(measure, "archiver", speeds[name], "x")
        for other, values in speeds.items():
            is_one_core = "one core" in other or other == "sha256sum -c" or other.startswith("bagit.py --validate (")
            if (
                not other.startswith("archiver")
                and other not in (REFERENCE, HASHING_ALONE, BLAKE3_ALONE)
                and (measure != "verify_sha256_one_core" or is_one_core)
            ):
                figure(measure, other, values, "x")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=450, help="size of each of the four large files, in MiB")
    parser.add_argument("--rounds", type=int, default=5, help="how often each command is run")
    arguments = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        path = make_archive(work, arguments.megabytes)
        total = sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
        commands = {
            REFERENCE: ["md5sum", "--quiet", "-c", "manifest-md5.txt"],
            "sha256sum -c": ["sha256sum", "--quiet", "-c", "manifest-sha256.txt"],
            **archiver_commands(path),
            **b3sum_commands(),
        }
        if (PROGRAMS / "python").exists():
            commands |= bagit_commands(path, work) | model_signing_commands(path, work)
            note_versions({name: version_of(name) for name in ("bagit", "model-signing")})
        measures = {name: lambda command=command: seconds(command, path) for name, command in commands.items()}
        found = interleaved(measures, arguments.rounds)
    hand_over(found)
    rows = [
        (name, spread(values, " s"), f"{total / statistics.median(values) / 1e9:.2f} GB/s",
         f"{total / min(values) / 1e9:.2f} GB/s", spread(ratios(found[REFERENCE], values), "x"))
        for name, values in found.items()
    ]  # fmt: skip
    title = (
        f"{total / 1e9:.2f} GB, whole processes, warm, {os.cpu_count()} cores, median of {arguments.rounds} "
        "(smallest to largest), in turn"
    )
    print_table(title, ("command", "time", "median", "at best", f"speed against {REFERENCE}"), rows)


if __name__ == "__main__":
    main()
