import pytest

from patrol.domain.errors import UsageError
from patrol.edge.settings import beside_plan, load_settings


@pytest.fixture
def files(tmp_path):
    for name in ("a.plan", "a.market.geojson", "a.camera.yaml"):
        (tmp_path / name).touch()
    plan = tmp_path / "a.plan"
    return {
        "plan": plan,
        "market": beside_plan(plan, ".market.geojson"),
        "camera_model": beside_plan(plan, ".camera.yaml"),
        "link": "udp://127.0.0.1:14550",
        "camera": "udp://127.0.0.1:5600",
    }


def test_what_is_not_given_has_defaults(files):
    settings = load_settings(**files, station=None)
    assert settings.station is None
    assert settings.drone == "drone-1"
    assert settings.eyes.model == "night-patrol-nano"


def test_the_environment_sets_what_the_command_line_leaves_open(files, monkeypatch):
    monkeypatch.setenv("NIGHT_PATROL_EDGE_DRONE", "kestrel-2")
    monkeypatch.setenv("NIGHT_PATROL_EDGE_EYES__TILE_PX", "320")
    settings = load_settings(**files)
    assert settings.drone == "kestrel-2"
    assert settings.eyes.tile_px == 320
    assert load_settings(**files, drone="owl-1").drone == "owl-1"


def test_a_missing_file_is_named(files, tmp_path):
    (tmp_path / "a.camera.yaml").unlink()
    with pytest.raises(UsageError, match=r"camera_model: .*a\.camera\.yaml is not a file"):
        load_settings(**files)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("drone", "Drone 1!", "drone"),
        ("speed_up", 0.1, "speed_up"),
        ("sensors", {"horizontal_m": -1}, "sensors.horizontal_m"),
        ("eyes", {"no_such_key": 1}, "eyes.no_such_key"),
    ],
)
def test_a_wrong_setting_is_named(files, name, value, says):
    with pytest.raises(UsageError, match=says) as caught:
        load_settings(**files, **{name: value})
    assert caught.value.exit_code == 2


def test_each_drone_has_an_outbox_of_its_own(files):
    one, two = (load_settings(**files, drone=name) for name in ("drone-1", "drone-2"))
    assert one.outbox_path != two.outbox_path
