"""`patrol sim`: a simulated drone to fly against."""

import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.status import Status

from patrol.domain.errors import UsageError
from patrol.domain.resources import data_path
from patrol.geo.camera import read_camera
from patrol.plan.market import read_market
from patrol.sim.camera import PICTURES_PER_SECOND, LiveCamera, TruthLog
from patrol.sim.dialects.ardupilot.endpoint import ArduPilot
from patrol.sim.drone import Drone
from patrol.sim.footage import Director, Shot, shots_of
from patrol.sim.scenery import Scenery
from patrol.sim.settings import SimSettings, read_sim_settings
from patrol.sim.simulation import Simulation
from patrol.sim.transport import UdpLink, udp_address
from patrol.video.writer import LiveStream, Stamps

OFF = "off"
SETTINGS_SUFFIX = ".sim.yaml"
STATUS_NS = 500_000_000
NS_PER_US = 1000
NS_PER_MS = 1_000_000
MS_PER_S = 1000.0

app = typer.Typer(add_completion=False)


class Noise(StrEnum):
    """Whether the sensors err as the simulation file declares."""

    DECLARED = "declared"
    OFF = "off"


@app.command(epilog="Example: `patrol sim --camera udp://127.0.0.1:5600 --truth truth.jsonl`")
def sim(  # noqa: PLR0913, PLR0917 - each is an option of the command
    config: Annotated[
        Path | None, typer.Option(help="The simulation file; without it that of the demo's night market.")
    ] = None,
    mavlink: Annotated[
        str,
        typer.Option(metavar="URL", help="Where the vehicle sends MAVLink; it answers whoever writes back."),
    ] = "udp://127.0.0.1:14550",
    camera: Annotated[
        str, typer.Option(metavar="URL", help="Where the camera sends MPEG-TS with capture times, or `off`.")
    ] = "udp://127.0.0.1:5600",
    truth: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the true camera pose of every picture here (JSON lines)."),
    ] = None,
    market: Annotated[
        Path | None, typer.Option(help="The market map; without it NAME.market.geojson beside NAME.sim.yaml.")
    ] = None,
    camera_model: Annotated[
        Path | None, typer.Option(help="The camera; without it NAME.camera.yaml beside NAME.sim.yaml.")
    ] = None,
    noise: Annotated[Noise, typer.Option(help="Sensor errors.")] = Noise.DECLARED,
    speed_up: Annotated[
        float,
        typer.Option(
            min=0.1, max=50.0, help="Fly so many times as fast; scale the station's time-outs, too."
        ),
    ] = 1.0,
    boot_s: Annotated[
        float,
        typer.Option(
            min=0.1, max=600.0, help="Seconds until the position is usable (41 on the real autopilot)."
        ),
    ] = 8.0,
    seed: Annotated[
        int, typer.Option(min=0, help="Of wind gusts and sensor errors: the same gives the same.")
    ] = 1,
    stamps: Annotated[
        Stamps, typer.Option(help="How the stream tells when its pictures were taken, or `none`.")
    ] = Stamps.SEI,
    stamp_error_ms: Annotated[
        int, typer.Option(min=-10_000, max=10_000, help="By how much those times lie.")
    ] = 0,
    video_delay_ms: Annotated[
        int, typer.Option(min=0, max=5_000, help="How late each picture is sent, as a slow link does.")
    ] = 0,
) -> None:
    """Fly a simulated drone: an ArduCopter on MAVLink and a camera that shows the market of a map.

    At a watch point with footage the camera shows that, from its first picture on; elsewhere, and when the
    footage has ended, it draws the map. It paints no people. Ctrl-C ends it.
    """
    if camera == OFF and truth is not None:
        raise UsageError(
            f"--truth {truth}: tells of pictures, and --camera off takes none; leave out one of them"
        )
    if video_delay_ms and speed_up != 1:
        raise UsageError(
            f"--video-delay-ms {video_delay_ms}: counts by the clock on the wall, which --speed-up "
            f"{speed_up:g} leaves behind; leave out one of them"
        )
    path = config or data_path("flightplans") / f"night-market{SETTINGS_SUFFIX}"
    settings = read_sim_settings(path)
    over = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with ExitStack() as stack:
        link = UdpLink(mavlink)
        stack.callback(link.close)
        studio = (
            None
            if camera == OFF
            else _Studio.build(stack, settings, path, camera, stamps, truth, market, camera_model)
        )
        started_ns = time.time_ns() // NS_PER_US * NS_PER_US  # capture times travel in whole microseconds
        drone = Drone(settings, utc_at_boot_ns=started_ns, seed=seed, with_noise=noise is Noise.DECLARED)
        autopilot = ArduPilot(drone, link.send, boot_s=boot_s)
        eye = (
            None
            if studio is None
            else stack.enter_context(studio.camera(drone, video_delay_ms, stamp_error_ms))
        )
        typer.echo(
            f"Simulated drone ready: MAVLink to {mavlink}, camera {'' if camera == OFF else 'to '}{camera}. "
            "Ctrl-C ends it."
        )
        console = Console(stderr=True)
        status = stack.enter_context(console.status("")) if console.is_terminal else None
        Simulation(drone, autopilot, eye).run(
            link, speed_up=speed_up, is_over=lambda: _tell(status, drone, autopilot) or over.is_set()
        )


@dataclass(frozen=True, eq=False)
class _Studio:
    """All that a camera needs but the drone; building it takes a moment."""

    shots: tuple[Shot, ...]
    scenery: Scenery
    stream: LiveStream
    truth_log: TruthLog | None

    @classmethod
    def build(
        cls,
        stack: ExitStack,
        settings: SimSettings,
        path: Path,
        url: str,
        stamps: Stamps,
        truth: Path | None,
        market: Path | None,
        camera_model: Path | None,
    ) -> Self:
        udp_address(url)
        name = path.name.removesuffix(SETTINGS_SUFFIX)
        the_market = read_market(market or path.with_name(f"{name}.market.geojson"))
        model = read_camera(camera_model or path.with_name(f"{name}.camera.yaml"))
        size_px = (model.width_px, model.height_px)
        shots = shots_of(settings.footage, path.parent, the_market, size_px)
        truth_log = None
        if truth is not None:
            truth_log = TruthLog(truth)
            stack.callback(truth_log.close)
        stream = stack.enter_context(LiveStream(url, PICTURES_PER_SECOND, size_px, stamps))
        return cls(shots, Scenery(the_market, model), stream, truth_log)

    def camera(self, drone: Drone, late_ms: int, stamp_error_ms: int) -> LiveCamera:
        return LiveCamera(
            drone.frame,
            drone.ground_amsl_m,
            Director(self.shots, drone.frame),
            self.scenery.picture,
            self.stream,
            self.truth_log,
            late_s=late_ms / MS_PER_S,
            stamp_error_ns=stamp_error_ms * NS_PER_MS,
        )


def _tell(status: Status | None, drone: Drone, autopilot: ArduPilot) -> bool:
    """Refresh the line at a terminal now and then; always False."""
    if status is not None and drone.boot_ns % STATUS_NS == 0:
        copter, (north_m, east_m, up_m) = autopilot.copter, drone.body.position_neu_m
        armed = "armed" if copter.armed else "disarmed"
        status.update(
            f"{drone.boot_s:6.0f} s  {copter.mode.name:9} {armed:8}  item {copter.mission.current}  "
            f"{north_m:+.0f} m N {east_m:+.0f} m E {up_m:.1f} m up  {drone.battery.volt:.1f} V "
            f"{drone.battery.charge:.0%}"
        )
    return False


if __name__ == "__main__":
    app()
