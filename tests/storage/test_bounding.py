import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from archiver.storage.bounding import MAXIMAL_CHARACTERS, bounded

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(documents)
def test_what_is_small_stays_as_it_is(document):
    assert bounded(document) == document


def test_what_is_long_is_cut_and_can_be_compared():
    words = [f"word{number}" for number in range(100_000)]
    cut = bounded({"vocabulary": words})["vocabulary"]
    assert (cut["count"], cut["first"]) == (100_000, words[:10])
    text = json.dumps(words, separators=(",", ":")).encode()
    assert cut["sha256"] == hashlib.sha256(text).hexdigest()
    weights = bounded({str(number): 1.0 for number in range(10_000)})
    assert (weights["count"], len(weights["first"])) == (10_000, 10)
    assert bounded("a" * (MAXIMAL_CHARACTERS + 1))["count"] == MAXIMAL_CHARACTERS + 1


@given(st.lists(st.integers(), min_size=101), st.lists(st.integers(), min_size=101))
def test_two_long_lists_have_one_digest_only_if_they_are_equal(first, second):
    assert (bounded(first) == bounded(second)) == (first == second)
