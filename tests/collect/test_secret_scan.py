"""The scan finds what detect-secrets finds, tells nothing of it, and raises no false alarm."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.collect.redaction import REDACTED, redact_text
from archiver.collect.secret_scan import is_placeholder, scan_binary, scan_text
from archiver.collect.token_formats import MINIMAL_MARKER_LENGTH, TOKEN_FORMATS
from archiver.testing import tiny_run
from tests.collect.test_redaction import ORDINARY
from tests.collect.tokens import sample_tokens
from tests.standards.environment import run_program

CONTEXTS = ("{}\n", "key {} end", '"{}"', "a,{},b", "x = '{}'  # why\n", "+{}", "see `{}`.", "\t{}\n", "({})")

DETECT = """
import sys, json, logging
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core import scan
from detect_secrets.settings import transient_settings
plugins = [{"name": cls.__name__} for cls in get_mapping_from_secret_type_to_class().values()
           if not any(word in cls.__name__ for word in ("HighEntropy", "Keyword", "IPPublic"))]
found = []
with transient_settings({"plugins_used": plugins, "filters_used": []}):
    for path in json.load(sys.stdin):
        for secret in scan.scan_file(path):
            found.append([path, secret.line_number, secret.type])
print(json.dumps({"plugins": len(plugins), "found": found}))
"""
"""All that know tokens: entropy and keywords guess, and a public address of the network is no secret."""


def detect_secrets(paths: list[Path], folder: Path) -> set[tuple[str, int, str]]:
    script = folder / "detect.py"
    script.write_text(DETECT)
    result = run_program("python", script, input=json.dumps([str(path) for path in paths]))
    assert result.returncode == 0, result.stderr[-2000:]
    answer = json.loads(result.stdout)
    assert answer["plugins"] >= 23
    return {tuple(each) for each in answer["found"]}


def lines_of(path: Path) -> set[int]:
    return {secret.line for secret in scan_text(path.read_bytes())}


@pytest.mark.parametrize(("what", "token"), list(sample_tokens(1)), ids=lambda value: value[:20])
@pytest.mark.parametrize("context", ["{}\n", '{{"a": "x\\n{} y"}}\n', "a\r\n{}\r\nb"])
def test_every_token_is_found_once_and_never_repeated(what, token, context):
    token = token.replace("\n", "\\n") if context[0] == "{" and "{{" in context else token
    text = context.format(token)
    found = scan_text(text.encode())
    assert len(found) == 1, (what, found)
    assert found[0].line == (2 if context[0] == "a" else 1)
    secret = max(token.replace("'", '"').split('"'), key=len)
    assert secret[12:] not in str(found), "only how it begins is told"


@pytest.mark.parametrize("seed", range(3))
def test_redaction_takes_out_what_the_scan_finds(seed):
    for what, token in sample_tokens(seed):
        redacted = redact_text(f"x {token}\n")
        assert REDACTED in redacted, what
        assert scan_text(redacted.encode()) == [], what


def test_whatever_detect_secrets_finds_in_samples_is_found(tmp_path):
    paths = []
    numbers = random.Random(5)
    for seed in range(2):
        for number, (_, token) in enumerate(sample_tokens(seed)):
            path = tmp_path / f"{seed}-{number}.txt"
            path.write_text(numbers.choice(CONTEXTS[:1] if "\n" in token or seed == 0 else CONTEXTS).format(token))
            paths.append(path)
    theirs = detect_secrets(paths, tmp_path)
    missed = [(path, line, kind, Path(path).read_text()) for path, line, kind in theirs if not lines_of(Path(path))]
    assert missed == []
    ours = {str(path) for path in paths if lines_of(path)}
    assert ours == {str(path) for path in paths}, "what has no plugin there, too"
    kinds = {kind for _, _, kind in theirs}
    assert len(kinds) >= 20, f"the samples have not convinced them: {kinds}"


def test_whatever_detect_secrets_finds_in_archives_is_found(tmp_path):
    """And neither finds anything where there is nothing."""
    run = tiny_run(tmp_path, tested=True, figures=True)
    clean = [
        path
        for path in run.path.rglob("*")
        if path.suffix in (".json", ".jsonl", ".md", ".html", ".csv", ".py", ".txt", ".svg")
    ]
    assert detect_secrets(clean, tmp_path) == set()
    assert [path for path in clean if lines_of(path)] == []


@pytest.mark.parametrize("text", [*ORDINARY, *(each.upper() for each in ORDINARY)])
def test_ordinary_text_is_none(text):
    assert scan_text(text.encode()) == []
    assert scan_text(json.dumps({"text": text}).encode()) == []


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "ghp_" + "x" * 36,
        "token = 'your_token_0123456789'",
        "hf_" + "abcdefghijklmnopqrstuvwxyz012345",
        "https://user:password@example.org",
        "https://<user>:<password>@example.org",
        "https://${USER}:${PASSWORD}@example.org",
        "-----BEGIN RSA PRIVATE KEY-----",
        "if line == '-----BEGIN PRIVATE KEY-----': return pem",
        "https://h/x?token=short",
        "api_key = ''",
    ],
)
def test_placeholders_are_none(text):
    assert scan_text(text.encode()) == []


def test_digests_are_none():
    digests = {f"{name}_sha256": hashlib.sha256(name.encode()).hexdigest() for name in ("token", "key", "secret", "x")}
    assert scan_text(json.dumps(digests, indent=2).encode()) == []
    lines = "".join(f"{hashlib.md5(str(n).encode()).hexdigest()}  files/{n}\n" for n in range(2000))
    assert scan_text(lines.encode()) == []


def test_numbers_are_none():
    numbers = np.random.default_rng(0)
    assert scan_binary(numbers.standard_normal(1 << 20, dtype=np.float32).tobytes()) == []
    assert scan_binary(numbers.bytes(4 << 20)) == []
    csv = "\n".join(",".join(f"{value:.12g}" for value in row) for row in numbers.standard_normal((2000, 8)))
    assert scan_text(csv.encode()) == []


def test_the_source_of_keras_and_of_this_project_gives_no_false_alarm():
    import keras

    for folder in (Path(keras.__path__[0]), Path(__file__).parents[2] / "archiver"):
        for path in sorted(folder.rglob("*.py")):
            assert scan_text(path.read_bytes()) == [], path


def test_tokens_in_bytes_that_are_no_text():
    for what, token in sample_tokens(2):
        if what in ("GitHub token", "PyPI", "Hugging Face", "AWS key id"):
            data = os.urandom(5000) + b"\0" + token.encode() + b"\0" + os.urandom(5000)
            assert len(scan_binary(data)) == 1, what


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_whatever_stands_around_it_a_token_is_found(before, after):
    token = b"hf_" + b"aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3f"
    assert any("Hugging" in each.kind for each in scan_text(before + b"\n" + token + b"\n" + after)) or (
        before[:2] in (b"\xff\xfe", b"\xfe\xff") or b"BEGIN" in before
    )


@given(st.binary(max_size=300))
def test_no_bytes_raise(data):
    scan_text(data)
    scan_binary(data)


def test_lines_across_blocks(monkeypatch):
    monkeypatch.setattr("archiver.collect.secret_scan.BLOCK_BYTES", 7)
    tokens = [token for what, token in sample_tokens(3) if what == "GitHub token"]
    text = "".join(f"line\n{token}\n" for token in tokens)
    assert [secret.line for secret in scan_text(text.encode())] == [2, 4, 6, 8, 10]


HOSTILE = (
    "://", "://a:", "eyJ", "='", "-----BEGIN PRIVATE KEY-----", "Bearer ", "aws key'", "key=", "?token=", "1:AA", "-us",
    "machine a login b ",
)  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_time_is_linear_in_the_length(hostile):
    data = (hostile * (100_000 // len(hostile))).encode()
    begin = time.process_time()
    scan_text(data)
    assert time.process_time() - begin < 1.5


def test_every_marker_is_long_enough_for_the_sieve():
    for form in TOKEN_FORMATS:
        assert all(len(marker) >= MINIMAL_MARKER_LENGTH and marker.isascii() for marker in form.markers), form.kind


def test_a_private_key_needs_a_key():
    assert not is_placeholder("aB3dE6gH9jK2mN5p")
