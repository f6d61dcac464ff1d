import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from patrol.commands.plan import app
from patrol.domain.errors import UsageError
from patrol.domain.resources import data_path

SHIPPED = data_path("flightplans")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    for name in ("night-market.plan", "night-market.market.geojson", "night-market.camera.yaml"):
        shutil.copy(SHIPPED / name, tmp_path)
    return tmp_path / "night-market.plan"


def test_check_of_a_sound_plan(plan: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(plan)])
    assert (result.exit_code, result.output) == (0, f"{plan}: nothing is wrong\n")


def test_check_prints_sentences_and_fails_on_an_error(plan: Path) -> None:
    document = json.loads(plan.read_text())
    document["geoFence"]["polygons"] = []
    plan.write_text(json.dumps(document))
    result = CliRunner().invoke(app, ["check", str(plan)])
    assert result.exit_code == 1
    assert result.output == f"error: {plan}: has no fence to stay inside of; draw one around the patrol\n"


def test_a_warning_alone_is_no_failure(plan: Path) -> None:
    document = json.loads(plan.read_text())
    document["mission"]["items"][3]["params"][0] = 30  # a long hold in the barbecue row
    plan.write_text(json.dumps(document))
    result = CliRunner().invoke(app, ["check", str(plan)])
    assert result.exit_code == 0
    assert result.output.startswith(f"warning: {plan}: item 4 hovers for 30 s over Barbecue street")


def test_market_beside_the_plan_is_found_and_another_can_be_named(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "night-market.market.geojson").rename(tmp_path / "moved.geojson")
    assert CliRunner().invoke(app, ["check", str(plan)]).exit_code == 0
    named = CliRunner().invoke(app, ["check", str(plan), "--market", str(tmp_path / "moved.geojson")])
    assert named.exit_code == 0
    missing = CliRunner().invoke(app, ["check", str(plan), "--market", str(tmp_path / "none.geojson")])
    assert isinstance(missing.exception, UsageError)
    assert "none.geojson: no such file" in str(missing.exception)


def test_rubbish_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "rubbish.plan"
    path.write_bytes(b"\x00\x01\xff")
    result = CliRunner().invoke(app, ["check", str(path)])
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 2


def test_show_writes_a_picture(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.png"
    result = CliRunner().invoke(app, ["show", str(plan), "--out", str(out)])
    assert (result.exit_code, result.output) == (0, f"{out}: drawn\n")
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("command", ["check", "show"])
def test_help_has_an_example(command: str) -> None:
    output = CliRunner().invoke(app, [command, "--help"]).output
    assert f"Example: patrol plan {command}" in " ".join(output.split())
