from pathlib import Path

import numpy as np
import pytest

from patrol.domain.detections import Detections
from patrol.domain.errors import NightPatrolError
from patrol.vision.detector import Detector
from patrol.vision.evaluation import (
    Judged,
    Truth,
    ap50,
    average_precision,
    bootstrap,
    false_alarms_per_picture,
    folder_pictures,
    foot_error_px,
    judge,
    read_pets,
    read_visdrone,
    recall_by_height,
    video_pictures,
)
from patrol.vision.registry import load_manifest
from patrol.vision.tiles import plan_tiles

BASE = Path(__file__).resolve().parents[3] / "models" / "train" / "base-yolox-nano.yaml"
MAY_LOSE_ON_PETS = 0.01


def found(boxes: list[list[float]], scores: list[float], class_ids: list[int] | None = None) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(class_ids or [0] * len(scores), np.int32),
        ("person", "car"),
    )


def truth(boxes: list[list[float]], ignored: list[bool] | None = None) -> Truth:
    return Truth(
        np.array(boxes, np.float64).reshape(-1, 4), np.array(ignored or [False] * len(boxes), np.bool_)
    )


ANNA, BERT = [10.0, 10, 30, 60], [100.0, 10, 120, 90]


def test_average_precision_of_a_worked_example() -> None:
    """Right, wrong, right of four people: precision 1 up to recall 1/4, 2/3 up to 1/2, nothing beyond."""
    value = average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 4)
    assert value == pytest.approx((26 * 1.0 + 25 * 2 / 3) / 101)


def test_average_precision_at_its_ends() -> None:
    assert average_precision(np.array([0.9, 0.8]), np.array([True, True]), 2) == pytest.approx(1.0)
    assert average_precision(np.array([]), np.array([], np.bool_), 3) == 0.0
    assert average_precision(np.array([0.5]), np.array([False]), 0) == 0.0


def test_a_second_detection_of_one_person_is_wrong() -> None:
    judged = judge(found([ANNA, ANNA, BERT], [0.6, 0.9, 0.8]), [0], truth([ANNA, BERT]))
    assert judged.scores.tolist() == pytest.approx([0.9, 0.8, 0.6])
    assert judged.right.tolist() == [True, True, False]
    assert false_alarms_per_picture([judged]) == 1


def test_ignored_people_count_neither_way() -> None:
    judged = judge(found([ANNA, BERT], [0.9, 0.8]), [0], truth([ANNA, BERT], [True, False]))
    assert (judged.people, judged.right.tolist()) == (1, [True])
    assert ap50([judged]) == pytest.approx(1.0)


def test_cars_do_not_stand_in_for_people() -> None:
    judged = judge(found([ANNA], [0.9], [1]), [0], truth([ANNA]))
    assert (len(judged.scores), judged.people) == (0, 1)


def test_feet_and_recall_are_told_for_people_found() -> None:
    lower = [13.0, 10, 33, 64]
    judged = judge(found([lower], [0.9]), [0], truth([ANNA, BERT]))
    assert foot_error_px([judged]) == pytest.approx(5.0)  # 3 px to the right and 4 px down
    assert recall_by_height([judged]) == {"40-60 px": (1.0, 1), "60-100 px": (0.0, 1)}


def test_nothing_found_has_no_feet() -> None:
    judged = judge(found([], []), [0], truth([ANNA]))
    assert np.isnan(foot_error_px([judged]))
    assert ap50([judged]) == 0.0


def test_the_bootstrap_spreads_about_the_figure_and_is_repeatable() -> None:
    good = judge(found([ANNA], [0.9]), [0], truth([ANNA]))
    bad = judge(found([BERT], [0.8]), [0], truth([ANNA]))
    pictures: list[Judged] = [good, bad] * 10

    def spread() -> tuple[float, float, float]:
        one = bootstrap(20, lambda picks: ap50([pictures[n] for n in picks]), np.random.default_rng(1), 200)
        return one.low, one.value, one.high

    low, value, high = spread()
    assert low < value < high
    assert spread() == (low, value, high)


def test_the_pets_boxes_are_read_and_scaled(tmp_path: Path) -> None:
    path = tmp_path / "boxes.xml"
    path.write_text(
        '<dataset><frame number="3"><objectlist><object id="1"><box h="80" w="40" xc="100" yc="200"/>'
        "</object></objectlist></frame></dataset>",
        encoding="utf-8",
    )
    boxes = read_pets(path)
    np.testing.assert_allclose(boxes[3].boxes_xyxy_px, np.array([[80, 160, 120, 240]]) * 0.625)


def test_heavily_hidden_people_of_visdrone_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        "image,xmin,ymin,xmax,ymax,category,occlusion\na.jpg,1,2,3,4,people,1\na.jpg,5,6,7,8,pedestrian,2\n",
        encoding="utf-8",
    )
    one = read_visdrone(path)["a.jpg"]
    assert one.ignored.tolist() == [False, True]
    assert one.boxes_xyxy_px.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize("reader", [read_pets, read_visdrone])
def test_a_file_of_another_kind_is_told(tmp_path: Path, reader: object) -> None:
    path = tmp_path / "other"
    path.write_text("image,left\na.jpg,1\n", encoding="utf-8")
    with pytest.raises(NightPatrolError, match="cannot be read as"):
        reader(path)  # type: ignore[operator]


def test_missing_pictures_are_told(tmp_path: Path) -> None:
    with pytest.raises(NightPatrolError, match=r"a\.jpg: cannot be read as a picture"):
        list(folder_pictures(tmp_path, {"a.jpg": truth([])}))
    with pytest.raises(NightPatrolError, match="no frame can be read"):
        list(video_pictures(tmp_path / "a.mp4", {}, 1))


def test_our_model_holds_beside_its_base(test_data: Path, detector: Detector) -> None:
    """The two promises of the model card, on every 20th PETS frame and on VisDrone in tiles of 320."""
    pets, drone = test_data / "aerial" / "pets2009_s2l1", test_data / "aerial" / "visdrone"
    ours = Detector(detector.manifest, score_threshold=0.01, nms_iou=0.65)
    base = Detector(load_manifest(BASE, search=[test_data / "models"]), score_threshold=0.01, nms_iou=0.65)
    boxes = read_pets(pets / "PETS2009-S2L1.xml")
    frames = list(video_pictures(pets / "vtest_480x360_10fps_795f.mp4", boxes, 20))
    photos = list(folder_pictures(drone, read_visdrone(drone / "people.csv")))

    def figures(one: Detector) -> tuple[float, float]:
        people = one.manifest.person_class_ids
        street = [judge(one.detect(picture), people, known) for picture, known in frames]
        air = [
            judge(one.detect(photo, plan_tiles(photo.shape[1], photo.shape[0], 320)), people, known)
            for photo, known in photos
        ]
        return ap50(street), ap50(air)

    (our_street, our_air), (base_street, base_air) = figures(ours), figures(base)
    assert base_street > 0.85
    assert our_street >= base_street - MAY_LOSE_ON_PETS
    assert our_air > base_air
