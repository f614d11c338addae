"""The file system of a folder, from tables as Linux writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from archiver.storage.mounts import network_file_system

TABLE = """\
/dev/sda1 / ext4 rw,relatime 0 0
server:/export {root}/team nfs4 rw,vers=4.2 0 0
tmpfs {root}/team/scratch tmpfs rw 0 0
me@host: {root}/with\\040space fuse.sshfs rw 0 0
overlay {root}/twice overlay rw 0 0
//server/share {root}/twice cifs rw 0 0
portal {root}/portal fuse.portal rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("team", "nfs4"),
        ("team/runs", "nfs4"),
        ("team/scratch", None),
        ("teams", None),
        ("with space/runs", "fuse.sshfs"),
        ("twice", "cifs"),
        ("portal", None),
        (".", None),
    ],
)
def test_the_innermost_and_last_one_counts(tmp_path: Path, folder: str, expected: str | None) -> None:
    root = tmp_path.resolve() / "root"
    (root / folder).mkdir(parents=True)
    mounts = tmp_path / "mounts"
    mounts.write_text(TABLE.format(root=root))
    assert network_file_system(root / folder, mounts) == expected


def test_this_machine_and_one_without_a_table(tmp_path: Path) -> None:
    assert network_file_system(tmp_path) is None
    assert network_file_system(tmp_path, tmp_path / "none") is None
