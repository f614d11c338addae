"""Hashes of samples: as the format specifies them, and what they find against a search by hand."""

import hashlib
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.collect import samples as module
from archiver.collect.samples import RowHashes, duplicates_between, duplicates_within, hash_words
from archiver.collect.splits import dataset_stats, describe_arrays
from archiver.records.base import Unavailable

MASK = 2**64 - 1


def specified_factors(count):
    """SplitMix64, step by step in whole numbers."""
    state, outputs = 0, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        outputs.append(z ^ (z >> 31))
    return outputs


def specified_hash(words):
    factors = specified_factors(2 * (len(words) + 1))
    halves = []
    for part in (0, 1):
        total = factors[part] + sum(factors[2 * (j + 1) + part] * word for j, word in enumerate(words))
        halves.append((total & MASK) >> 32)
    return halves[0] << 32 | halves[1]


def specified_pieces(data):
    data += bytes(-len(data) % 4)
    words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
    size = module.PIECE_WORDS
    return [specified_hash(words[i : i + size]) for i in range(0, max(1, len(words)), size)]


def halves(hashes):
    return [half for value in hashes for half in (value >> 32, value & 0xFFFFFFFF)]


def specified_sample(arrays, index):
    return specified_hash(halves([piece for a in arrays for piece in specified_pieces(a[index].tobytes())]))


def specified_fingerprint(inputs, targets):
    hashes = [
        specified_hash(halves([specified_sample(inputs, index), specified_sample(targets, index)]))
        for index in range(len(inputs[0]))
    ]
    return hashlib.sha256(b"".join(value.to_bytes(8, "little") for value in sorted(hashes))).hexdigest()


def described(x, y=None, weight=None):
    return describe_arrays("arrays", "numpy.ndarray", (x, y, weight))


def test_the_fingerprint_is_what_the_format_says(monkeypatch):
    monkeypatch.setattr(module, "PIECE_WORDS", 4)
    generator = np.random.default_rng(1)
    x = {"a": generator.integers(0, 255, (7, 3, 7), dtype="uint8"), "b": generator.normal(size=(7, 2))}
    y = generator.integers(0, 3, 7)
    assert described(x, y).part.samples_fingerprint == specified_fingerprint(list(x.values()), [y])


def test_the_order_of_the_samples_does_not_matter_but_all_else_does():
    x, y = np.random.default_rng(0).normal(size=(100, 5)), np.arange(100) % 3
    order = np.random.default_rng(1).permutation(100)
    whole = described(x, y).part.samples_fingerprint
    assert described(x[order], y[order], np.ones(100)).part.samples_fingerprint == whole
    assert described(x[order], y).part.samples_fingerprint != whole
    assert described(x[:99], y[:99]).part.samples_fingerprint != whole
    changed = x.copy()
    changed[50, 3] = np.nextafter(changed[50, 3], 9)
    assert described(changed, y).part.samples_fingerprint != whole


def test_binary_images_do_not_collide():
    """Words that differ in few of their high bits only: where a plain sum of products modulo 2**64 fails."""
    numbers = np.arange(20_000)
    images = ((numbers[:, None] >> np.arange(16)) & 1).astype("float32")
    rows = RowHashes()
    rows.update(images)
    hashes = rows.hashes()[:, 0]
    assert len(np.unique(hashes)) == 20_000
    for shift in (0, 16, 32, 48):
        # random numbers: 17,237
        assert len(np.unique((hashes >> np.uint64(shift)) & np.uint64(0xFFFF))) > 12_000


def by_hand(first, first_targets, second, second_targets):
    known = {}
    for index, (row, target) in enumerate(zip(first, first_targets, strict=True)):
        known.setdefault(row.tobytes(), (index, set()))[1].add(target)
    pairs, conflicts = [], 0
    for index, (row, target) in enumerate(zip(second, second_targets, strict=True)):
        if row.tobytes() in known:
            pairs.append((known[row.tobytes()][0], index))
            conflicts += target not in known[row.tobytes()][1]
    return pairs, conflicts


small_samples = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), max_size=30)


