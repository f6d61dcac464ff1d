from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from patrol.vision.detector import Detector
from patrol.vision.registry import Manifest, ModelError, load_manifest
from patrol.vision.tiles import Tile, pairwise_iou, plan_tiles

BASE = Path(__file__).resolve().parents[3] / "models" / "train" / "base-yolox-nano.yaml"


def test_people_in_the_street_are_found(detector: Detector, street: NDArray[np.uint8]) -> None:
    found = detector.detect(street)
    people = found.where(found.class_ids == found.class_names.index("person"))
    assert len(people) >= 4
    assert found.boxes_xyxy_px.shape == (len(found), 4)
    assert (found.boxes_xyxy_px.dtype, found.scores.dtype) == (np.float32, np.float32)
    assert found.class_ids.dtype == np.int32
    assert np.all(np.diff(found.scores) <= 0), "best first"
    assert np.all(found.scores >= detector.score_threshold)
    height, width = street.shape[:2]
    assert np.all((found.boxes_xyxy_px >= 0) & (found.boxes_xyxy_px <= [width, height, width, height]))


def test_tiles_find_the_same_people_in_the_same_places(detector: Detector, street: NDArray[np.uint8]) -> None:
    whole = detector.detect(street)
    whole = whole.where(whole.scores > 0.6)
    tiled = detector.detect(street, plan_tiles(street.shape[1], street.shape[0], 320))
    overlap = pairwise_iou(whole.boxes_xyxy_px, tiled.boxes_xyxy_px)
    assert np.mean(overlap.max(axis=1) > 0.5) >= 0.8
    people = tiled.boxes_xyxy_px[tiled.class_ids == 0]
    twice = pairwise_iou(people, people)
    assert np.all(twice[np.triu_indices(len(people), k=1)] <= detector.nms_iou), "nobody is counted twice"


def test_all_tiles_go_through_onerun(
    detector: Detector, street: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    run = detector.run
    monkeypatch.setattr(detector, "run", lambda batch: shapes.append(batch.shape) or run(batch))
    tiles = plan_tiles(street.shape[1], street.shape[0], 240)
    detector.detect(street, tiles)
    assert shapes == [(len(tiles), 3, 416, 416)]
    assert len(tiles) > 1


def test_a_box_comes_back_to_where_it_was_in_the_picture(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cell of the network's output, worked out by hand: stride 8, row 20, column 30 of a 208 px tile."""
    rows = sum((416 // s) ** 2 for s in (8, 16, 32))

    def answer(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        raw = np.zeros((len(batch), rows, 5 + 6), np.float32)
        raw[1, 20 * 52 + 30] = [0.5, 0.25, np.log(4), np.log(10), 0.9, 0, 0, 0.8, 0, 0, 0]
        return raw

    monkeypatch.setattr(detector, "run", answer)
    tiles = (Tile(0, 0, 208, 208), Tile(100, 50, 208, 208))
    found = detector.detect(np.zeros((300, 400, 3), np.uint8), tiles)
    # Centre (30.5, 20.25) * 8, size (32, 80), all halved by the enlargement of 2, moved by the tile's corner.
    np.testing.assert_allclose(
        found.boxes_xyxy_px, [[100 + 122 - 8, 50 + 81 - 20, 100 + 122 + 8, 50 + 81 + 20]], atol=1e-3
    )
    assert found.scores.tolist() == pytest.approx([0.72])
    assert [found.class_names[n] for n in found.class_ids] == ["car"]


def test_an_empty_scene_gives_no_detections(detector: Detector) -> None:
    found = detector.detect(np.full((240, 320, 3), 90, np.uint8))
    assert len(found) == 0
    assert found.boxes_xyxy_px.shape == (0, 4)
    assert found.class_names == detector.manifest.classes


@pytest.mark.parametrize("shape", [(0, 10, 3), (10, 10), (10, 10, 4)])
def test_what_is_no_picture_is_refused(detector: Detector, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"give \(H, W, 3\) uint8, BGR"):
        detector.detect(np.zeros(shape, np.uint8))


def test_a_tile_outside_the_picture_is_refused(detector: Detector) -> None:
    with pytest.raises(ModelError, match="lies outside the picture of 100x100 px"):
        detector.detect(np.zeros((100, 100, 3), np.uint8), [Tile(50, 50, 80, 80)])


def test_a_provider_that_is_not_there_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ModelError, match="NoSuchExecutionProvider was asked for"):
        Detector(manifest, ("NoSuchExecutionProvider",))
    with pytest.raises(ModelError, match=r"\(none\) was asked for"):
        Detector(manifest, ())


def test_a_provider_that_falls_back_is_refused(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime goes on with the processor when a GPU's libraries do not load; that must not go unseen."""
    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    real = ort.InferenceSession

    def without_gpu(path: str, options: ort.SessionOptions, providers: list[str]) -> ort.InferenceSession:
        return real(path, options, providers=[p for p in providers if p != "CUDAExecutionProvider"])

    monkeypatch.setattr(ort, "get_available_providers", lambda: offered)
    monkeypatch.setattr(ort, "InferenceSession", without_gpu)
    with pytest.raises(
        ModelError, match="CUDAExecutionProvider was asked for but CPUExecutionProvider would run"
    ):
        Detector(manifest, offered)


def test_the_provider_that_runs_is_told(detector: Detector) -> None:
    assert detector.provider == "CPUExecutionProvider"


@pytest.mark.parametrize("setting", [{"score_threshold": 1.5}, {"nms_iou": -0.1}])
def test_settings_out_of_range_are_refused(manifest: Manifest, setting: dict[str, float]) -> None:
    with pytest.raises(ModelError, match="give a number from 0 to 1"):
        Detector(manifest, **setting)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"classes": ("person", "bicycle")},
            r"output is \[3549, 11\], yolox with 2 classes gives \[3549, 7\]",
        ),
        ({"strides": (8, 16)}, r"gives \[3380, 11\]"),
    ],
)
def test_a_manifest_of_another_network_is_refused(
    manifest: Manifest, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(ModelError, match=told):
        Detector(manifest.model_copy(update=changes))


def test_an_input_of_another_size_is_refused(manifest: Manifest) -> None:
    other = manifest.model_copy(update={"input": manifest.input.model_copy(update={"width_px": 320})})
    with pytest.raises(ModelError, match="the manifest says images"):
        Detector(other)


def test_a_model_made_for_one_picture_at_a_time_takes_tiles_too(
    test_data: Path, street: NDArray[np.uint8]
) -> None:
    base = Detector(load_manifest(BASE, search=[test_data / "models"]), threads=1)
    tiles = plan_tiles(street.shape[1], street.shape[0], 320)
    assert len(base.detect(street, tiles)) >= 4
