"""The market map."""

from typing import Annotated, Any, Literal

from fastapi import Depends
from pydantic import BaseModel, ConfigDict

from api.auth.access import closed_router
from api.auth.roles import Role
from api.problems import ProblemError
from api.station import Station, get_station

signed_in = closed_router(*Role, tag="market")


class MarketMap(BaseModel):
    """GeoJSON with all that the file says; longitude first."""

    model_config = ConfigDict(extra="allow")

    datum: Literal["WGS-84"]
    type: Literal["FeatureCollection"]
    features: list[dict[str, Any]]


@signed_in.get("/market")
async def read_market_map(station: Annotated[Station, Depends(get_station)]) -> MarketMap:
    """The market map as the station was started with."""
    if station.market_geojson is None:
        raise ProblemError(404, "This station has no market map; start it with --market FILE.")
    return MarketMap.model_validate({**station.market_geojson, "datum": "WGS-84"})
