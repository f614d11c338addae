"""Laws of replacing: nothing survives, the same becomes the same, the rest stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.export.identity import Identity
from archiver.export.leaks import Needles
from archiver.export.replacing import Replacer

IDENTITY = Identity(
    hosts=("lab-pc-17.example.org", "lab-pc-17"),
    users=("adalovelace", "bob"),
    ordinary=("data", "cnn"),
    homes=("/home/adalovelace", "/root"),
    folders={"/srv/eeg/project": "<project>"},
    numbers=("0b0e7c1a-1111-2222-3333-444455556666",),
    hidden=("Acme",),
)
BOOT = "0b0e7c1a-1111-2222-3333-444455556666"
PIECES = st.sampled_from(
    [
        "adalovelace", "AdaLovelace", "bob", "bobsled", "lab-pc-17", "lab-pc-17.example.org", "/home/adalovelace",
        "/root", "/root/X", "/srv/eeg/project/a b", "/scratch/bob/x.npy", "file:///home/adalovelace/x",
        "-I/home/adalovelace/include", "acme", "/usr/lib/x", "data", "cnn", "a/b", BOOT,
        " ", "\n", "'", '"', ":", ",", "=", "(", ")",
    ]
)  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=12).map("".join))
def test_nothing_survives(text):
    replacer = Replacer(IDENTITY)
    replaced = replacer.text(text)
    assert list(Needles(IDENTITY, replacer.originals).kinds_in(replaced.encode("utf-8", "surrogatepass"))) == []
    for name in ("adalovelace", "lab-pc-17", "acme", "/home/adalovelace"):
        assert name not in replaced.casefold() or name in text.replace(name, "")


@given(st.text(alphabet="abcdefgh /.,:=()[]\n'\"0123456789-_~", max_size=80).filter(lambda text: "bob" not in text))
def test_what_has_nothing_to_hide_stays(text):
    assert Replacer(IDENTITY).text(text) == text


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("/home/adalovelace/x on lab-pc-17.example.org", "~/x on <host>"),
        ("lab-pc-17 and LAB-PC-17", "<host> and <host>"),
        ("by bob, not bobsled", "by <user-2>, not bobsled"),
        ("sub-bob_01.edf", "sub-<user-2>_01.edf"),
        ("data of cnn: cnn@data, data@cnn", "data of cnn: <user>@<host>, <user>@<host>"),
        ("/srv/eeg/project/train.py", "<project>/train.py"),
        (
            "/scratch/x/y.npy /scratch/x/z.npy /scratch/w/v/y.npy",
            "<folder-1>/y.npy <folder-1>/z.npy <folder-2>/v/y.npy",
        ),
        (
            "/usr/lib/x /proc/self n/a and/or 1/2 https://h/home/x",
            "/usr/lib/x /proc/self n/a and/or 1/2 https://h/home/x",
        ),
        ("-I/home/adalovelace/include", "-I~/include"),
        ("file:///home/adalovelace/x", "file://~/x"),
        ("/home/adalovelace2", "<folder-1>/<user>2"),
        (
            "10.1.2.3 192.168.0.1:80 127.0.0.1 0.3.31.188 2.10.1.4",
            "<address> <address>:80 127.0.0.1 0.3.31.188 2.10.1.4",
        ),
        ("http://8.8.4.4:80/x 52:54:00:AB:cd:ef", "http://<address>:80/x <mac>"),
        ("we at ACME", "we at <hidden>"),
        ("#/root and $.root", "#/root and $.root"),
    ],
)
def test_what_becomes_what(text, replaced):
    assert Replacer(IDENTITY).text(text) == replaced


def test_keys_and_paths_with_spaces():
    replacer = Replacer(IDENTITY)
    value = {
        "filepath": "/srv/eeg/project/my models/a.keras",
        "/root/A": 1,
        "~/a": 2,
        "note": "see /mnt/x y/z",
        "n": [1, None],
    }
    replaced = replacer.json(value)
    assert replaced["filepath"] == "<project>/my models/a.keras"
    assert (replaced["<home-2>/A"], replaced["~/a"], replaced["n"]) == (1, 2, [1, None])
    assert set(replaced) == {"filepath", "<home-2>/A", "~/a", "note", "n"}
    assert replaced["n"] == [1, None]


def test_names_of_files_are_those_that_every_system_can_have():
    assert Replacer(IDENTITY).file_name("files/bob of lab-pc-17.csv") == "files/user of host.csv"
