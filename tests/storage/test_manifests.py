import hashlib
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.storage.manifests import format_manifest, parse_manifest

paths = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\"), min_size=1, max_size=40)
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)


@given(st.dictionaries(paths, digests, max_size=8))
def test_round_trip(listed):
    folded = {path.casefold() for path in listed}
    parsed, faults = parse_manifest(format_manifest(listed), "sha256")
    if not faults:
        assert parsed == listed
    else:
        assert any("collides" in fault.reason for fault in faults) or len(folded) < len(listed)


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed_or_reported(data):
    parsed, faults = parse_manifest(data, "md5")
    assert format_manifest(parsed) == data or faults


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"abc", "line feed"),
        (b"\n", "is not"),
        (b"A" * 64 + b"  a\n", "is not"),
        (b"a" * 63 + b"  a\n", "is not"),
        (b"a" * 64 + b" *a\n", "is not"),
        (b"a" * 64 + b"  b\n" + b"a" * 64 + b"  a\n", "out of order"),
        (b"a" * 64 + b"  a\n" + b"a" * 64 + b"  a\n", "collides"),
        (b"a" * 64 + b"  A\n" + b"a" * 64 + b"  a\n", "collides"),
        (b"a" * 64 + b"  \xff\n", "UTF-8"),
        (b"# comment\n", "is not"),
        (b"a" * 64 + b"  a\r\n" + b"a" * 64 + b"  a\n", "out of order"),
    ],
)
def test_the_grammar_admits_nothing_else(data, reason):
    _, faults = parse_manifest(data, "sha256")
    assert reason in faults[0].reason


@pytest.mark.parametrize(("algorithm", "tool"), [("md5", "md5sum"), ("sha256", "sha256sum")])
def test_the_standard_tools_read_it(tmp_path, algorithm, tool):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    contents = {"a b.txt": b"1", "ordner/ü.bin": b"2" * 1000, "z": b""}
    for path, data in contents.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    listed = {path: hashlib.new(algorithm, data).hexdigest() for path, data in contents.items()}
    (tmp_path / "manifest").write_bytes(format_manifest(listed))
    result = subprocess.run([tool, "-c", "--strict", "manifest"], cwd=tmp_path, capture_output=True, check=True)
    assert result.stdout.count(b": OK") == 3
