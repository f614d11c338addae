import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.errors import RunNameError
from archiver.naming import MAXIMAL_NAME_LENGTH, folder_name, run_name

ON_DISK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,149}")


def test_three_parts_make_a_name():
    name = run_name(None, "digits", "cnn", "base")
    assert name.name == "digits_cnn_base"
    assert folder_name(name.name) == "digits_cnn_base_models"


def test_versions_end_in_a_number():
    name = run_name("a")
    assert [name.version(number) for number in (1, 2, 11)] == ["a", "a-2", "a-11"]


@pytest.mark.parametrize(
    ("given_name", "on_disk"),
    [("two words", "two_words"), ("Zürich", "Zurich"), ("数字", "__"), ("a.b-c_d", "a.b-c_d"), ("naïve é", "naive_e")],
)
def test_spaces_and_other_scripts_are_replaced_and_the_original_kept(given_name, on_disk):
    name = run_name(given_name)
    assert (name.name, name.original) == (on_disk, given_name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "a/b",
        "a\\b",
        "..",
        "a..b",
        ".hidden",
        "-option",
        "a\nb",
        "a\x00b",
        "a\u202eb",
        "x" * 151,
        "a:b",
        "a*b",
        "<a>",
        "con",
        "Aux.2",
        "cön",
        "LPT1",
    ],
)
def test_refused_names_say_what_was_received_and_expected(name):
    with pytest.raises(RunNameError, match=r"(?s)Received .*Expected"):
        run_name(name)


def test_a_device_in_a_part_of_the_name_is_none():
    assert run_name(None, "con", "aux", "nul").name == "con_aux_nul"
    assert run_name("console").name == "console"
    with pytest.raises(RunNameError, match="Windows"):
        run_name(None, "con.1", "aux", "nul")


def test_the_version_counts_towards_the_length():
    name = run_name("x" * MAXIMAL_NAME_LENGTH)
    assert name.version(1)
    with pytest.raises(RunNameError, match="version suffix"):
        name.version(2)


def test_three_parts_count_together():
    with pytest.raises(RunNameError, match="150"):
        run_name(None, "x" * 60, "y" * 60, "z" * 60)


@pytest.mark.parametrize(
    "arguments",
    [(None,), ("a", "b", "c", "d"), (None, "a"), (None, "a", None, "c"), (3,), (None, "a", "b", 3)],
)
def test_either_a_name_or_all_three_parts(arguments):
    with pytest.raises(RunNameError, match="Expected"):
        run_name(*arguments)


@given(st.text(max_size=200))
def test_any_text_is_a_safe_name_or_an_error(text):
    try:
        name = run_name(text)
    except RunNameError:
        return
    assert ON_DISK.fullmatch(name.name)
    assert ".." not in name.name
