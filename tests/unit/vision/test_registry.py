import shutil
from pathlib import Path

import pytest
import yaml

from patrol.vision.detector import Detector
from patrol.vision.registry import Manifest, ModelError, list_manifests, load_manifest, models_folder, verify


@pytest.fixture
def copied(tmp_path: Path, manifest: Manifest) -> Path:
    """The shipped model, copied to where a test may spoil it."""
    shutil.copy(manifest.model_path, tmp_path)
    shutil.copy(models_folder() / "night-patrol-nano.yaml", tmp_path)
    return tmp_path / "night-patrol-nano.yaml"


def rewrite(path: Path, **changes: object) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**content, **changes}), encoding="utf-8")


def test_the_shipped_models_are_listed_and_fit_their_files() -> None:
    manifests = list_manifests()
    assert "night-patrol-nano" in [m.name for m in manifests]
    for one in manifests:
        verify(one)


def test_a_manifest_is_found_by_name_and_by_path(copied: Path) -> None:
    by_name = load_manifest("night-patrol-nano", folder=copied.parent)
    assert by_name == load_manifest(copied)
    assert by_name.model_path == copied.parent / "night-patrol-nano.onnx"
    assert by_name.classes[by_name.person_class_ids[0]] == "person"


def test_a_model_file_may_lie_in_a_search_folder(copied: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = shutil.move(tmp_path / "night-patrol-nano.onnx", elsewhere)
    found = load_manifest(copied, search=[elsewhere])
    assert found.model_path == Path(moved)
    verify(found)


def test_one_changed_byte_keeps_a_model_from_loading(copied: Path) -> None:
    model = copied.with_suffix(".onnx")
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    tampered = load_manifest(copied)
    with pytest.raises(
        ModelError, match=r"sha256 is [0-9a-f]{12}\.\.\., the manifest says .*patrol models verify"
    ):
        verify(tampered)
    with pytest.raises(ModelError, match="sha256 is"):
        Detector(tampered)


def test_a_missing_model_file_is_told(copied: Path) -> None:
    copied.with_suffix(".onnx").unlink()
    with pytest.raises(ModelError, match="the model file of night-patrol-nano is missing"):
        verify(load_manifest(copied))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"licens": "MIT"}, "licens: Extra inputs are not permitted"),
        ({"sha256": "short"}, "sha256: String should match pattern"),
        ({"person_classes": ["pedestrian"]}, "person_classes names pedestrian"),
        ({"strides": [8, 15]}, "is no multiple of all strides"),
        ({"family": "other"}, "family: Input should be 'yolox'"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(copied: Path, changes: dict[str, object], told: str) -> None:
    rewrite(copied, **changes)
    with pytest.raises(ModelError, match=told) as caught:
        load_manifest(copied)
    assert str(copied) in str(caught.value)


def test_an_unknown_name_tells_the_known_ones(copied: Path) -> None:
    with pytest.raises(ModelError, match="the models known there: night-patrol-nano"):
        load_manifest("night-patrol-huge", folder=copied.parent)


def test_a_model_file_in_place_of_a_manifest_is_told(manifest: Manifest) -> None:
    with pytest.raises(ModelError, match="this is a model file; give its manifest"):
        load_manifest(manifest.model_path)


def test_broken_yaml_is_told_on_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [", encoding="utf-8")
    with pytest.raises(ModelError, match="is no valid YAML") as caught:
        load_manifest(broken)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        list_manifests(tmp_path / "nothing")
