import json
from pathlib import Path
from typing import Any

import pytest

from patrol.domain.errors import UsageError
from patrol.domain.resources import data_path
from patrol.plan import qgc
from patrol.plan.qgc import FencePolygon, PlanError, RallyPoint, read_plan


def waypoint(lat: float | None, lon: float | None, height: float | None, **changes: Any) -> dict[str, Any]:
    item = {"type": "SimpleItem", "command": 16, "frame": 3, "params": [3, 0, 0, None, lat, lon, height]}
    return {"autoContinue": True, "doJumpId": 1, **item, **changes}


def document(items: list[Any]) -> dict[str, Any]:
    return {
        "fileType": "Plan",
        "version": 1,
        "groundStation": "QGroundControl",
        "mission": {
            "version": 2,
            "firmwareType": 3,
            "vehicleType": 2,
            "cruiseSpeed": 15,
            "hoverSpeed": 5,
            "plannedHomePosition": [31.3, 120.62, 4],
            "items": items,
        },
        "geoFence": {"version": 2, "circles": [], "polygons": []},
        "rallyPoints": {"version": 2, "points": []},
    }


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "a.plan"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_items_keep_every_parameter(tmp_path: Path) -> None:
    mount = {
        "type": "SimpleItem",
        "command": 205,
        "frame": 2,
        "params": [-16.48, 0, 0, 0, 0, 0, 2],
        "autoContinue": False,
    }
    plan = read_plan(written(tmp_path, document([waypoint(31.3001, 120.6201, 12), mount])))
    first, second = plan.items
    assert (first.command, first.frame, first.param1, first.param4) == (16, 3, 3.0, None)
    assert (first.lat_deg, first.lon_deg, first.height_m) == (31.3001, 120.6201, 12.0)
    assert first.hold_s == 3.0
    assert (second.lat_deg, second.lon_deg, second.height_m) == (None, None, None)
    assert (second.param1, second.param5, second.param7) == (-16.48, 0.0, 2.0)
    assert not second.autocontinue
    assert not second.is_flown_to


def test_home_speeds_fence_and_rally(tmp_path: Path) -> None:
    content = document([])
    square = [[31.0, 120.0], [31.0, 121.0], [32.0, 121.0]]
    content["geoFence"]["polygons"] = [{"polygon": square, "inclusion": True, "version": 1}]
    content["geoFence"]["circles"] = [
        {"circle": {"center": [31.3, 120.6], "radius": 30}, "inclusion": False, "version": 1}
    ]
    content["rallyPoints"]["points"] = [[31.2, 120.5, 20]]
    plan = read_plan(written(tmp_path, content))
    assert (plan.home.lat_deg, plan.home.lon_deg, plan.home.height_amsl_m) == (31.3, 120.62, 4.0)
    assert (plan.cruise_speed_mps, plan.hover_speed_mps) == (15.0, 5.0)
    assert plan.fence == (FencePolygon(((31.0, 120.0), (31.0, 121.0), (32.0, 121.0)), inclusion=True),)
    assert plan.fence_circles[0].radius_m == 30.0
    assert not plan.fence_circles[0].inclusion
    assert plan.rally == (RallyPoint(31.2, 120.5, 20.0),)


def test_unknown_keys_stay_in_raw(tmp_path: Path) -> None:
    content = document([waypoint(31.3, 120.62, 10, Altitude=10, AMSLAltAboveTerrain=None)])
    content["ourExtension"] = {"deep": [1, 2]}
    assert read_plan(written(tmp_path, content)).raw == content


def test_place_of_zeros_means_here(tmp_path: Path) -> None:
    item = read_plan(written(tmp_path, document([waypoint(0, 0, 12)]))).items[0]
    assert item.lat_deg is None
    assert item.height_m == 12.0


def test_old_int_frames_are_those_without(tmp_path: Path) -> None:
    items = [waypoint(31.3, 120.62, 12, frame=frame) for frame in (0, 3, 5, 6, 10, 11)]
    plan = read_plan(written(tmp_path, document(items)))
    assert [item.frame for item in plan.items] == [0, 3, 0, 3, 10, 10]


