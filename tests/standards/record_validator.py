"""Run by the Python of the validators: check-jsonschema over the records of an archive, in one process.

`python record_validator.py FOLDER` checks the archive's schemas against their metaschema and each record against the
schema it names, and prints, as one JSON object by path, the exit status and what was printed.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

from check_jsonschema import main as check_jsonschema


def status_of(*arguments: str) -> list[object]:
    """Exit status, and what was printed."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            check_jsonschema([*arguments, "--no-cache"])
        except SystemExit as ended:
            return [ended.code or 0, output.getvalue()]
    return [0, output.getvalue()]


def main() -> None:
    folder = Path(sys.argv[1])
    schemas = sorted(map(str, (folder / "schemas").glob("*.json")))
    report = {"schemas": status_of("--check-metaschema", *schemas)}
    for path in sorted(folder.rglob("*.json")):
        reference = json.loads(path.read_bytes()).get("$schema", "") if path.parent.name != "schemas" else ""
        if reference:
            schema = str((path.parent / reference).resolve())
            report[path.relative_to(folder).as_posix()] = status_of("--schemafile", schema, str(path))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