@settings(deadline=None, max_examples=150)
@given(small_samples, small_samples)
def test_duplicates_are_those_found_by_hand(first, second):
    arrays = [(np.array([[a, a] for a, _ in each], "float32").reshape(-1, 2), np.array([b for _, b in each], int))
              for each in (first, second)]  # fmt: skip
    (x, y), (x2, y2) = arrays
    splits = [described(x, y), described(x2, y2)]
    pairs, conflicts = by_hand(x, y, x2, y2)
    found = duplicates_between(splits[0].samples, splits[1].samples)
    assert (found.count, found.conflicting_count) == (len(pairs), conflicts)
    assert found.first_pairs == tuple(pairs[:10])
    within = duplicates_within(splits[0].samples)
    firsts = {}
    repeated = [(firsts.setdefault(a, index), index) for index, (a, _) in enumerate(first)]
    assert within.first_pairs == tuple(pair for pair in repeated if pair[0] != pair[1])[:10]
    assert within.count == len(first) - len({a for a, _ in first})
    targets = {a: {b for c, b in first if a == c} for a, _ in first}
    assert within.conflicting_count == sum(len(each) > 1 for each in targets.values())


def test_a_planted_leak_among_many():
    generator = np.random.default_rng(0)
    train, validation = generator.normal(size=(50_000, 8)), generator.normal(size=(5_000, 8))
    validation[[17, 4000]] = train[[123, 49_999]]
    y = np.zeros(50_000, int)
    wrong = np.zeros(5_000, int)
    wrong[4000] = 1
    stats = dataset_stats({"train": described(train, y), "validation": described(validation, wrong)}, None, None)
    found = stats.duplicates.between["train"]["validation"]
    assert (found.count, found.share, found.conflicting_count) == (2, 2 / 5000, 1)
    assert found.first_pairs == ((123, 17), (49_999, 4000))
    assert stats.duplicates.within["train"].count == 0
    assert (stats.total_sample_count, stats.ratios["train"]) == (55_000, 50 / 55)


def test_many_blank_samples_cost_no_more_than_others():
    blank, other = np.zeros((200_000, 16), "float32"), np.random.default_rng(0).normal(size=(200_000, 16))
    seconds = []
    for x in (other.astype("float32"), blank):
        started = time.process_time()
        samples = described(x, np.arange(200_000) % 2).samples
        duplicates_within(samples), duplicates_between(samples, samples)
        seconds.append(time.process_time() - started)
    assert duplicates_within(samples).count == 199_999
    assert duplicates_within(samples).conflicting_count == 1
    assert seconds[1] < 5 * seconds[0] + 0.5


def test_what_is_kept_of_a_sample():
    samples = described(np.zeros((1000, 500)), np.zeros(1000, int)).samples
    assert sum(each.nbytes for each in (samples.inputs, samples.positions, samples.targets)) == 16 * 1000


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (np.array([{}, {}], object), None, "Python objects"),
        (np.zeros((3, 2)), np.zeros(2), "differ in length"),
        ((), np.zeros(2), "no inputs"),
    ],
    ids=str,
)
def test_what_cannot_be_hashed(x, y, reason):
    part = described(x, y).part
    assert reason in part.samples_fingerprint.unavailable


def test_more_samples_than_are_kept():
    split = describe_arrays("arrays", "t", (np.zeros((11, 1)), None, None), maximal_samples=10)
    assert "more than 10 samples" in split.samples.unavailable
    assert split.part.sample_count == 11


def test_samples_that_are_made_differently_are_not_compared():
    found = duplicates_between(described(np.zeros((3, 2))).samples, described(np.zeros((3, 2), "float32")).samples)
    assert isinstance(found, Unavailable)


def test_samples_without_bytes_and_no_samples():
    assert described(np.zeros((4, 0))).part.sample_count == 4
    assert duplicates_within(described(np.zeros((0, 3)), np.zeros(0)).samples).count == 0


def test_words_of_any_number():
    words = np.random.default_rng(0).integers(0, 2**32, (3, 9), dtype=np.uint32)
    for count in range(10):
        expected = [specified_hash(row[:count].tolist()) for row in words]
        assert hash_words(words[:, :count]).tolist() == expected
