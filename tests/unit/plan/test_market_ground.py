import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from patrol.domain.heights import Amsl
from patrol.domain.resources import data_path
from patrol.geo.documents import DocumentError
from patrol.geo.ground import LevelGround
from patrol.geo.terrain import Terrain
from patrol.plan.market import MarketError, MarketMap, read_market


def market(folder: Path, **member: Any) -> MarketMap:
    """The demonstration's market with other keys in its member `market`."""
    document = json.loads((data_path("flightplans") / "night-market.market.geojson").read_text())
    document["market"] |= member
    path = folder / "a.market.geojson"
    path.write_text(json.dumps(document))
    return read_market(path)


def write_terrain(path: Path, height_m: float) -> None:
    transform = Affine(1e-5, 0.0, 120.615, 0.0, -1e-5, 31.305)
    profile = {"driver": "GTiff", "count": 1, "height": 1000, "width": 1000, "dtype": "float32"}
    with rasterio.open(path, "w", crs="EPSG:4326", transform=transform, **profile) as grid:
        grid.write(np.full((1, 1000, 1000), height_m, np.float32))


def test_without_terrain_the_ground_is_level(tmp_path: Path) -> None:
    assert market(tmp_path).ground == LevelGround(Amsl(4.0), 0.0)
    assert market(tmp_path, ground_sigma_m=0.4).ground == LevelGround(Amsl(4.0), 0.4)


def test_terrain_lies_beside_the_map_and_is_read_when_it_is_wanted(tmp_path: Path) -> None:
    found = market(
        tmp_path, terrain={"file": "dem.tif", "datum": "hae", "geoid_m": 9.0, "sigma_m": 0.5}
    )  # the file need not be there yet: the station shows the map without it
    with pytest.raises(DocumentError, match=r"dem\.tif: no such file"):
        found.ground  # noqa: B018
    write_terrain(tmp_path / "dem.tif", 16.0)
    assert isinstance(found.ground, Terrain)
    assert found.ground is found.ground
    assert found.ground.height_amsl_m_at(31.3, 120.62) == pytest.approx(7.0)
    assert found.ground.sigma_m == 0.5


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        ({"ground_sigma_m": -1}, "ground_sigma_m: "),
        ({"terrain": {"file": "dem.tif", "sigma_m": 1}}, "terrain.datum: field required"),
        ({"terrain": {"file": "dem.tif", "datum": "msl", "sigma_m": 1}}, "terrain.datum: "),
        ({"terrain": {"file": "dem.tif", "datum": "amsl"}}, "terrain.sigma_m: field required"),
        (
            {"terrain": {"file": "dem.tif", "datum": "hae", "sigma_m": 1}},
            "need geoid_m; give the geoid's height",
        ),
        ({"terrain": {"file": "", "datum": "amsl", "sigma_m": 1}}, "terrain.file: "),
    ],
)
def test_a_faulty_ground_is_named(tmp_path: Path, member: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MarketError) as caught:
        market(tmp_path, **member)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'a.market.geojson'}: market, ")
