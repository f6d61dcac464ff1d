"""What every shipped model must bring along."""

import pytest

from patrol.domain.resources import data_path
from patrol.vision.registry import Manifest, list_manifests

LARGEST_BYTES = 10_000_000


@pytest.fixture(params=list_manifests(), ids=lambda m: m.name)
def shipped(request: pytest.FixtureRequest) -> Manifest:
    manifest: Manifest = request.param
    return manifest


def test_it_is_small_and_free(shipped: Manifest) -> None:
    assert shipped.model_path.stat().st_size <= LARGEST_BYTES
    assert shipped.licence == "Apache-2.0"
    assert shipped.base is not None
    assert shipped.base.licence == "Apache-2.0"


def test_its_card_tells_its_figures_base_data_and_limits(shipped: Manifest) -> None:
    assert shipped.card is not None
    card = (data_path("models") / shipped.card).read_text(encoding="utf-8")
    assert shipped.sha256 in card
    assert shipped.base is not None
    assert shipped.base.sha256 in card
    for heading in ("## Licence and data", "## Recipe", "## Figures", "## Limits"):
        assert heading in card
    assert shipped.metrics, "a model without figures cannot be judged"
    for name, value in shipped.metrics.items():
        assert f"{value:.3f}" in card, f"the card does not tell {name}"


def test_its_figures_hold_beside_the_base(shipped: Manifest) -> None:
    assert shipped.metrics["pets_whole_ap50"] >= shipped.metrics["base_pets_whole_ap50"] - 0.01
    assert shipped.metrics["visdrone_tiles_320_ap50"] > shipped.metrics["base_visdrone_tiles_320_ap50"]
