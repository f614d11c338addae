"""Writes `schemas/v1/` anew from the record classes: `make schemas`."""

from pathlib import Path

from archiver.archive.schemas import SCHEMA_KINDS, schema_text
from archiver.records.base import FORMAT_VERSION

FOLDER = Path(__file__).parent.parent / "schemas" / f"v{FORMAT_VERSION}"

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.schema.json"):
        old.unlink()
    for kind in SCHEMA_KINDS:
        (FOLDER / f"{kind}.schema.json").write_text(schema_text(kind), encoding="utf-8")
    print(f"{len(SCHEMA_KINDS)} schemas in {FOLDER}")
