"""The market map."""

import json

import pytest

from api.app import create_app
from api.settings import StationSettings
from patrol.domain.errors import NightPatrolError
from patrol.domain.resources import data_path


async def test_a_station_without_a_map_says_how_to_get_one(asked):
    response = await asked.officer.get("/api/v1/market")
    assert response.status_code == 404
    assert "--market" in response.json()["detail"]


async def test_the_map_is_shown_as_it_is_in_the_file_with_its_datum(asked):
    path = data_path("flightplans") / "night-market.market.geojson"
    asked.station.market_geojson = json.loads(path.read_text())
    response = await asked.officer.get("/api/v1/market")
    assert response.json() == {"datum": "WGS-84", **json.loads(path.read_text())}


async def test_a_map_that_cannot_be_read_stops_the_start_with_a_sentence(tmp_path):
    app = create_app(StationSettings(data_dir=tmp_path / "station", market=tmp_path / "missing.geojson"))
    with pytest.raises(NightPatrolError, match=r"missing\.geojson"):
        await app.state.station.open()
