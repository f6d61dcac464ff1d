"""`patrol fly`: one sortie from pre-flight to landing."""

import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from patrol.commands.sortie_view import SortieView
from patrol.domain.errors import NightPatrolError
from patrol.domain.sorties import SortieState
from patrol.edge.settings import EdgeSettings, beside_plan, load_settings
from patrol.edge.supervisor import SortieSummary, Supervisor, sortie_to_fly

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Example: `patrol fly flightplans/night-market.plan --link udp://127.0.0.1:14550 "
    "--camera udp://127.0.0.1:5600 --station http://127.0.0.1:8400 --token-file edge.token`"
)
def fly(
    plan: Annotated[Path, typer.Argument(help="QGroundControl .plan file.", dir_okay=False, exists=True)],
    link: Annotated[str, typer.Option(help="Aircraft: udp://HOST:PORT listens, tcp://HOST:PORT connects.")],
    camera: Annotated[str, typer.Option(help="Video: udp://HOST:PORT, rtsp://..., or a file.")],
    station: Annotated[
        str | None,
        typer.Option(help="Station, for example http://127.0.0.1:8400; without it alerts wait here."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the station's token for this drone (mode 600).")
    ] = None,
    market: Annotated[Path | None, typer.Option(help="Market map; default: beside the plan.")] = None,
    camera_model: Annotated[
        Path | None, typer.Option(help="Camera geometry; default: beside the plan.")
    ] = None,
    drone: Annotated[str | None, typer.Option(help="Name of the drone, for example drone-1.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder for sorties and the outbox.")] = None,
) -> None:
    """Fly PLAN: check, upload, arm, start, follow, and bring the drone home.

    Ctrl-C brings the drone home; a second Ctrl-C leaves it to its autopilot. A sortie that is already in the
    air is followed, not started again.
    """
    settings = load_settings(
        plan=plan,
        market=market or beside_plan(plan, ".market.geojson"),
        camera_model=camera_model or beside_plan(plan, ".camera.yaml"),
        link=link,
        camera=camera,
        station=station,
        token_file=token_file,
        drone=drone,
        data_dir=data,
    )
    console = Console()
    summary = fly_with_view(settings, console, f"Night Patrol: {plan.stem}")
    console.print(f"{summary_sentence(summary)} Records: {summary.folder}", soft_wrap=True)
    if summary.state is not SortieState.COMPLETED:
        raise NightPatrolError(
            f"the sortie ended as {summary.state.value}: {summary.reason or 'no reason given'}"
        )


def fly_with_view(
    settings: EdgeSettings,
    console: Console,
    title: str,
    prepare: Callable[[Supervisor], None] = lambda _: None,
) -> SortieSummary:
    """Run one sortie with a live view; Ctrl-C and SIGTERM bring the drone home.

    `prepare` is called with the supervisor before it runs, for whoever else may want the drone home.
    """
    with SortieView(console, title) as view:
        supervisor = Supervisor(settings, sortie_to_fly(settings.sortie_record_path), view.show)
        prepare(supervisor)

        asked = False

        def bring_home(_signal: int, _frame: FrameType | None) -> None:
            nonlocal asked
            if asked:
                view.say("leaving the drone to its autopilot", "yellow")
                supervisor.leave_to_autopilot()
                return
            asked = True
            view.say("stopping: the drone comes home; once more leaves it to its autopilot", "yellow")
            supervisor.request_return("stopped by the operator")

        before = [(number, signal.signal(number, bring_home)) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            return supervisor.run()
        finally:
            for number, handler in before:
                signal.signal(number, handler)


def summary_sentence(summary: SortieSummary) -> str:
    """What a sortie came to, for people."""
    refused = f" Refused by the station: {summary.deliveries_refused}." if summary.deliveries_refused else ""
    return (
        f"Sortie {summary.state.value} after {summary.seconds:.0f} s. "
        f"Pictures analysed: {summary.frames_analysed}, people tracked: {summary.people_tracked}, "
        f"alerts raised: {summary.alerts_raised}, delivered: {summary.alerts_sent}.{refused}"
    )
