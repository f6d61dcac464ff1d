import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from patrol.vision.registry import ModelError
from patrol.vision.tiles import Tile, cut_by_border, merge, pairwise_iou, plan_tiles, tile_for_people

sizes = st.integers(1, 2000)


@given(width=sizes, height=sizes, tile=st.integers(64, 800), overlap=st.floats(0, 0.6))
def test_tiles_cover_the_picture_and_stay_inside(width: int, height: int, tile: int, overlap: float) -> None:
    tiles = plan_tiles(width, height, tile, overlap)
    for length, parts in (
        (width, {(t.x_px, t.width_px) for t in tiles}),
        (height, {(t.y_px, t.height_px) for t in tiles}),
    ):
        reached = 0
        for start, side in sorted(parts):
            assert 0 <= start <= reached, "a gap between tiles"
            assert start + side <= length, "a tile reaches out of the picture"
            reached = start + side
        assert reached == length
    assert len(set(tiles)) == len(tiles)


@given(width=st.integers(400, 2000), height=st.integers(400, 2000), tile=st.integers(100, 390))
def test_neighbours_share_at_least_the_overlap(width: int, height: int, tile: int) -> None:
    tiles = plan_tiles(width, height, tile, 0.25)
    for starts in (sorted({t.x_px for t in tiles}), sorted({t.y_px for t in tiles})):
        for before, after in itertools.pairwise(starts):
            # Two px: starts are rounded to whole pixels.
            assert before + tile - after >= 0.25 * tile - 2


@given(width=sizes, height=sizes)
def test_no_tile_size_or_a_large_one_is_the_whole_picture(width: int, height: int) -> None:
    whole = (Tile(0, 0, width, height),)
    assert plan_tiles(width, height, None) == whole
    assert plan_tiles(width, height, max(width, height)) == whole


@pytest.mark.parametrize(
    ("width", "tile", "overlap"), [(0, 100, 0.2), (100, 0, 0.2), (100, 50, 1.0), (100, 50, -0.1)]
)
def test_sizes_that_make_no_sense_are_refused(width: int, tile: int, overlap: float) -> None:
    with pytest.raises(ModelError):
        plan_tiles(width, 100, tile, overlap)


@given(height=st.floats(12.5, 400))
def test_people_are_large_enough_in_the_tiles_chosen_for_them(height: float) -> None:
    assert height * 416 / tile_for_people(height, 416) >= 40 - 1e-6


def test_tiles_do_not_get_smaller_than_is_of_use() -> None:
    assert tile_for_people(3, 416) == 128
    with pytest.raises(ModelError, match="sizes must be positive"):
        tile_for_people(0, 416)


def merged(boxes: list[list[float]], scores: list[float], tile_ids: list[int], cut: list[bool]) -> list[int]:
    kept = merge(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.zeros(len(scores), np.int32),
        np.array(tile_ids, np.intp),
        np.array(cut, np.bool_),
        0.65,
    )
    return [int(n) for n in kept]


def test_a_person_cut_by_a_border_gives_way_to_the_whole_one_even_with_a_better_score() -> None:
    whole, half = [100.0, 100, 120, 160], [100.0, 100, 110, 160]
    assert merged([half, whole], [0.9, 0.6], [0, 1], [True, False]) == [1]


def test_neighbours_in_the_overlap_both_stay() -> None:
    left, right = [100.0, 100, 120, 160], [108.0, 100, 128, 160]
    assert sorted(merged([left, right, left, right], [0.9, 0.8, 0.7, 0.6], [0, 0, 1, 1], [False] * 4)) == [
        0,
        1,
    ]


def test_a_small_whole_person_before_a_large_one_stays() -> None:
    assert sorted(
        merged([[100, 100, 160, 260], [120, 200, 140, 255]], [0.9, 0.8], [0, 1], [False, False])
    ) == [0, 1]


def test_different_classes_never_suppress_each_other() -> None:
    boxes = np.array([[10, 10, 30, 60], [10, 10, 30, 60]], np.float32)
    scores, tiles = np.array([0.9, 0.8], np.float32), np.zeros(2, np.intp)
    kept = merge(boxes, scores, np.array([0, 1], np.int32), tiles, np.zeros(2, np.bool_), 0.65)
    assert kept.tolist() == [0, 1]


def test_nothing_found_merges_to_nothing() -> None:
    assert merged([], [], [], []) == []


def greedy(boxes: NDArray[np.float32], scores: NDArray[np.float32], limit: float) -> list[int]:
    """Suppression as the textbook has it, to compare with."""
    kept: list[int] = []
    for n in np.argsort(-scores, kind="stable"):
        if all(pairwise_iou(boxes[[n]], boxes[[k]])[0, 0] <= limit for k in kept):
            kept.append(int(n))
    return kept


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 40))
def test_whole_boxes_are_suppressed_as_the_textbook_has_it(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 50, (count, 2))], axis=1).astype(np.float32)
    scores = rng.permutation(count).astype(np.float32) / count
    none = np.zeros(count, np.intp)
    kept = merge(boxes, scores, none.astype(np.int32), none, none.astype(np.bool_), 0.5)
    assert kept.tolist() == greedy(boxes, scores, 0.5)


def test_only_inner_borders_cut() -> None:
    tiles = (Tile(0, 0, 100, 100), Tile(60, 0, 100, 100))
    boxes = np.array([[0, 0, 20, 50], [90, 10, 99, 50], [61, 10, 80, 50], [150, 10, 160, 50]], np.float32)
    cut = cut_by_border(boxes, np.array([0, 0, 1, 1]), tiles, 160, 100)
    assert cut.tolist() == [False, True, True, False]
