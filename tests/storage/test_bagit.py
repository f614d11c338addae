import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.storage.bagit import (
    DECLARATION,
    declaration_fault,
    decode_path,
    encode_path,
    format_bag_manifest,
    format_info,
    manifest_algorithm,
    parse_bag_manifest,
    parse_info,
)

NASTY = st.text(st.sampled_from("%250aAdD\r\n aé/*\t"), min_size=1, max_size=20)
DIGEST = "0123456789abcdef" * 4


@given(NASTY)
def test_a_path_comes_back_from_its_encoding(path):
    written = encode_path(path)
    assert decode_path(written) == path
    assert not set(written) & {"\r", "\n"}
    assert encode_path(written) == written.replace("%", "%25")


@given(st.dictionaries(NASTY.map("data/{}".format), st.just(DIGEST), max_size=8))
def test_a_manifest_comes_back(digests):
    read = parse_bag_manifest(format_bag_manifest(digests), "sha256")
    assert read.digests == digests
    assert not read.faults


def test_only_these_three_are_encoded():
    assert encode_path("data/a b%\n\r~é#?") == "data/a b%25%0A%0D~é#?"
    assert decode_path("data/%0a%0D%20%25") == "data/\n\r%20%"


def test_what_other_programs_write_is_read():
    data = f"{DIGEST.upper()} data/a\r\n{DIGEST}\t*data/b c\n\n{DIGEST}  data/d".encode()
    read = parse_bag_manifest(data, "sha256")
    assert read.digests == {"data/a": DIGEST, "data/b c": DIGEST, "data/d": DIGEST}
    assert not read.faults


@pytest.mark.parametrize("line", [b"no digest", DIGEST.encode(), b"abc  data/a", DIGEST.encode() + b"  \xff"])
def test_faults_have_their_line(line):
    read = parse_bag_manifest(f"{DIGEST}  data/a\n".encode() + line + b"\n", "sha256")
    assert [fault.line for fault in read.faults] == [2]
    assert list(read.digests) == ["data/a"]


def test_a_path_twice_is_a_fault():
    read = parse_bag_manifest(f"{DIGEST}  data/a\n{'0' * 64}  data/a\n".encode(), "sha256")
    assert read.digests == {"data/a": DIGEST}
    assert "again" in read.faults[0].reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (DECLARATION, None),
        (DECLARATION.replace(b"1.0", b"0.97").replace(b"\n", b"\r\n"), None),
        (DECLARATION.rstrip(), None),
        (DECLARATION.replace(b"1.0", b"1.1"), "declares BagIt 1.1"),
        (DECLARATION.replace(b"UTF-8", b"UTF-16"), "is not"),
        (b"\xef\xbb\xbf" + DECLARATION, "is not"),
        (DECLARATION + b"More: text\n", "is not"),
        (b"", "is not"),
    ],
)
def test_the_declaration(data, reason):
    fault = declaration_fault(data)
    assert fault is None if reason is None else reason in fault


def test_info_with_continued_lines():
    data = format_info([("Payload-Oxum", "1.2"), ("Note", "one\nline")]) + b"Long: a\n  b\n\tc\nbroken\n"
    fields, faults = parse_info(data)
    assert fields == {"payload-oxum": ["1.2"], "note": ["one line"], "long": ["a b c"]}
    assert [fault.line for fault in faults] == [6]


def test_names_of_manifests():
    assert manifest_algorithm("manifest-sha256.txt", of_tags=False) == "sha256"
    assert manifest_algorithm("tagmanifest-md5.txt", of_tags=True) == "md5"
    assert manifest_algorithm("tagmanifest-md5.txt", of_tags=False) is None
    assert manifest_algorithm("data/manifest-md5.txt", of_tags=False) is None
