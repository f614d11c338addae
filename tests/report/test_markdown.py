import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from archiver.report.markdown import Safe, format_bytes, format_number, format_seconds, in_words, markdown_text

HOSTILE = [
    "</td><script>alert(1)</script>", "a|b", "`x`", "[c](javascript:alert(1))", "![x](http://evil.example/x.png)",
    "x\n---\nlicense: mit", "\u202eexe.txt", "<img src=x onerror=alert(1)>", "feature/$(rm -rf)", "\x1b[31mred",
    "~~~\n# h", "www.evil.example", "@user #1", "&lt;script&gt;", "$$x$$", "# head", "1. list", "- item", "_a_ *b*",
    "https://evil.example", "\\", "***", "---", "a\r\nb",
]  # fmt: skip

# What a README is read by: tables and strikethrough as on GitHub; bare links are looked for separately.
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_stays_text(text):
    for source in (
        f"| a | b |\n|---|---|\n| {markdown_text(text)} | 1 |\n",
        f"{markdown_text(text)}\n",
        f"- **{markdown_text(text)}**\n",
    ):
        html = MARKDOWN.render(source)
        tags = set(re.findall(r"<(\w+)", html)) - {
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "p",
            "ul",
            "li",
            "strong",
        }
        assert not tags, (source, html)
        assert html.count("<td") in (0, 2)
        assert not re.search(r"https?://|www\.", source)


@given(st.text(st.sampled_from(string.ascii_letters + string.digits + string.punctuation + " "), max_size=60))
def test_the_text_is_what_a_reader_sees(text):
    rendered = MARKDOWN.render(f"x{markdown_text(text)}x\n")
    seen = re.sub(r"<[^>]+>", "", rendered).strip()
    import html

    assert html.unescape(seen).split() == f"x{text}x".split()


def test_ordinary_text_stays_readable_in_the_source():
    for text in ("digits_cnn_base", "0.987", "results/a.json", "learning rate (1e-3)", "C++", "a-b", "2026-11-21"):
        assert markdown_text(text) == text


def test_what_is_safe_is_left_alone_and_long_text_is_cut():
    assert markdown_text(Safe("**a**")) == "**a**"
    assert len(markdown_text("x" * 10_000)) <= 500


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.98765, "0.9877"),
        (1234567, "1,234,567"),
        (1.0, "1"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (True, "True"),
    ],
)
def test_numbers(value, text):
    assert format_number(value) == text


def test_units():
    assert [format_bytes(count) for count in (0, 1023, 1024, 1536, 3 << 30)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 KiB",
        "3.0 GiB",
    ]
    assert [format_seconds(seconds) for seconds in (0.04, 59.9, 123, 14700)] == [
        "0.0 s",
        "59.9 s",
        "2 min 3 s",
        "4 h 5 min",
    ]
    assert in_words({"a": [1, 2], "b": {"c": "d"}}) == "a: 1, 2; b: c: d"
