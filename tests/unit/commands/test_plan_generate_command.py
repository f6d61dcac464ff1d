"""`patrol plan generate` and `patrol plan coverage`."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from patrol.commands.plan import app
from patrol.domain.errors import NightPatrolError, UsageError
from patrol.domain.resources import data_path
from patrol.geo.coverage import FILE_NAME, Coverage
from patrol.geo.frames import LocalFrame
from patrol.plan.checks import check_plan
from patrol.plan.market import read_market
from patrol.plan.qgc import read_plan

SHIPPED = data_path("flightplans")


@pytest.fixture
def market(tmp_path):
    for name in ("night-market.market.geojson", "night-market.camera.yaml"):
        shutil.copy(SHIPPED / name, tmp_path)
    return tmp_path / "night-market.market.geojson"


def generate(market, out, *more, style="lanes", height="20"):
    arguments = ["generate", "--market", market, "--style", style, "--height", height, "--out", out, *more]
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})


def test_generate_writes_plan_picture_and_figures(tmp_path, market):
    out, png, report = (tmp_path / name for name in ("a.plan", "a.png", "a.json"))
    result = generate(market, out, "--draw", png, "--report", report)
    assert result.exit_code == 0, result.output
    assert check_plan(read_plan(out), read_market(market)) == []
    assert png.read_bytes().startswith(b"\x89PNG")
    figures = json.loads(report.read_text())
    assert figures["wish"]["style"] == "lanes"
    assert figures["items"] == len(read_plan(out).items)
    assert 0.9 < figures["coverage"]["lanes"]["share_seen"] <= 1.0
    assert figures["coverage"]["zones"].keys() == {zone.id for zone in read_market(market).zones}
    assert figures["battery_percent"]["patrol"] < figures["battery_percent"]["whole"]
    assert f"{out}: written\n{png}: drawn\n" in result.output
    assert "江畔夜市 Riverside night market" in result.output
    assert f"{figures['coverage']['outline']['share_seen']:.1%}" in result.output
    assert f"{figures['items']} items, {figures['length_m']:.0f} m, " in result.output


def test_warnings_are_printed_and_are_no_failure(tmp_path, market):
    document = json.loads(market.read_text())
    (watch,) = [f for f in document["features"] if f["properties"]["kind"] == "watch_point"]
    watch["geometry"]["coordinates"] = [120.6203, 31.3002]
    market.write_text(json.dumps(document))
    result = generate(market, tmp_path / "a.plan", style="watchpoints")
    assert result.exit_code == 0
    assert "warning: " in result.output
    assert "hovers for 30 s over Snack lane" in result.output


def test_a_battery_that_is_short_is_a_warning(tmp_path, market):
    long = generate(market, tmp_path / "long.plan", "--endurance-min", "6.2", style="lawnmower", height="15")
    assert (long.exit_code, (tmp_path / "long.plan").exists()) == (0, True)
    assert "% of the battery, but the aircraft is called home when 25 % are left; fly faster" in long.output
    far = generate(market, tmp_path / "far.plan", "--endurance-min", "4")
    assert (far.exit_code, (tmp_path / "far.plan").exists()) == (0, True)
    assert (
        "called home at 25 % from the farthest point the aircraft lands with 1 %, less than 10 %"
        in far.output
    )


def test_a_flight_that_the_battery_cannot_bring_home_is_not_written(tmp_path, market):
    result = generate(market, tmp_path / "a.plan", "--endurance-min", "2")
    assert isinstance(result.exception, NightPatrolError)
    assert result.exception.exit_code == 1
    assert "% of the battery; fly faster, higher" in str(result.exception)
    assert not (tmp_path / "a.plan").exists()


def test_a_flight_that_could_not_come_home_from_its_farthest_point_is_not_written(tmp_path, market):
    result = generate(market, tmp_path / "a.plan", "--endurance-min", "3.2")
    assert isinstance(result.exception, NightPatrolError)
    assert "coming home from the farthest point takes 31 % of the battery, more than" in str(result.exception)
    assert not (tmp_path / "a.plan").exists()


def test_camera_beside_the_map_is_found_and_another_can_be_named(tmp_path, market):
    camera = (tmp_path / "night-market.camera.yaml").rename(tmp_path / "other.yaml")
    missing = generate(market, tmp_path / "a.plan")
    assert isinstance(missing.exception, UsageError)
    assert "night-market.camera.yaml: no such camera; name the camera's file with --camera" in str(
        missing.exception
    )
    assert generate(market, tmp_path / "a.plan", "--camera", camera).exit_code == 0


@pytest.mark.parametrize("home", ["here", "31.3", "31.3,120.6,4"])
def test_home_that_is_no_place(tmp_path, market, home):
    result = generate(market, tmp_path / "a.plan", "--home", home)
    assert isinstance(result.exception, UsageError)
    assert "write it like 31.2997,120.6195" in str(result.exception)


def test_home_that_is_given_is_taken(tmp_path, market):
    out = tmp_path / "a.plan"
    assert generate(market, out, "--home", "31.29965727,120.61947481").exit_code == 0
    assert (read_plan(out).home.lat_deg, read_plan(out).home.lon_deg) == (31.29965727, 120.61947481)


# -- coverage ------------------------------------------------------------------------------------------


@pytest.fixture
def sortie(tmp_path, market):
    """A folder in which the western half was seen well for two seconds."""
    the_market = read_market(market)
    seen = Coverage(the_market.frame, the_market.outline.bounds)
    half = seen.dwell_s.shape[1] // 2
    seen.dwell_s[:, :half], seen.best_height_px[:, :half] = 2.0, 35.0
    seen.height_dwell_px_s[:, :half] = 70.0
    seen.first_seen_ns[:, :half] = seen.last_seen_ns[:, :half] = 1_700_000_000_000_000_000
    folder = tmp_path / "sortie"
    folder.mkdir()
    seen.save(folder / FILE_NAME)
    return folder


def coverage(*arguments):
    return CliRunner().invoke(app, ["coverage", *map(str, arguments)], env={"COLUMNS": "120"})


def test_coverage_of_a_sortie_is_drawn_and_told(tmp_path, market, sortie):
    out, report = tmp_path / "c.png", tmp_path / "c.json"
    result = coverage(sortie, "--market", market, "--out", out, "--report", report)
    assert result.exit_code == 0, result.output
    assert out.read_bytes().startswith(b"\x89PNG")
    figures = json.loads(report.read_text())
    assert figures["least_height_px"] == 20
    assert figures["outline"]["share_seen"] == pytest.approx(0.5, abs=0.02)
    assert figures["zones"]["barbecue-row"] == {"share_seen": 1.0, "mean_dwell_s": 2.0}
    assert figures["zones"]["fruit-corner"]["share_seen"] == 0.0
    assert "seen at 20 px or more" in result.output
    assert result.output.endswith(f"{out}: drawn\n")


def test_least_height_and_dwell(tmp_path, market, sortie):
    out = tmp_path / "c.png"
    result = coverage(
        sortie / FILE_NAME, "--market", market, "--out", out, "--least-height-px", "40", "--show", "dwell"
    )
    assert result.exit_code == 0
    assert "100.0%" not in result.output
    assert coverage(sortie, "--market", market, "--out", out, "--least-height-px", "2").exit_code == 2


def test_several_sorties_are_added_up(tmp_path, market, sortie):
    seen = Coverage.load(sortie / FILE_NAME)
    for name in ("dwell_s", "best_height_px", "height_dwell_px_s", "first_seen_ns", "last_seen_ns"):
        getattr(seen, name)[:] = np.fliplr(getattr(seen, name))
    seen.save(tmp_path / "other.npz")
    report = tmp_path / "c.json"
    result = coverage(
        sortie, tmp_path / "other.npz", "--market", market, "--out", tmp_path / "c.png", "--report", report
    )
    assert result.exit_code == 0
    assert json.loads(report.read_text())["outline"]["share_seen"] > 0.97


def test_folder_without_coverage_and_coverage_of_another_map(tmp_path, market):
    out = tmp_path / "c.png"
    missing = coverage(tmp_path, "--market", market, "--out", out)
    assert isinstance(missing.exception, UsageError)
    assert "coverage.npz: no such file" in str(missing.exception)
    Coverage(LocalFrame(30.0, 120.0), (0.0, 0.0, 10.0, 10.0)).save(tmp_path / FILE_NAME)
    foreign = coverage(tmp_path, "--market", market, "--out", out)
    assert "another origin" in str(foreign.exception)
    assert not out.exists()


@pytest.mark.parametrize("command", ["generate", "coverage"])
def test_help_has_an_example(command):
    output = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "120"}).output
    assert f"Example: patrol plan {command}" in " ".join(output.split())
