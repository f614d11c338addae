"""Random numbers by counting: against known answers, a plain implementation, and what randomness should look like."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from archiver.data.augmentation.streams import add_normals, choices, draw, normal_quantiles, seeded, split, uniforms

MASK = 2**64 - 1
WORDS = st.integers(0, MASK)


def mixed(word: int, shifts: tuple[int, int, int], factors: tuple[int, int]) -> int:
    word = (word ^ (word >> shifts[0])) * factors[0] & MASK
    word = (word ^ (word >> shifts[1])) * factors[1] & MASK
    return word ^ (word >> shifts[2])


class Splittable:
    """SplittableRandom of the paper, one number at a time."""

    def __init__(self, state: int, gamma: int = 0x9E3779B97F4A7C15) -> None:
        self.state, self.gamma = state, gamma

    def step(self) -> int:
        self.state = (self.state + self.gamma) & MASK
        return self.state

    def next(self) -> int:
        return mixed(self.step(), (30, 27, 31), (0xBF58476D1CE4E5B9, 0x94D049BB133111EB))

    def split(self) -> "Splittable":
        state = self.next()
        gamma = mixed(self.step(), (33, 33, 33), (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)) | 1
        if (gamma ^ (gamma >> 1)).bit_count() < 24:
            gamma ^= 0xAAAAAAAAAAAAAAAA
        return Splittable(state, gamma)


def test_known_answers():
    """The first numbers of splitmix64 for the seed 0, as published with its C code."""
    found = draw(seeded(0), 3)[0].tolist()
    assert found == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@given(WORDS, st.integers(0, 20), st.integers(0, 20))
def test_streams_are_those_of_a_plain_implementation(seed, place, first):
    plain = Splittable(seed)
    for _ in range(place):
        plain.split()
    child = plain.split()
    expected = [child.next() for _ in range(first + 5)][first:]
    assert draw(split(seeded(seed), [place]), 5, first)[0].tolist() == expected


@given(WORDS, st.lists(st.integers(0, 2**40), min_size=1, max_size=20))
def test_a_stream_does_not_depend_on_the_others(seed, numbers):
    together = draw(split(seeded(seed), numbers), 3)
    for row, number in zip(together, numbers, strict=True):
        assert np.array_equal(row, draw(split(seeded(seed), [number]), 3)[0])


def test_numbers_are_uniform_within_and_across_streams():
    streams = split(seeded(7), np.arange(2000))
    values = uniforms(streams, 50)
    assert 0 <= values.min() < values.max() < 1
    for sample in (values.ravel(), values[:, 0], values[0]):
        assert scipy.stats.kstest(sample, "uniform").pvalue > 1e-3
    pairs = np.histogram2d(values[:-1, 0], values[1:, 0], bins=8, range=[[0, 1], [0, 1]])[0]
    assert scipy.stats.chisquare(pairs.ravel()).pvalue > 1e-3, "neighbouring streams"
    assert abs(np.corrcoef(values[:, 0], values[:, 1])[0, 1]) < 0.08
    bits = np.unpackbits(draw(streams, 4).view(np.uint8))
    assert abs(bits.mean() - 0.5) < 0.003


def test_normal_numbers_are_normal():
    table = normal_quantiles()
    assert abs(table.mean()) < 1e-12
    assert abs(table.std() - 1) < 1e-12
    rows = np.full((100, 1001), 5.0, np.float32)
    add_normals(rows, split(seeded(3), np.arange(100)), 2.0)
    noise = (rows - 5) / 2
    assert scipy.stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(noise[0], noise[1])[0, 1]) < 0.15


@given(st.integers(1, 40_000), st.integers(1, 3))
def test_noise_of_a_row_does_not_depend_on_its_length_or_the_others(length, count):
    rows = np.zeros((count, length))
    streams = split(seeded(1), np.arange(count))
    add_normals(rows, streams, 1.0)
    alone = np.zeros((1, max(1, length // 2)))
    add_normals(alone, streams[-1:], 1.0)
    assert np.array_equal(alone[0], rows[-1, : alone.shape[1]])


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_choices_are_equally_likely(count):
    found = choices(draw(seeded(5), 20_000)[0], count)
    assert found.min() >= 0
    assert found.max() < count
    assert count == 1 or scipy.stats.chisquare(np.bincount(found, minlength=count)).pvalue > 1e-3
