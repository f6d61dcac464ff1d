"""The parts of the recipe that need no PyTorch."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

RECIPE = Path(__file__).resolve().parents[3] / "models" / "train"
WHITE = 255


@pytest.fixture(scope="module")
def recipe() -> dict[str, ModuleType]:
    """The recipe's modules, which lie beside each other and not in a package."""
    sys.path.insert(0, str(RECIPE))
    try:
        return {name: importlib.import_module(name) for name in ("teachers", "compose", "label")}
    finally:
        sys.path.remove(str(RECIPE))


def test_boxes_stay_on_their_people_however_they_are_packed(recipe: dict[str, ModuleType]) -> None:
    compose = recipe["compose"]
    pixels = np.zeros((360, 640, 3), np.uint8)
    people = np.array([[0, 100, 100, 140, 200], [0, 400, 150, 430, 230]], np.float32)
    for _, x0, y0, x1, y1 in people.astype(int):
        pixels[y0:y1, x0:x1] = WHITE
    frame = compose.Frame(pixels, people, np.zeros((0, 4), np.float32), "a")
    labels = 0
    for seed in range(30):
        picture = compose.compose([frame], compose.Recipe(), np.random.default_rng(seed), spoil=False)
        assert picture.pixels.shape == (416, 416, 3)
        for _, x0, y0, x1, y1 in picture.labels:
            inside = picture.pixels[int(y0 + 1) : int(y1), int(x0 + 1) : int(x1)]
            assert inside.mean() > 0.75 * WHITE, f"seed {seed}: a box without its person"
            labels += 1
    assert labels > 100


def test_the_same_seed_gives_the_same_picture(recipe: dict[str, ModuleType]) -> None:
    compose = recipe["compose"]
    noise = np.random.default_rng(3).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    frame = compose.Frame(
        noise, np.array([[0, 50, 50, 90, 150]], np.float32), np.zeros((0, 4), np.float32), "a"
    )
    first, second = (
        compose.compose([frame], compose.Recipe(), np.random.default_rng([1, 2])) for _ in range(2)
    )
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.labels, second.labels)


def test_a_label_needs_two_teachers_or_a_very_sure_one(recipe: dict[str, ModuleType]) -> None:
    def said(*rows: tuple[list[float], float]) -> tuple[object, object, object]:
        boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
        return boxes, np.array([score for _, score in rows], np.float32), np.zeros(len(rows), np.int64)

    agreed, unsure, sure = [10, 10, 30, 60], [100, 10, 120, 60], [200, 10, 220, 60]
    labels, ignored = recipe["label"].agree(
        [said((agreed, 0.5), (unsure, 0.4), (sure, 0.8)), said(([11, 10, 31, 61], 0.4))]
    )
    assert sorted(round(row[1]) for row in labels) == [10, 200]
    assert [round(row[0]) for row in ignored] == [100]


@pytest.mark.parametrize("script", ["label.py", "tune.py"])
def test_help_has_an_example_or_says_that_pytorch_is_missing(script: str) -> None:
    done = subprocess.run(
        [sys.executable, str(RECIPE / script), "--help"], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        assert f"example: python models/train/{script}" in " ".join(done.stdout.split())
    else:
        assert script == "tune.py"
        assert "is not installed" in done.stderr
        assert "Traceback" not in done.stderr
