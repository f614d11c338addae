"""Paths as identifiers: what RO-Crate 1.1 shows as examples, and that nothing is lost on the way."""

import re
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.errors import UnsafePathError
from archiver.storage.beneath import relative_parts
from archiver.storage.iris import iri_of, path_of

PATHS = st.text(min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("path", "iri"),
    [
        ("models/digits_cnn_base.weights.h5", "models/digits_cnn_base.weights.h5"),
        ("Results and Diagrams/almost-50%.png", "Results%20and%20Diagrams/almost-50%25.png"),  # as in RO-Crate 1.1
        ("面试.mp4", "面试.mp4"),  # RO-Crate 1.1 prefers it to the encoded form
        ("files/été", "files/été"),
        ("files/e\u0301te\u0301", "files/e%CC%81te%CC%81"),  # normalising would make another name of it
        ("files/#1?.txt", "files/%231%3F.txt"),
        ("files/a:b", "files/a%3Ab"),
        ("@type", "%40type"),  # JSON-LD takes such identifiers for keywords of its own
        ("files/\u202etxt", "files/%E2%80%AEtxt"),  # RFC 3987 forbids what turns text
        ("files/(1) [2] {3}", "files/(1)%20%5B2%5D%20%7B3%7D"),
        ("configs/", "configs/"),
    ],
)
def test_known_answers(path, iri):
    assert iri_of(path) == iri
    assert path_of(iri) == path


def is_safe(path: str) -> bool:
    try:
        relative_parts(path)
    except UnsafePathError:
        return False
    return True


@given(PATHS.filter(is_safe))
def test_every_path_comes_back_and_stays_below_the_folder(path):
    iri = iri_of(path)
    assert path_of(iri) == path
    assert not re.search(r'[\x00-\x20<>"{}|\\^`\[\]#?]', iri)
    parts = urlsplit(urljoin("http://host/folder/", iri))
    assert (parts.netloc, parts.query, parts.fragment) == ("host", "", "")
    assert parts.path == f"/folder/{iri}"


@given(PATHS)
def test_reading_an_identifier_gives_a_safe_path_or_an_error(iri):
    try:
        path = path_of(iri)
    except UnsafePathError:
        return
    assert is_safe(path.removesuffix("/"))


@pytest.mark.parametrize(
    "iri",
    ["../a", "a/../b", "/etc/passwd", "//host/a", "http://host/a", "file:a", "C%3A/a", "a%2F..%2Fb", "a%00", "a?b",
     "#a", "", "./", "a%5Cb", "%ff"],
)  # fmt: skip
def test_what_leads_elsewhere_is_refused(iri):
    with pytest.raises(UnsafePathError):
        path_of(iri)