def test_survey_is_expanded_in_its_place(tmp_path: Path) -> None:
    survey = {
        "type": "ComplexItem",
        "complexItemType": "survey",
        "TransectStyleComplexItem": {"Items": [waypoint(31.31, 120.62, 20), waypoint(31.32, 120.62, 20)]},
    }
    items = [waypoint(31.3, 120.62, 10), survey, waypoint(31.33, 120.62, 10)]
    plan = read_plan(written(tmp_path, document(items)))
    assert [item.lat_deg for item in plan.items] == [31.3, 31.31, 31.32, 31.33]


def test_block_that_is_not_written_out_is_refused(tmp_path: Path) -> None:
    landing = {"type": "ComplexItem", "complexItemType": "fwLandingPattern", "landCoordinate": [31, 120, 0]}
    path = written(tmp_path, document([waypoint(31.3, 120.62, 10), landing]))
    with pytest.raises(PlanError) as caught:
        read_plan(path)
    assert str(caught.value) == (
        f"{path}: entry 2 is a 'fwLandingPattern' block whose flight is not written out; "
        "replace it by waypoints in QGroundControl"
    )


def test_too_many_items_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qgc, "_MAX_ITEMS", 2)
    with pytest.raises(PlanError, match="holds 3 items, more than the 2"):
        read_plan(written(tmp_path, document([waypoint(31.3, 120.62, 10)] * 3)))


def without(key: str) -> dict[str, Any]:
    content = document([])
    del content["mission"][key]
    return content


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is not JSON"),
        ("PK\x03\x04", "is not JSON"),
        ("[]", "holds list"),
        ("{}", "fileType is None, not 'Plan'"),
        ({"fileType": "Parameters"}, "fileType is 'Parameters', not 'Plan'"),
        ({"fileType": "Plan"}, "mission: field required"),
        ({"fileType": "Plan", "mission": 3}, "mission: "),
        (without("items"), "mission.items: field required"),
        (without("plannedHomePosition"), "mission.plannedHomePosition: field required"),
        (document([{"type": "SimpleItem"}]), "entry 1, command: field required"),
        (document([waypoint(31.3, 120.62, 10, params=[1, 2])]), "entry 1, params[2]: field required"),
        (document([waypoint("north", 120.62, 10)]), "entry 1, params[4]: input should be a valid number"),  # type: ignore[arg-type]
        (document([{"type": "Teleport"}]), "entry 1 has type 'Teleport', neither"),
        (document(["fly"]), "entry 1 has type None, neither"),
        (document([{"type": "ComplexItem"}]), "entry 1, complexItemType: field required"),
        (json.dumps(document([waypoint(31.3, 120.62, float("nan"))])), "holds NaN"),
        (json.dumps(document([waypoint(31.3, 120.62, 9)])).replace(" 9]", " 1e999]"), "entry 1, params[6]: "),
    ],
)
def test_rubbish_gives_one_sentence(tmp_path: Path, content: Any, sentence: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UsageError) as caught:
        read_plan(path)
    assert isinstance(caught.value, PlanError)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(f"{path}: {sentence}")
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no such file; check the name"):
        read_plan(tmp_path / "none.plan")


def test_a_document_made_of_a_plan_reads_back_as_that_plan(tmp_path: Path) -> None:
    plan = read_plan(data_path("flightplans") / "night-market.plan")
    made = qgc.plan_document(plan.home, plan.items, plan.fence, plan.rally, plan.hover_speed_mps)
    back = read_plan(written(tmp_path, made))
    for part in ("home", "items", "fence", "fence_circles", "rally", "hover_speed_mps"):
        assert getattr(back, part) == getattr(plan, part)
    items = {
        key: made["mission"]["items"][0][key] for key in ("Altitude", "AltitudeMode", "AMSLAltAboveTerrain")
    }
    assert items == {"Altitude": 12, "AltitudeMode": 1, "AMSLAltAboveTerrain": None}
