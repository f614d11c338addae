"""What becomes of windows: a law for all operations, and each one's own."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.data import (
    ArrayWindows,
    Augmentation,
    ChannelDropout,
    ChannelMask,
    GaussianNoise,
    Mixing,
    Scaling,
    TimeMask,
    TimeShift,
    window_batches,
)
from archiver.errors import ArgumentError, DataError

CHANNELS, SAMPLES, COUNT = 4, 30, 40
DATA = np.random.default_rng(0).normal(size=(COUNT, CHANNELS, SAMPLES)).astype(np.float32)
LABELS = np.eye(3, dtype=np.float32)[np.arange(COUNT) % 3]
SOURCE = ArrayWindows(DATA, labels=LABELS)


def every_operation(probability=0.7):
    return [
        Mixing(SOURCE, probability=probability),
        TimeMask(6, count=2, probability=probability),
        ChannelMask(2, probability=probability),
        ChannelDropout(0.3, probability=probability),
        Scaling(0.5, 2.0, per_channel=True, probability=probability),
        GaussianNoise(0.1, probability=probability),
        TimeShift(5, edge="wrap", probability=probability),
        TimeShift(3, probability=probability),
    ]


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 5),
    st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=12, unique=True),
)
@settings(max_examples=60)
def test_a_window_becomes_the_same_whatever_the_batch(seed, epoch, numbers):
    augmentation = Augmentation(every_operation(), seed=seed)
    numbers = np.array(numbers)
    together, labels = augmentation.apply_with_labels(DATA[numbers], LABELS[numbers], numbers, epoch)
    assert together.shape == (len(numbers), CHANNELS, SAMPLES)
    assert together.dtype == DATA.dtype
    assert np.array_equal(together, augmentation.apply(DATA[numbers], numbers, epoch)), "labels change nothing"
    for place, number in enumerate(numbers):
        alone, label = augmentation.apply_with_labels(DATA[[number]], LABELS[[number]], [number], epoch)
        assert np.array_equal(alone[0], together[place])
        assert np.array_equal(label[0], labels[place])


def test_epochs_and_seeds_differ_and_the_data_stay():
    before = DATA.copy()
    numbers = np.arange(COUNT)
    found = [
        Augmentation([GaussianNoise(1.0)], seed=seed).apply(DATA, numbers, epoch) for seed in (1, 2) for epoch in (0, 1)
    ]
    assert len({each.tobytes() for each in found}) == 4
    assert np.array_equal(DATA, before)


def applied(operation, data=DATA, epoch=0):
    return Augmentation([operation], seed=3).apply(data, np.arange(len(data)), epoch)


def test_time_masks_hide_a_span_in_all_channels():
    lengths = set()
    for window in applied(TimeMask(6, value=9.0)):
        hidden = (window == 9).all(axis=0)
        assert ((window == 9).any(axis=0) == hidden).all()
        (places,) = np.nonzero(hidden)
        assert not len(places) or len(places) == places[-1] - places[0] + 1
        lengths.add(len(places))
    assert max(lengths) <= 6
    assert len(lengths) > 3


def test_channel_masks_and_dropout_hide_whole_channels():
    for operation, most in ((ChannelMask(2, value=9.0), 2), (ChannelDropout(0.5, value=9.0), CHANNELS)):
        counts = set()
        for window in applied(operation):
            hidden = (window == 9).all(axis=1)
            assert ((window == 9).any(axis=1) == hidden).all()
            counts.add(int(hidden.sum()))
        assert max(counts) <= most
        assert len(counts) > 2
    assert (applied(ChannelDropout(1.0)) == 0).all()
    assert np.array_equal(applied(ChannelDropout(0.0)), DATA)


def test_factors_lie_in_their_range():
    factors = applied(Scaling(0.5, 2.0)) / DATA
    assert factors.min() > 0.49
    assert factors.max() < 2.01
    assert np.allclose(factors, factors[:, :1, :1], atol=1e-3), "one per window"
    assert np.ptp(applied(Scaling(0.5, 2.0, per_channel=True))[0] / DATA[0], axis=0).min() > 0


def test_shifts_keep_what_they_do_not_push_out():
    shifts = set()
    for window, original in zip(applied(TimeShift(5, edge="wrap")), DATA, strict=True):
        (shift,) = [k for k in range(-5, 6) if np.array_equal(window, np.roll(original, k, axis=1))]
        shifts.add(shift)
    assert len(shifts) > 6
    for window, original in zip(applied(TimeShift(5)), DATA, strict=True):
        assert any(
            np.array_equal(window, np.pad(original, ((0, 0), (max(k, 0), max(-k, 0))))[:, max(-k, 0) :][:, :SAMPLES])
            for k in range(-5, 6)
        )


def test_noise_has_its_standard_deviation():
    noise = applied(GaussianNoise(0.3)) - DATA
    assert abs(noise.std() - 0.3) < 0.01
    assert abs(noise.mean()) < 0.02


def test_a_mixture_is_of_two_windows_and_their_labels():
    numbers = np.arange(COUNT)
    partners = np.array([1, 5, 7])
    mixing = Mixing(SOURCE, alpha=1.0, partners=partners)
    mixed, labels = Augmentation([mixing], seed=3).apply_with_labels(DATA, LABELS, numbers, 0)
    found = set()
    for number in numbers:
        errors = []
        for partner in partners:
            direction = DATA[number] - DATA[partner]
            share = float((mixed[number] - DATA[partner]).ravel() @ direction.ravel() / max(1e-9, (direction**2).sum()))
            error = np.abs(DATA[partner] + share * direction - mixed[number]).max()
            errors.append((error, share, partner))
        error, share, partner = min(errors)
        assert error < 1e-5
        if number != partner:
            assert 0.5 <= share <= 1
            assert np.allclose(labels[number], share * LABELS[number] + (1 - share) * LABELS[partner], atol=1e-4)
        found.add(partner)
    assert found == set(partners.tolist())


@pytest.mark.parametrize("dtype", ["int16", "uint8", "int32", "float16", "float32", "float64", ">i2"])
def test_dtypes_are_kept_and_integers_stay_in_their_range(dtype):
    data = (DATA * 60 + 100).astype(dtype)
    changed = applied(Scaling(3.0, 4.0), data)
    assert changed.dtype == np.dtype(dtype)
    if np.dtype(dtype) == np.uint8:
        assert changed.max() == 255, "not wrapped round"


def test_probability_is_the_share_of_windows_that_change():
    data = np.ones((4000, 1, 4), np.float32)
    share = (applied(Scaling(2.0, 3.0, probability=0.25), data) != 1).any(axis=(1, 2)).mean()
    assert abs(share - 0.25) < 0.03


def test_an_empty_batch_and_no_operations():
    assert Augmentation(every_operation(1.0), seed=1).apply(DATA[:0], [], 0).shape == (0, CHANNELS, SAMPLES)
    assert np.array_equal(Augmentation([], seed=1).apply(DATA, np.arange(COUNT), 0), DATA)


def test_what_is_recorded_repeats_it():
    described = Augmentation(every_operation(), seed=11).described()
    json.dumps(described)
    assert described["seed"] == 11
    assert [each["operation"] for each in described["operations"]][:3] == ["mixing", "time_mask", "channel_mask"]
    assert described["operations"][1] == {
        "operation": "time_mask", "maximal_samples": 6, "count": 2, "value": 0.0, "probability": 0.7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TimeMask(0), "Received maximal_samples=0"),
        (lambda: TimeMask(True), "Received maximal_samples=True"),
        (lambda: ChannelDropout(1.5), "Received rate=1.5. Expected a number from 0 to 1"),
        (lambda: Scaling(2.0, 1.0), "Expected low to be at most high"),
        (lambda: GaussianNoise(float("nan")), "Received standard_deviation=nan"),
        (lambda: TimeShift(3, edge="mirror"), "Received edge='mirror'"),
        (lambda: Mixing(SOURCE, alpha=0), "Received alpha=0"),
        (lambda: Mixing(SOURCE, partners=[COUNT]), f"Expected 0 to {COUNT - 1}"),
        (lambda: Mixing(SOURCE, partners=[]), "Expected numbers of windows"),
        (lambda: Scaling(probability=-1), "Received probability=-1"),
        (lambda: Augmentation([1], seed=0), "Received 1 among the operations"),
        (lambda: Augmentation([], seed=-1), "Received seed=-1"),
    ],
)
def test_parameters_that_cannot_be(make, message):
    with pytest.raises(ArgumentError, match=message.replace("(", r"\(")):
        make()


def test_batches_that_cannot_be():
    augmentation = Augmentation([Scaling()], seed=0)
    with pytest.raises(DataError, match=r"Expected an array \(batch, channels, samples\)"):
        augmentation.apply(DATA[0], [0], 0)
    with pytest.raises(DataError, match="Expected the number of each window"):
        augmentation.apply(DATA, [0], 0)
    with pytest.raises(DataError, match="integers of up to 32 bits"):
        augmentation.apply(DATA.astype(np.int64), np.arange(COUNT), 0)
    with pytest.raises(ArgumentError, match="Received epoch=-1"):
        augmentation.apply(DATA, np.arange(COUNT), -1)
    mixing = Augmentation([Mixing(SOURCE)], seed=0)
    with pytest.raises(DataError, match="Expected float rows of the same shape"):
        mixing.apply_with_labels(DATA, np.arange(COUNT), np.arange(COUNT), 0)
    with pytest.raises(DataError, match="Expected the same shape"):
        mixing.apply(DATA[:, :2], np.arange(COUNT), 0)


@pytest.mark.parametrize("form", ["fastest", "pydataset"])
def test_a_data_set_feeds_augmented_windows(form):
    augmentation = Augmentation(every_operation(), seed=5)
    fed = window_batches(ArrayWindows(DATA), batch_size=7, seed=1, shuffle=False, augment=augmentation, form=form)
    batches = list(fed) if form == "fastest" else [fed[index] for index in range(len(fed))]
    found = np.concatenate([np.asarray(batch) for batch in batches])
    assert np.array_equal(found, augmentation.apply(DATA, np.arange(COUNT), 0))
