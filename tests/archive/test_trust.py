"""What runs code once somebody uses it is told, from the files themselves."""

from __future__ import annotations

import io
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from archiver._resources import resource_folder
from archiver.archive.trust import OWN_SCRIPTS, formula_in, script_in
from archiver.errors import DamagedFileError, UnsafeFileError
from archiver.storage.beneath import unportable_part
from archiver.storage.digests import sha256_of
from archiver.storage.hdf5_texts import read_root_text


def test_the_script_of_our_reports_is_known() -> None:
    """When templates/report.js changes, its new digest is added; the old ones stay."""
    script = (resource_folder("templates") / "report.js").read_text(encoding="utf-8")
    assert sha256_of(script.strip().encode()) in OWN_SCRIPTS
    assert script_in(io.BytesIO(f"<p><script>{script}</script>".encode())) is None


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("<script>alert(1)</script>", "<script> that is not the one"),
        ("<script src='http://x'></script>", "<script> with a source"),
        ("<ScRiPt >x</sCrIpT>", "<script> that is not the one"),
        ("<img title='>' onerror=alert(1)>", "<img onerror>"),
        ("<a href=' java\nscript:alert(1)'>x</a>", "<a href='javascript:...'>"),
        ("<a href='java&#115;cript:alert(1)'>x</a>", "<a href='javascript:...'>"),
        ("<a href='&#106avascript:alert(1)'>x</a>", "<a href='javascript:...'>"),
        ("<a href='javascript&colon;alert(1)'>x</a>", "<a href='javascript:...'>"),
        ("<a href='java&Tab;script:alert(1)'>x</a>", "<a href='javascript:...'>"),
        (
            '<meta http-equiv="Content-Security-Policy" content=x><meta http-equiv="&#82;efresh">',
            "<meta http-equiv='refresh'>",
        ),
        ('<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">', None),
        ("<iframe src=x>", "<iframe>"),
        ("<meta http-equiv=Refresh content='0;url=x'>", "<meta http-equiv='refresh'>"),
        ("<svg onload='x'/>", "<svg onload>"),
        ("<p>python train.py onnx=1 &lt;script&gt; javascript: is a word</p>", None),
        ("plain text", None),
        ("", None),
    ],
)
def test_pages(page: str, told: str | None) -> None:
    found = script_in(io.BytesIO(page.encode()))
    assert found is None if told is None else found is not None and told in found


@pytest.mark.parametrize(
    ("trace", "is_told"),
    [
        ("elapsed_seconds,part\n1.5,0\n-2.5e-3,0\n-inf,nan\n,\n", False),
        ("a,b\n=cmd|'/c calc'!A1,0\n", True),
        ("a,b\n1,@SUM(A1)\n", True),
        ("a,b\n1,+HYPERLINK(1)\n", True),
        ('a,b\n1,"=1+1"\n', True),
        ("=a,b\n", True),
        ("a\n" + "1\n" * (1 << 19) + "=1\n", True),
    ],
)
def test_traces(trace: str, is_told: bool) -> None:
    assert (formula_in(io.BytesIO(trace.encode())) is not None) is is_told


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("models/tiny.keras", None),
        ("files/ä.txt", None),
        ("files/console.txt", None),
        ("files/CON", "device"),
        ("aux.d/x", "device"),
        ("files/com1.tar.gz", "device"),
        ("a./b", "dot"),
        ("a /b", "dot or a space"),
        ("files/a:b", "character that Windows"),
        ("files/\u202etxt.exe", "cannot be seen"),
    ],
)
def test_names(path: str, word: str | None) -> None:
    found = unportable_part(path)
    assert found is None if word is None else found is not None and word in found


@pytest.mark.parametrize("value", [b'{"a": 1}', '{"\u00e4": 1}', np.bytes_(b"fixed"), b"x" * 200_000])
def test_the_text_at_the_root_of_a_file(value: bytes | str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["before"], file.attrs["model_config"], file.attrs["after"] = "x" * 99, value, 3
        file["group/tensor"] = np.ones(3)
    expected = value.encode() if isinstance(value, str) else bytes(value)
    assert read_root_text(tmp_path / "x.h5", "model_config") == expected
    assert read_root_text(tmp_path / "x.h5", "none") is None
    with pytest.raises(DamagedFileError, match="it is no text"):
        read_root_text(tmp_path / "x.h5", "after")


def test_the_newest_format_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        file.attrs["model_config"] = json.dumps({})
    with pytest.raises(UnsafeFileError, match="superblock"):
        read_root_text(tmp_path / "x.h5", "model_config")
