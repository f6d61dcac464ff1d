"""The largest sets of points that fit into a disc."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patrol.anomaly.discs import fullest_discs

ROUNDING = 1 + 1e-6


def largest_by_trying_all_pairs(points: np.ndarray, radius: float) -> int:
    """The answer by brute force: every disc with two points on its rim, and each point alone."""
    best = 1
    for first, second in itertools.permutations(points, 2):
        chord = second - first
        length = np.hypot(*chord)
        if length == 0:
            centres = [first + np.array([radius, 0])]
        elif length > 2 * radius:
            continue
        else:
            height = np.sqrt(radius**2 - length**2 / 4)
            centres = [(first + second) / 2 + height * np.array([-chord[1], chord[0]]) / length]
        for centre in centres:
            best = max(best, int((np.hypot(*(points - centre).T) <= radius * ROUNDING).sum()))
    return best


@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.floats(0.5, 3.0))
def test_first_set_is_the_largest_there_is(seed, count, radius):
    points = np.random.default_rng(seed).uniform(0, 6, (count, 2))
    sets = list(fullest_discs(points, radius, 1))
    assert len(sets[0]) == largest_by_trying_all_pairs(points, radius)
    assert sorted(np.concatenate(sets)) == list(range(count))  # disjoint, nobody left out
    assert [len(members) for members in sets] == sorted((len(members) for members in sets), reverse=True)


def test_three_far_apart_share_a_disc_that_is_centred_on_nobody():
    angles = np.radians([90, 210, 330])
    points = 1.99 * np.column_stack([np.cos(angles), np.sin(angles)])  # 3.45 from each other
    assert [list(members) for members in fullest_discs(points, 2.0, 3)] == [[0, 1, 2]]
    assert list(fullest_discs(points * 2.01 / 1.99, 2.0, 3)) == []


def test_people_in_the_very_same_place_count():
    assert [list(members) for members in fullest_discs(np.zeros((4, 2)), 1.0, 3)] == [[0, 1, 2, 3]]


def test_a_set_that_is_passed_over_leaves_its_points_to_others():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    sets = list(fullest_discs(points, 1.0, 2, accept=lambda members: 0 not in members))
    assert [list(members) for members in sets] == [[1, 2]]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_are_no_set(count):
    assert list(fullest_discs(np.zeros((count, 2)), 1.0, 3)) == []


def test_five_hundred_people_are_quick():
    points = np.random.default_rng(4).uniform(0, 30, (500, 2))
    begun = time.process_time()
    sets = list(fullest_discs(points, 3.0, 8))
    assert len(sets) > 10
    assert time.process_time() - begun < 1.0  # about 0.08 s on one slow core
