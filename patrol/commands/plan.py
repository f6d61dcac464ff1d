"""`patrol plan`: make, check and draw flight plans, and see what a flight has looked at."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import shapely
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from shapely.geometry.base import BaseGeometry

from patrol.domain.errors import NightPatrolError, UsageError
from patrol.geo.camera import CameraModel, read_camera
from patrol.geo.coverage import FILE_NAME, LEAST_MARKED_PX, USABLE_HEIGHT_PX, Coverage
from patrol.plan.checks import check_plan
from patrol.plan.coverage_drawing import Shown, draw_coverage
from patrol.plan.drawing import draw_plan
from patrol.plan.generate import (
    ENDURANCE_MIN,
    HOLD_S,
    LANDED_PERCENT,
    OVERLAP,
    PITCH_DEG,
    RETURN_AT_PERCENT,
    SPEED_MPS,
    Battery,
    Generated,
    Style,
    Wish,
    generate,
)
from patrol.plan.market import MarketMap, read_market
from patrol.plan.qgc import read_plan

app = typer.Typer(help="Make, check and draw flight plans.", no_args_is_help=True)

_MARKET_SUFFIX = ".market.geojson"
_CAMERA_SUFFIX = ".camera.yaml"

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
MapOption = Annotated[Path, typer.Option(metavar="FILE", help="The market map.")]
LeastHeightOption = Annotated[
    float,
    typer.Option(
        "--least-height-px",
        min=LEAST_MARKED_PX,
        help="From how many pixels of height on a standing person counts as seen. In single pictures the "
        "detector finds half of those of 20 to 30 px and five in six of larger ones "
        "(models/night-patrol-nano.md).",
    ),
]
ReportOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the figures here, too (JSON).")
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


@app.command(
    name="generate",
    epilog="Example: patrol plan generate --market flightplans/night-market.market.geojson --style lawnmower "
    "--height 15 --out sweep.plan --draw sweep.png",
)
def generate_command(  # noqa: PLR0913, PLR0917 - each is an option of the command
    market: MapOption,
    style: Annotated[
        Style,
        typer.Option(
            help="lawnmower: the whole outline in rows; perimeter: once around it, looking inwards; lanes: "
            "along the map's lanes; watchpoints: from one to the next. The first two need a gimbal that pans "
            "by 90 degrees to both sides."
        ),
    ],
    height: Annotated[float, typer.Option(metavar="M", help="Above ground, 10 to 120.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .plan to write.")],
    overlap: Annotated[
        float, typer.Option(metavar="SHARE", help="What a row shows again of the next one's, 0 to 0.9.")
    ] = OVERLAP,
    camera: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The camera; without it NAME.camera.yaml beside NAME.market.geojson."
        ),
    ] = None,
    speed: Annotated[float, typer.Option(metavar="M/S", help="Over ground.")] = SPEED_MPS,
    pitch: Annotated[
        float, typer.Option(metavar="DEG", help="Of the gimbal; watch points have their own.")
    ] = PITCH_DEG,
    heading: Annotated[
        float | None,
        typer.Option(metavar="DEG", help="Bearing of the lawnmower's rows; without it along the long side."),
    ] = None,
    home: Annotated[
        str | None,
        typer.Option(
            metavar="LAT,LON",
            help="The launch; without it the middle of the largest zone that is never open.",
        ),
    ] = None,
    hold: Annotated[float, typer.Option(metavar="S", help="At each watch point.")] = HOLD_S,
    least_height_px: LeastHeightOption = USABLE_HEIGHT_PX,
    endurance_min: Annotated[
        float, typer.Option("--endurance-min", metavar="N", help="How long a full battery hovers.")
    ] = ENDURANCE_MIN,
    wind: Annotated[float, typer.Option(metavar="M/S", help="Taken to be ahead on every leg.")] = 0.0,
    draw: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw the plan here.")] = None,
    report: ReportOption = None,
) -> None:
    """Make a plan from a market map, and foretell what it sees and what it takes.

    Exits with 1, and writes no plan, when the battery cannot bring the aircraft home.
    """
    wish = Wish(
        style=style, height_m=height, overlap=overlap, speed_mps=speed, pitch_deg=pitch, heading_deg=heading,
        home=_place(home), hold_s=hold, least_height_px=least_height_px, endurance_min=endurance_min,
        wind_mps=wind,
    )  # fmt: skip
    the_market, the_camera = read_market(market), read_camera(_beside(market, camera))
    with _progress("looking ahead") as tell:
        made = generate(wish, the_market, the_camera, out, tell)
    for finding in made.warnings:
        typer.echo(f"{finding.level}: {finding.sentence}")
    _print_shares(made.coverage, the_market, least_height_px)
    _print_effort(made)
    if report is not None:
        report.write_text(json.dumps(_figures(wish, made, the_market), indent=2) + "\n", encoding="utf-8")
    _judge(made.battery)
    out.write_text(json.dumps(made.document, indent=4) + "\n", encoding="utf-8")
    typer.echo(f"{out}: written")
    if draw is not None:
        draw_plan(made.plan, the_market, draw, camera=the_camera if style is Style.WATCHPOINTS else None)
        typer.echo(f"{draw}: drawn")


@app.command(
    epilog="Example: patrol plan coverage sortie-folder --market flightplans/night-market.market.geojson "
    "--out coverage.png"
)
def coverage(
    recorded: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECORDED...", help=f"Folders of sorties, or files {FILE_NAME}; several are added up."
        ),
    ],
    market: MapOption,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The PNG to write.")],
    least_height_px: LeastHeightOption = USABLE_HEIGHT_PX,
    shown: Annotated[
        Shown, typer.Option("--show", help="What is coloured: how high people appear, or for how long.")
    ] = Shown.HEIGHT,
    report: ReportOption = None,
) -> None:
    """Draw what ground a sortie has looked at, and print how much of each zone.

    Stalls and roofs are not known to hide what lies behind them.
    """
    the_market = read_market(market)
    first, *others = (Coverage.load(path / FILE_NAME if path.is_dir() else path) for path in recorded)
    for other in others:
        first.merge(other)
    if first.frame != the_market.frame:
        raise UsageError(
            f"{recorded[0]}: was kept for a map with another origin than {market}; name that sortie's map"
        )
    draw_coverage(first, the_market, out, least_height_px=least_height_px, shown=shown)
    _print_shares(first, the_market, least_height_px)
    if report is not None:
        figures = _shares(first, the_market, least_height_px)
        report.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"{out}: drawn")


def _market(plan: Path, named: Path | None) -> MarketMap | None:
    path = named or plan.with_suffix(_MARKET_SUFFIX)
    return read_market(path) if named or path.exists() else None


def _camera(plan: Path, named: Path | None) -> CameraModel | None:
    path = named or plan.with_suffix(_CAMERA_SUFFIX)
    return read_camera(path) if named or path.exists() else None


def _beside(market: Path, named: Path | None) -> Path:
    path = named or market.with_name(market.name.removesuffix(_MARKET_SUFFIX) + _CAMERA_SUFFIX)
    if not path.exists():
        raise UsageError(f"{path}: no such camera; name the camera's file with --camera")
    return path


def _place(written: str | None) -> tuple[float, float] | None:
    if written is None:
        return None
    try:
        lat_deg, lon_deg = map(float, written.split(","))
    except ValueError:
        raise UsageError(f"--home {written}: is no place; write it like 31.2997,120.6195") from None
    return lat_deg, lon_deg


def _judge(battery: Battery) -> None:
    """Warn when the battery is short; raise when it is so short that the aircraft would not come home."""
    change = "fly faster, higher or with less overlap, launch nearer to the middle, or split the map"
    if battery.whole > 100:
        raise NightPatrolError(f"the flight takes {battery.whole:.0f} % of the battery; {change}")
    if battery.farthest_return > RETURN_AT_PERCENT:
        raise NightPatrolError(
            f"coming home from the farthest point takes {battery.farthest_return:.0f} % of the battery, more "
            f"than the {RETURN_AT_PERCENT:g} % at which the aircraft is called home; {change}"
        )
    if not battery.lasts:
        typer.echo(
            f"warning: the route takes {battery.patrol:.0f} % of the battery, but the aircraft is called "
            f"home when {RETURN_AT_PERCENT:g} % are left; {change}"
        )
    if not battery.has_reserve:
        left = RETURN_AT_PERCENT - battery.farthest_return
        typer.echo(
            f"warning: called home at {RETURN_AT_PERCENT:g} % from the farthest point the aircraft lands "
            f"with {left:.0f} %, less than {LANDED_PERCENT:g} %; {change}"
        )


def _print_effort(made: Generated) -> None:
    flight, battery = made.flight, made.battery
    typer.echo(
        f"{len(made.plan.items)} items, {flight.length_m:.0f} m, "
        f"{_minutes(flight.patrol_s)} until the return, {_minutes(flight.return_s)} to land"
    )
    typer.echo(
        f"battery: {battery.patrol:.0f} % until the return, {battery.whole:.0f} % in all; "
        f"coming home from the farthest point takes {battery.farthest_return:.0f} %"
    )


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d} min"


def _regions(market: MarketMap) -> list[tuple[str, BaseGeometry]]:
    """Name and shape of the outline, of all lanes together, and of each zone."""
    lanes = shapely.union_all([lane.line.buffer(lane.width_m / 2, cap_style="flat") for lane in market.lanes])
    regions = [(f"{market.name.zh} {market.name.en}", market.outline), ("通道 lanes", lanes)]
    return regions + [(f"{zone.name.zh} {zone.name.en}", zone.polygon) for zone in market.zones]


def _print_shares(seen: Coverage, market: MarketMap, least_height_px: float) -> None:
    table = Table("", f"seen at {least_height_px:g} px or more", "mean dwell")
    for name, shape in _regions(market):
        if not shape.is_empty:
            share, dwell_s = seen.share_seen(shape, least_height_px), seen.mean_dwell_s(shape)
            table.add_row(name, f"{share:.1%}", f"{dwell_s:.1f} s")
    Console().print(table)


def _shares(seen: Coverage, market: MarketMap, least_height_px: float) -> dict[str, Any]:
    outline, lanes, *zones = (
        {
            "share_seen": round(seen.share_seen(shape, least_height_px), 4),
            "mean_dwell_s": round(seen.mean_dwell_s(shape), 2),
        }
        for _, shape in _regions(market)
    )
    by_id = {zone.id: figures for zone, figures in zip(market.zones, zones, strict=True)}
    return {"least_height_px": least_height_px, "outline": outline, "lanes": lanes, "zones": by_id}


def _figures(wish: Wish, made: Generated, market: MarketMap) -> dict[str, Any]:
    flight = made.flight
    return {
        "wish": asdict(wish),
        "coverage": _shares(made.coverage, market, wish.least_height_px),
        "items": len(made.plan.items),
        "length_m": round(flight.length_m, 1),
        "patrol_s": round(flight.patrol_s, 1),
        "return_s": round(flight.return_s, 1),
        "battery_percent": {key: round(value, 1) for key, value in asdict(made.battery).items()},
        "warnings": [finding.sentence for finding in made.warnings],
    }


@contextmanager
def _progress(what: str) -> Iterator[Callable[[float], None]]:
    """A bar at a terminal while the block works; what it gives takes the share that is done."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=share)
