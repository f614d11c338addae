"""Laws of thinning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from archiver.errors import ArgumentError
from archiver.sampling.thinning import kept_rows, minimal_limit
from archiver.sampling.traces import MAXIMAL_ROWS
from tests.property.campaigns import campaign

STRESS = campaign(0, 1)

CELLS = st.one_of(st.just(float("nan")), st.floats(-1e12, 1e12), st.integers(0, 5).map(float))


@st.composite
def traces(draw):
    rows, columns = draw(st.integers(1, 300)), draw(st.integers(1, 5))
    table = draw(hnp.arrays(float, (rows, columns), elements=CELLS, fill=st.just(1.0)))
    steps = draw(hnp.arrays(float, rows, elements=st.sampled_from([0.0, 1.0, 0.02, 5000.0]), fill=st.just(1.0)))
    keys = draw(st.lists(st.integers(0, columns - 1), unique=True, max_size=columns))
    limit = minimal_limit(columns, len(keys)) + draw(st.integers(0, 60))
    return np.cumsum(steps), table, keys, limit


def extremes(table):
    with np.errstate(all="ignore"):
        return [(column[~np.isnan(column)].min(initial=np.inf), column[~np.isnan(column)].max(initial=-np.inf))
                for column in table.T]  # fmt: skip


@given(traces())
def test_bounded_in_order_and_no_extreme_is_lost(trace):
    times, table, keys, limit = trace
    kept = kept_rows(times, table, keys, limit)
    assert len(kept) <= limit
    assert np.all(np.diff(kept) > 0)
    assert (kept[0], kept[-1]) == (0, len(table) - 1)
    assert extremes(table[kept]) == extremes(table)
    if len(table) <= limit:
        assert len(kept) == len(table)


@given(traces(), st.integers(1, 4))
@settings(max_examples=50)
def test_as_often_as_you_like(trace, times_thinned):
    times, table, keys, limit = trace
    kept = np.arange(len(table))
    for _ in range(times_thinned):
        kept = kept[kept_rows(times[kept], table[kept], keys, limit)]
    assert extremes(table[kept]) == extremes(table)
    assert len(kept) <= limit


def test_old_times_stay_as_dense_as_new_ones():
    """Two days at 1 Hz, thinned 80 times on the way: every hour keeps its rows, and its own largest value."""
    rng = np.random.default_rng(0)
    hours, limit = 48, 4000
    all_values = rng.normal(size=(hours * 3600, 1))
    times, values = np.empty(0), np.empty((0, 1))
    for begin in range(0, len(all_values), 2000):
        end = min(begin + 2000, len(all_values))
        times = np.concatenate([times, np.arange(begin, end, dtype=float)])
        values = np.concatenate([values, all_values[begin:end]])
        if len(times) >= limit:
            kept = kept_rows(times, values, [0], limit // 2)
            times, values = times[kept], values[kept]
    per_hour = np.bincount((times // 3600).astype(int), minlength=hours)
    assert len(times) < limit
    assert per_hour[: hours - 2].min() >= 5
    for hour in range(hours):
        inside = values[times // 3600 == hour, 0]
        assert inside.max() == all_values[hour * 3600 : (hour + 1) * 3600].max()


WEEK_SECONDS = 7 * 24 * 3600


@pytest.mark.stress
@pytest.mark.parametrize(("hertz", "seed"), [(1, 0), *((hertz, seed) for hertz, seed in ((1, 1), (50, 2)) if STRESS)])
def test_a_week(hertz, seed):
    """Rows as they come, thinned whenever there are too many: one spike a day, a single row of it, is never lost."""
    rng = np.random.default_rng(seed)
    limit, count = MAXIMAL_ROWS, WEEK_SECONDS * hertz
    spikes = rng.choice(np.arange(1, 6 * 24 * 3600 * hertz), 7, replace=False)
    times, values = np.empty(0), np.empty((0, 2))
    thinned = longest = seen = 0
    lowest, highest = np.full(2, np.inf), np.full(2, -np.inf)
    while seen < count:
        fresh = np.arange(seen, min(seen + limit - len(times), count))
        rows = rng.normal(size=(len(fresh), 2))
        rows[np.isin(fresh, spikes), 0] += 100
        lowest, highest = np.minimum(lowest, rows.min(axis=0)), np.maximum(highest, rows.max(axis=0))
        times, values = np.concatenate([times, fresh / hertz]), np.concatenate([values, rows])
        seen, longest = seen + len(fresh), max(longest, len(times))
        if len(times) >= limit:
            kept = kept_rows(times, values, [0], limit // 2)
            times, values, thinned = times[kept], values[kept], thinned + 1
    assert thinned > 50
    assert longest <= limit
    assert len(times) >= limit / 4
    assert (values.min(axis=0) == lowest).all()
    assert (values.max(axis=0) == highest).all()
    assert set(times[values[:, 0] > 50]) == set(spikes / hertz)
    per_hour = np.bincount((times // 3600).astype(int), minlength=7 * 24)
    assert per_hour.min() >= limit / 4 / (7 * 24) / 4, "no hour is thinner than a quarter of the mean"


def test_a_limit_that_is_too_small():
    with pytest.raises(ArgumentError, match="Expected at least 8 rows"):
        kept_rows(np.arange(100.0), np.zeros((100, 2)), [0], 7)
