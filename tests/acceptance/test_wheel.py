"""The wheel holds all that running needs, and runs where there is no checkout."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

NEEDED = [
    "patrol/_data/models/night-patrol-nano.onnx",
    "patrol/_data/models/night-patrol-nano.yaml",
    "patrol/_data/flightplans/night-market.plan",
    "patrol/_data/flightplans/night-market.market.geojson",
    "patrol/_data/flightplans/footage/pets2009-s2l1-view1.mp4",
    "patrol/_data/flightplans/footage/NOTICE.md",
    "api/static/index.html",
    "api/migrations/env.py",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "build", "--wheel", "--quiet", "--python", sys.executable, "--out-dir", out],
        cwd=REPOSITORY,
        check=True,
    )
    return next(out.glob("*.whl"))


def test_the_wheel_holds_models_plans_and_pages(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in NEEDED if name not in names] == []
    assert any(name.startswith("api/static/assets/") for name in names)


def test_the_wheel_holds_nothing_that_is_for_developers(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    strangers = [
        name for name in names if name.split("/")[0] not in ("patrol", "api") and ".dist-info/" not in name
    ]
    assert strangers == []
    assert [name for name in names if "__pycache__" in name or "node_modules" in name] == []


def test_the_installed_wheel_runs_without_a_checkout(wheel, tmp_path):
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False)
    site = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    zipfile.ZipFile(wheel).extractall(site)
    # The dependencies are those of this environment; the package itself comes from the wheel.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    patrol = [folder / "bin" / "python", "-m", "patrol.cli"]
    where = subprocess.run(
        [folder / "bin" / "python", "-c", "import patrol; print(patrol.__file__)"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(folder))
    verified = subprocess.run(
        [*patrol, "models", "verify"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stderr
    assert "night-patrol-nano" in verified.stdout
