import math
from dataclasses import replace
from pathlib import Path

import pytest

from patrol.domain.resources import data_path
from patrol.geo.camera import Installation, ZoomStep, read_camera
from patrol.geo.camera_file import write_camera

SHIPPED = data_path("flightplans") / "night-market.camera.yaml"


def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path) -> None:
    camera = replace(
        read_camera(SHIPPED),
        mount_yaw_rad=1e-5 / 3,
        installation=Installation((0.1, -0.2, 1e-7), math.pi / 7, -4.2, 0.35),
        zoom_steps=(ZoomStep(2000.0, 2001.0, 240.5, 180.25),),
    )
    path = tmp_path / "new.camera.yaml"
    write_camera(path, camera, ["two lines\nof: comment", "", "标定"])
    assert read_camera(path) == camera
    assert path.read_text(encoding="utf-8").startswith(
        "# two lines\n# of: comment\n#\n# 标定\nwidth_px: 480\n"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["new.camera.yaml"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.camera.yaml"
    path.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_camera(path, read_camera(SHIPPED))
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["old.camera.yaml"]
