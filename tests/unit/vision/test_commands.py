import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from patrol.commands import eval as eval_command
from patrol.commands import models as models_command
from patrol.domain.errors import UsageError
from patrol.vision.registry import Manifest, models_folder

runner = CliRunner()
BASE = Path(__file__).resolve().parents[3] / "models" / "train" / "base-yolox-nano.yaml"


def test_models_list_shows_the_shipped_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = runner.invoke(models_command.app, ["list"])
    assert result.exit_code == 0
    assert "night-patrol-nano" in result.output
    assert "yolox_nano_416_coco" in result.output


def test_models_verify_is_content_with_the_shipped_models() -> None:
    result = runner.invoke(models_command.app, ["verify"])
    assert result.exit_code == 0
    assert "night-patrol-nano: the file is the one that the manifest names" in result.output


def test_models_verify_tells_a_changed_file_and_fails(tmp_path: Path, manifest: Manifest) -> None:
    shutil.copy(models_folder() / "night-patrol-nano.yaml", tmp_path)
    (tmp_path / "night-patrol-nano.onnx").write_bytes(manifest.model_path.read_bytes() + b"x")
    result = runner.invoke(models_command.app, ["verify", "--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "sha256 is" in result.output


def test_models_verify_tells_an_unknown_name_and_an_empty_folder(tmp_path: Path) -> None:
    unknown = runner.invoke(models_command.app, ["verify", "night-patrol-huge"])
    assert (unknown.exit_code, "no manifest can be read there" in unknown.output) == (1, True)
    empty = runner.invoke(models_command.app, ["verify", "--folder", str(tmp_path)])
    assert (empty.exit_code, "no manifest in this folder" in empty.output) == (1, True)


@pytest.mark.parametrize(
    ("app", "words"),
    [
        (models_command.app, ["list"]),
        (models_command.app, ["verify"]),
        (eval_command.app, ["detect"]),
    ],
)
def test_help_has_an_example(app: object, words: list[str]) -> None:
    result = runner.invoke(app, [*words, "--help"])  # type: ignore[arg-type]
    assert result.exit_code == 0
    assert "Example: patrol " in " ".join(result.output.split())


def test_eval_without_data_says_what_to_give(tmp_path: Path) -> None:
    result = runner.invoke(eval_command.app, ["detect", "--data", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert "give the folder of the test data with --data" in str(result.exception)


def test_eval_sets_two_models_side_by_side(test_data: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = ["detect", "--data", str(test_data), "--model", "night-patrol-nano", "--model", str(BASE)]
    result = runner.invoke(
        eval_command.app, [*words, "--tile", "640", "--step", "100", "--report", str(report)]
    )
    assert result.exit_code == 0, result.output
    told = json.loads(report.read_text(encoding="utf-8"))
    rows = told["rows"]
    assert {(r["pictures"], r["tile_px"], r["model"]) for r in rows} == {
        (pictures, tile, model)
        for pictures in ("PETS", "VisDrone")
        for tile in (None, 640)
        for model in ("night-patrol-nano", "base-yolox-nano")
    }
    assert all(r["ap50"]["low"] <= r["ap50"]["value"] <= r["ap50"]["high"] for r in rows)
    pets = next(r for r in rows if r["pictures"] == "PETS" and r["model"] == "night-patrol-nano")
    assert f"{pets['ap50']['value']:.3f}" in result.output
    assert {d["less"] for d in told["differences"]} == {"base-yolox-nano"}
