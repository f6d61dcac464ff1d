"""`patrol plan`: look at a flight plan before anything flies."""

from pathlib import Path
from typing import Annotated

import typer

from patrol.geo.camera import CameraModel, read_camera
from patrol.plan.checks import check_plan
from patrol.plan.drawing import draw_plan
from patrol.plan.market import MarketMap, read_market
from patrol.plan.qgc import read_plan

app = typer.Typer(help="Check and draw flight plans.", no_args_is_help=True)

PlanArgument = Annotated[Path, typer.Argument(metavar="PLAN", help="A .plan file of QGroundControl.")]
MarketOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The market map; without it NAME.market.geojson beside NAME.plan, if there."
    ),
]
CameraOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The camera; without it NAME.camera.yaml beside NAME.plan, if there."),
]


@app.command(epilog="Example: patrol plan check flightplans/night-market.plan")
def check(plan: PlanArgument, market: MarketOption = None) -> None:
    """Say in sentences what is wrong with a plan. Exits with 1 when there is an error."""
    findings = check_plan(read_plan(plan), _market(plan, market))
    for finding in findings:
        typer.echo(f"{finding.level}: {finding.sentence}")
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)
    if not findings:
        typer.echo(f"{plan}: nothing is wrong")


@app.command(epilog="Example: patrol plan show flightplans/night-market.plan --out night-market.png")
def show(
    plan: PlanArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The PNG to write.")],
    market: MarketOption = None,
    camera: CameraOption = None,
) -> None:
    """Draw a plan on its market as a PNG."""
    draw_plan(read_plan(plan), _market(plan, market), out, camera=_camera(plan, camera))
    typer.echo(f"{out}: drawn")


def _market(plan: Path, named: Path | None) -> MarketMap | None:
    path = named or plan.with_suffix(".market.geojson")
    return read_market(path) if named or path.exists() else None


def _camera(plan: Path, named: Path | None) -> CameraModel | None:
    path = named or plan.with_suffix(".camera.yaml")
    return read_camera(path) if named or path.exists() else None
