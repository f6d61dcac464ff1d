"""The station and the rest of the house mean the same, and clients can be generated from the description."""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from api import openapi
from api.alerts import schemas as alerts
from api.app import create_app
from api.live import schemas as live
from api.settings import StationSettings
from patrol.domain import alerts as domain_alerts
from patrol.domain import live as domain_live
from patrol.domain import positions as domain_positions
from patrol.domain.sorties import SortieState

PAIRS = [
    (alerts.AlertReport, domain_alerts.AlertReport),
    (alerts.ReportedPosition, domain_alerts.AlertPosition),
    (alerts.AlertSource, domain_alerts.AlertSource),
    (alerts.EvidenceReference, domain_alerts.EvidenceReference),
    (alerts.ErrorEllipse, domain_positions.ErrorEllipse),
    (alerts.LocalText, domain_positions.LocalText),
    (alerts.Place, domain_positions.Place),
    (live.LiveReport, domain_live.LiveReport),
    (live.FlightStatus, domain_live.FlightStatus),
    (live.EyesStatus, domain_live.EyesStatus),
    (live.TrackDot, domain_live.TrackDot),
    (live.GeoPoint, domain_positions.GeoPoint),
]


@pytest.mark.parametrize(("schema", "word"), PAIRS)
def test_a_schema_has_the_fields_of_its_word(schema: type[BaseModel], word: type) -> None:
    assert set(schema.model_fields) == {field.name for field in dataclasses.fields(word)}


def test_a_report_comes_back_as_it_was_written(make_report: Callable[..., dict[str, Any]]) -> None:
    body = make_report(evidence=("a" * 64,))
    parsed = alerts.AlertReport.model_validate(body)
    word = TypeAdapter(domain_alerts.AlertReport).validate_json(parsed.model_dump_json())
    assert json.loads(TypeAdapter(domain_alerts.AlertReport).dump_json(word)) == body


async def test_a_full_live_report_of_the_edge_is_taken(asked) -> None:
    report = domain_live.LiveReport(
        drone="drone-1",
        flight=domain_live.FlightStatus(
            1_777_636_800_000_000_000,
            "s-1",
            SortieState.PATROLLING,
            "",
            31.3,
            120.6,
            7.1,
            54.3,
            2.0,
            81.0,
            "AUTO",
            armed=True,
        ),
        eyes=domain_live.EyesStatus(
            1_777_636_800_000_000_000,
            "ready",
            "",
            (domain_positions.GeoPoint(31.3, 120.6),),
            (domain_live.TrackDot(4, 31.3, 120.6, 1.5),),
            100,
            2,
            1,
            0,
        ),
    )
    body = TypeAdapter(domain_live.LiveReport).dump_json(report)
    posted = await asked.edge.post("/api/v1/live", content=body, headers={"Content-Type": "application/json"})
    assert posted.status_code == 204, posted.text
    (shown,) = (await asked.operator.get("/api/v1/live")).json()["drones"]
    assert {name: shown[name] for name in json.loads(body)} == json.loads(body)


def test_the_description_has_readable_names_precise_words_and_problems(capsys) -> None:
    openapi.main()
    description = json.loads(capsys.readouterr().out)
    operations = [operation for path in description["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert {"list_alerts", "acknowledge_alert", "open_stream", "read_live"} <= set(names)
    schemas = description["components"]["schemas"]
    assert schemas["AlertState"]["enum"] == ["open", "acknowledged", "accepted", "on_scene", "closed"]
    assert "HTTPValidationError" not in schemas
    assert not [name for name in schemas if "-" in name or "__" in name]
    for operation in operations:
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        assert "422" not in operation["responses"]


def test_whatever_position_leaves_the_station_says_its_datum() -> None:
    description = create_app(StationSettings(data_dir=Path())).openapi()
    schemas = description["components"]["schemas"]
    said = {
        name: schema["properties"]["datum"]["const"]
        for name, schema in schemas.items()
        if "datum" in schema.get("required", ())
    }
    assert said == {
        "AlertPosition": "WGS-84",
        "Gcj02Position": "GCJ-02",
        "Bd09Position": "BD-09",
        "LiveState": "WGS-84",
        "MarketMap": "WGS-84",
    }
    answers = {
        name
        for path in description["paths"].values()
        for operation in path.values()
        for response in operation["responses"].values()
        for name in _named_in(schemas, response, stop_at=said)
    }
    unlabelled = {name for name in answers if {"lat", "lat_deg"} & set(schemas[name].get("properties", ()))}
    assert {"Alert", "LiveStates"} <= answers
    assert unlabelled == set()


def _named_in(schemas: dict[str, Any], part: Any, *, stop_at: Collection[str]) -> Iterator[str]:
    """The schemas that a part of the description leads to, but not through those of `stop_at`."""
    if isinstance(part, dict):
        name = str(part.get("$ref", "")).removeprefix("#/components/schemas/")
        if name and name not in stop_at:
            yield name
            yield from _named_in(schemas, schemas[name], stop_at=stop_at)
        for value in part.values():
            yield from _named_in(schemas, value, stop_at=stop_at)
    elif isinstance(part, list):
        for value in part:
            yield from _named_in(schemas, value, stop_at=stop_at)
