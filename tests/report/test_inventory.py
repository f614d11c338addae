"""The inventory of the report names every file of the archive, the schemas in one line."""

import hashlib
import re

from archiver import layout
from archiver.report.inventory import InventoryLine, inventory_summary, inventory_table
from archiver.storage.manifests import MANIFEST_NAMES
from archiver.testing import tiny_run

ROW = re.compile(r"\| (\S+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")


def test_every_file_stands_in_it_with_its_md5(tmp_path):
    run = tiny_run(tmp_path, tested=True)
    text = run.path_of(layout.README).read_text()
    _, _, section = text.partition("## What is in this archive")
    rows = {match[0]: match[1:] for match in ROW.findall(section)}
    later = {
        layout.README.pattern,
        layout.README_HTML.pattern,
        layout.CRATE.pattern,
        layout.METADATA.path(run.name),
        *MANIFEST_NAMES.values(),
    }
    paths = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()} - later
    schemas = {path for path in paths if path.startswith("schemas/")}
    assert rows.keys() - {"file", "---"} == paths - schemas | {"schemas/"}
    for path in paths - schemas:
        assert rows[path][2] == f"`{hashlib.md5((run.path / path).read_bytes()).hexdigest()}`"
    assert rows["schemas/"][0] == f"JSON Schemas of the records: {len(schemas)} files"
    size = sum((run.path / path).stat().st_size for path in schemas)
    assert rows["schemas/"][1] == f"{size / 1024:.1f} KiB"
    assert f"\n{len(paths)} files, " in section


def test_one_file():
    line = InventoryLine("schemas/a.schema.json", 3, "0" * 32, "")
    assert inventory_summary([line]).startswith("1 file, 3 B, ")
    assert "| schemas/ | JSON Schemas of the records: 1 file | 3 B |" in inventory_table([line])
