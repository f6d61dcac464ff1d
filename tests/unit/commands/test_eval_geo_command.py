"""`patrol eval geo` in a short form: its figures, its report, its pictures."""

import json
import math

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binom
from typer.testing import CliRunner

from patrol.cli import app
from patrol.commands import geo_noise
from patrol.edge.settings import EyesSettings, SensorSettings

TRIALS = 160
FUSED = TRIALS // 4
# A share of 0.9 strays further than this in one of ten thousand runs (two-sided binomial).
LOW, LOW_FUSED = (binom.ppf(0.5e-4, n, 0.9) / n for n in (TRIALS, FUSED))
HIGH, HIGH_FUSED = (binom.ppf(1 - 0.5e-4, n, 0.9) / n for n in (TRIALS, FUSED))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("geo")
    arguments = ["eval", "geo", "--report", folder / "geo.json", "--trials", TRIALS, "--data", folder]
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output, json.loads((folder / "geo.json").read_text())


@pytest.fixture(scope="module")
def report(run):
    return run[1]


def test_exact_inputs_give_exact_places(report):
    assert report["exact"]["poses"] == 2.5 * TRIALS
    assert report["exact"]["points"] > 5 * report["exact"]["poses"]
    assert report["exact_max_error_m"] == report["exact"]["max_error_m"] < 0.05
    assert report["exact"]["refused"] > 0
    assert report["exact"]["refused_wrongly"] == report["exact"]["answered_wrongly"] == 0
    assert report["exact"]["max_velocity_error_mps"] < 1e-3
    assert report["exact"]["max_turn_rate_error_radps"] < 1e-6


def test_exact_inputs_over_terrain(report):
    pytest.importorskip("rasterio", reason="terrain is an extra: pip install 'night-patrol[terrain]'")
    assert report["exact_terrain"]["points"] > 20
    assert report["exact_terrain"]["max_error_m"] < 0.05
    assert report["exact_terrain"]["refused_wrongly"] == 0


@pytest.mark.parametrize("depression", ["30", "45", "60", "90"])
def test_ellipses_hold_the_truth_as_often_as_they_say(report, depression):
    assert LOW <= report["ellipse_90"][depression] <= HIGH
    assert LOW <= report["one_view"][depression]["radius_90"]["share"] <= HIGH
    assert LOW_FUSED <= report["ellipse_90_fused"][depression] <= HIGH_FUSED
    fused, naive = (report["ten_views"][depression][way] for way in ("fused", "naive"))
    assert naive["ellipse_90"]["share"] < 0.6 < fused["ellipse_90"]["share"]


def test_the_stated_errors_are_what_the_edge_assumes():
    sensors, eyes = SensorSettings(), EyesSettings()
    assert math.degrees(geo_noise.ERRORS.yaw_rad) == pytest.approx(sensors.yaw_deg)
    assert math.degrees(geo_noise.ERRORS.pitch_rad) == pytest.approx(sensors.pitch_deg)
    assert math.degrees(geo_noise.ERRORS.roll_rad) == pytest.approx(sensors.roll_deg)
    stated = geo_noise.ERRORS.horizontal_m, geo_noise.ERRORS.height_m, geo_noise.ERRORS.time_s
    assert stated == (sensors.horizontal_m, sensors.height_m, sensors.time_s)
    foot = geo_noise.FOOT_SIGMA_SHARE, geo_noise.FOOT_SIGMA_MIN_PX
    assert foot == (eyes.foot_sigma_share, eyes.foot_sigma_min_px)


@pytest.mark.parametrize("depression", [*geo_noise.SHALLOW_DEG, *geo_noise.DEPRESSIONS_DEG])
def test_the_spot_is_in_every_picture(depression):
    rng, size = np.random.default_rng(1), (geo_noise.CAMERA.width_px, geo_noise.CAMERA.height_px)
    for flights in (
        geo_noise._turning_flights(rng, depression, 300),
        geo_noise._flights_past(rng, depression, 100, np.arange(-4.5, 5)),
    ):
        pixels = flights.pixels_of(0.0)
        assert np.all((pixels > 0) & (pixels < size))


def test_medians(report):
    assert report["median_error_m_10_views"] < report["median_error_m_1_view"] < 3.6  # 3.2 with all trials
    one = report["one_view"]
    assert (
        one["30"]["error"]["m"] > one["45"]["error"]["m"] > one["60"]["error"]["m"] > one["90"]["error"]["m"]
    )


def test_sensitivity_is_that_of_geometry(report):
    # 60 m up and 45 degrees down the spot is 60 m away: a metre of height moves it by a metre.
    at_45 = report["sensitivity_m"]["45"]
    assert at_45["height 1 m"] == pytest.approx(1.0, abs=0.01)
    assert at_45["heading 1 deg"] == pytest.approx(60 * math.radians(1), rel=0.01)
    assert at_45["pitch 1 deg"] == pytest.approx(2 * 60 * math.radians(1), rel=0.03)
    assert at_45["time 0.1 s"] == pytest.approx(0.8, rel=0.01)
    assert report["spread_error_share_of_sigma"] < 1e-3


def test_errors_that_nobody_told_of_show(report):
    untold = report["untold_errors"]
    assert untold["heading 10 deg off"]["30"]["ellipse_90"]["share"] < 0.3
    assert untold["time 0.5 s late"]["45"]["error"]["m"] > 5


def test_report_says_what_it_was_made_with(report):
    assert report["points_per_s"] > 10 * report["speed"]["points_per_s_one_by_one"]
    assert report["assumed"]["sigma"]["time_s"] == 0.05
    assert report["assumed"]["correlation"]["pixel_x_s"] < report["assumed"]["correlation"]["east_s"]
    assert report["versions"]["numpy"] == np.__version__
    assert report["trials"] == TRIALS


def test_without_the_data_real_feet_are_left_out_with_the_reason(run):
    output, report = run
    assert report["pets_feet_median_m"] is report["pets_feet_n"] is None
    assert "--data" in report["pets_feet_missing"]
    assert "PETS feet: not measured" in output


def test_real_feet_lie_where_the_published_calibration_puts_them(test_data):
    from patrol.commands.eval_geo import feet_apart_m

    apart_m = feet_apart_m(test_data)
    assert len(apart_m) == 4650
    assert np.median(apart_m) < 0.1
    assert apart_m.max() < 0.1


def test_pictures(tmp_path):
    from patrol.commands.geo_pictures import draw

    paths = draw(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["low-oblique.png", "mid.png", "straight-down.png"]
    for path in paths:
        with Image.open(path) as picture:
            assert picture.size == (1950, 1560)
            red = np.asarray(picture.convert("RGB")).reshape(-1, 3) == (0xB3, 0x26, 0x1E)
            assert red.all(axis=1).sum() > 1000  # ellipses


def test_pictures_into_a_file_are_refused_in_a_sentence(tmp_path):
    from patrol.commands.geo_pictures import draw
    from patrol.domain.errors import NightPatrolError

    (tmp_path / "file").write_text("")
    with pytest.raises(NightPatrolError, match="name another folder"):
        draw(tmp_path / "file")


def test_help_has_an_example():
    result = CliRunner().invoke(app, ["eval", "geo", "--help"])
    assert "patrol eval geo --report" in result.output
