"""`patrol demo`: the whole loop on this machine - station, simulated drone, edge - from one command."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import httpx
import numpy as np
import typer
from rich.console import Console

from api.auth.roles import Role
from api.bootstrap import prepare, write_token
from patrol import __version__
from patrol.commands.fly import fly_with_view, summary_sentence
from patrol.commands.geolocation import SAME_PERSON_IOU, compare
from patrol.commands.sim import Noise
from patrol.domain.errors import NightPatrolError, UsageError
from patrol.domain.resources import data_path
from patrol.domain.sorties import SortieState
from patrol.edge.settings import SensorSettings, beside_plan, load_settings
from patrol.edge.supervisor import SortieSummary, Supervisor
from patrol.plan.market import read_market
from patrol.sim.settings import read_sim_settings

app = typer.Typer(add_completion=False)

_STATION_PORT = 8400
# What a real station or edge on this machine is told. It is not for the demo, which would otherwise add its
# logins to a real database.
_SETTINGS_OF_OTHERS = ("NIGHT_PATROL_STATION_", "NIGHT_PATROL_EDGE_")
_PASSWORD_BYTES = 9
# What patrol.commands.geolocation takes for the same person.
_COMPARED = f"tracks whose box overlaps an annotated person's by IoU >= {SAME_PERSON_IOU}"
_START_S = 30.0
_STOP_S = 10.0
_POLL_WAIT_S = 20
_POLL_AGAIN_S = 0.5
# After the last alert left the edge, how long the demo's own officer may take to read it.
_READ_S = 5.0
# Perfect sensors still have a finite resolution; zero would make the ellipse one of pixels alone.
_NO_NOISE = SensorSettings(
    horizontal_m=0.02, height_m=0.02, roll_deg=0.02, pitch_deg=0.02, yaw_deg=0.02, time_s=0.001
)


@dataclass
class _Officer:
    """A terminal of its own: polls the station as an officer and notes when it first reads each alert."""

    url: str
    username: str
    password: str
    first_read: dict[str, float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=_POLL_WAIT_S + 10) as client:
            login = {"username": self.username, "password": self.password}
            token = client.post("/api/v1/auth/token", json=login).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            cursor: str | None = None
            while not self._stop.is_set():
                parameters = {"wait": str(_POLL_WAIT_S)} | ({"after": cursor} if cursor else {})
                try:
                    answer = client.get("/api/v1/alerts", params=parameters).raise_for_status()
                except httpx.HTTPError:
                    self._stop.wait(_POLL_AGAIN_S)
                    continue
                read_at_s = time.time()
                page = answer.json()
                cursor = page["cursor"]
                for alert in page["items"]:
                    raised_at = datetime.fromisoformat(alert["raised_at"])
                    self.first_read.setdefault(alert["id"], read_at_s - raised_at.timestamp())

    def stop(self) -> None:
        self._stop.set()

    def await_alerts(self, count: int) -> None:
        """Wait a moment for what was delivered to the station to be read here."""
        deadline_s = time.monotonic() + _READ_S
        while len(self.first_read) < count and time.monotonic() < deadline_s:
            time.sleep(0.05)


@app.command(epilog="Example: `patrol demo --headless --seconds 180 --report report.json`")
def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="End after one sortie instead of serving on.")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(help="Call the drone home after this time.", min=10, max=3600)
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the figures here (JSON).")] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port of the pages; default 8400, with --headless a free one.", min=1, max=65535),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep all data in this folder; default: thrown away.")
    ] = None,
    logins: Annotated[
        Path | None, typer.Option(help="Write the address and the demo logins here (JSON, mode 600).")
    ] = None,
    noise: Annotated[Noise, typer.Option(help="Sensor errors of the simulated drone.")] = Noise.DECLARED,
) -> None:
    """Fly a simulated patrol over real footage, find the gathering, and show it on the officers' page.

    Nothing here leaves this machine. Ctrl-C brings the drone home and ends the demo.
    """
    _forget_settings_of_others()
    if report is not None:
        _require_writable("--report", report, mode=0o666)
    if logins is not None:
        _require_writable("--logins", logins, mode=0o600)
    if keep is not None:
        _make_folder("--keep", keep)
    console = Console()
    with ExitStack() as stack:
        stack.enter_context(_ended_in_order())
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="night-patrol-demo-")))
        scene = _Scene(folder, port or (_free_port(socket.SOCK_STREAM) if headless else _STATION_PORT), noise)
        _require_free(scene.port)
        passwords = {role: secrets.token_urlsafe(_PASSWORD_BYTES) for role in (Role.OPERATOR, Role.OFFICER)}
        tokens = prepare(
            scene.station_dir,
            users=[
                *((role.value, role, password) for role, password in passwords.items()),
                (Role.EDGE.value, Role.EDGE, None),
            ],
            tokens=[Role.EDGE.value],
        )
        write_token(scene.token_file, tokens[Role.EDGE.value])
        if logins is not None:
            _write_private(logins, {"url": scene.url, "users": passwords})

        stack.enter_context(_child(scene.serve_command(), scene.folder / "station.log"))
        _await_station(scene)
        stack.enter_context(_child(scene.sim_command(), scene.folder / "sim.log"))
        _introduce(console, scene, passwords)
        officer = _Officer(scene.url, Role.OFFICER.value, passwords[Role.OFFICER])
        threading.Thread(target=officer.run, daemon=True).start()
        stack.callback(officer.stop)

        summary = _fly(scene, console, seconds)
        officer.await_alerts(summary.alerts_sent)
        console.print(summary_sentence(summary), soft_wrap=True)
        figures = _figures(scene, summary, officer)
        if report is not None:
            report.write_text(json.dumps(figures, indent=2) + "\n")
        if not headless and summary.state is SortieState.COMPLETED and summary.called_home is None:
            _serve_on(console, scene)
    if summary.state is not SortieState.COMPLETED:
        raise NightPatrolError(
            f"the sortie ended as {summary.state.value}: {summary.reason or 'no reason given'}"
        )


@dataclass(frozen=True)
class _Scene:
    """Files, ports and addresses of one demo."""

    folder: Path
    port: int
    noise: Noise
    link: str = field(default_factory=lambda: f"udp://127.0.0.1:{_free_port(socket.SOCK_DGRAM)}")
    camera: str = field(default_factory=lambda: f"udp://127.0.0.1:{_free_port(socket.SOCK_DGRAM)}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def plan(self) -> Path:
        return data_path("flightplans") / "night-market.plan"

    @property
    def market(self) -> Path:
        return beside_plan(self.plan, ".market.geojson")

    @property
    def sim_file(self) -> Path:
        return beside_plan(self.plan, ".sim.yaml")

    @property
    def station_dir(self) -> Path:
        return self.folder / "station"

    @property
    def token_file(self) -> Path:
        return self.folder / "edge.token"

    @property
    def truth_file(self) -> Path:
        return self.folder / "truth.jsonl"

    def serve_command(self) -> list[str]:
        return [
            *("serve", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--data", str(self.station_dir), "--market", str(self.market)),
        ]

    def sim_command(self) -> list[str]:
        return [
            *("sim", "--config", str(self.sim_file), "--mavlink", self.link, "--camera", self.camera),
            *("--noise", self.noise.value, "--truth", str(self.truth_file)),
        ]

    def sensors(self) -> SensorSettings:
        """What the edge is told of the sensors: just what the simulator declares."""
        declared = read_sim_settings(self.sim_file).noise
        if self.noise is Noise.OFF or declared is None:
            return _NO_NOISE
        return SensorSettings(
            horizontal_m=declared.horizontal_m.sigma,
            height_m=declared.height_m.sigma,
            roll_deg=declared.roll_pitch_deg.sigma,
            pitch_deg=declared.roll_pitch_deg.sigma,
            yaw_deg=declared.yaw_deg.sigma,
            time_s=_NO_NOISE.time_s,
        )


def _fly(scene: _Scene, console: Console, seconds: float | None) -> SortieSummary:
    settings = load_settings(
        plan=scene.plan,
        market=scene.market,
        camera_model=beside_plan(scene.plan, ".camera.yaml"),
        link=scene.link,
        camera=scene.camera,
        station=scene.url,
        token_file=scene.token_file,
        data_dir=scene.folder / "edge",
        record_tracks=True,
        sensors=scene.sensors(),
    )

    def limit(supervisor: Supervisor) -> None:
        if seconds is not None:
            timer = threading.Timer(seconds, supervisor.request_return, ["the demo's time is over"])
            timer.daemon = True
            timer.start()

    return fly_with_view(settings, console, "Night Patrol demo", limit)


def _introduce(console: Console, scene: _Scene, passwords: Mapping[Role, str]) -> None:
    market = read_market(scene.market)
    console.print(
        f"""
A simulated drone patrols the {market.name.en}. At the yard its camera shows real people (PETS 2009,
University of Reading). The yard is never open to the public, so the map gives it a stricter rule: three
people who stay within 2 m of their common centre for 5 s are a gathering. Everywhere else the default rule
holds. The alert comes about a minute after the start.

模拟无人机巡逻{market.name.zh}。飞到后院时画面里是真实的人（PETS 2009，雷丁大学）。
后院从不对公众开放，所以规则更严：三人以上聚在两米之内满五秒即为聚集；别处仍用默认规则。
启动约一分钟后出现警情。

  Officer's phone 民警手机   {scene.url}/terminal   officer / {passwords[Role.OFFICER]}
  Operator's desk 指挥台     {scene.url}/console    operator / {passwords[Role.OPERATOR]}
""",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )


def _serve_on(console: Console, scene: _Scene) -> None:
    console.print(
        f"The drone is home. The pages stay at {scene.url} until you press Ctrl-C.", highlight=False
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("The demo ends.")


def _figures(scene: _Scene, summary: SortieSummary, officer: _Officer) -> dict[str, Any]:
    latencies_s = list(officer.first_read.values())
    figures: dict[str, Any] = {
        "version": __version__,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "sortie": {
            "id": summary.sortie,
            "plan": scene.plan.name,
            "state": summary.state.value,
            "reason": summary.reason,
            "seconds": summary.seconds,
        },
        "frames_analysed": summary.frames_analysed,
        "frames_dropped": summary.frames_dropped,
        "people_tracked": summary.people_tracked,
        "alerts_raised": summary.alerts_raised,
        "alerts_delivered": len(officer.first_read),
        # From the capture of the picture that opened the incident until an officer's long-poll had the alert.
        "frame_to_alert_s": {
            "p50": round(float(np.percentile(latencies_s, 50)), 3),
            "p95": round(float(np.percentile(latencies_s, 95)), 3),
            "n": len(latencies_s),
        }
        if latencies_s
        else None,
    }
    geolocation = _geolocation(scene, summary)
    if geolocation is not None:
        figures["geolocation"] = geolocation
    return figures


def _geolocation(scene: _Scene, summary: SortieSummary) -> dict[str, Any] | None:
    """Compare with the annotations where the test data is at hand."""
    pets = Path(os.environ.get("NIGHT_PATROL_TEST_DATA", "../shared/data")) / "aerial" / "pets2009_s2l1"
    tracks = summary.folder / "tracks.jsonl"
    if not (pets.is_dir() and tracks.exists() and scene.truth_file.exists()):
        return None
    found = compare(tracks, scene.truth_file, pets, read_market(scene.market))
    if found is None:
        return None
    return {**vars(found), "compared": _COMPARED, "noise": scene.noise.value}


@contextmanager
def _child(arguments: list[str], log_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run another `patrol` command beside this one for the time of a `with` block."""
    process = None
    try:
        # An end in the middle of this would leave behind a process that nobody knows of.
        with log_file.open("wb") as log, _signals_held():
            # Our own program with arguments made here.
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "patrol.cli", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for this process to handle: the others are stopped in order.
                start_new_session=True,
            )
        yield process
    finally:
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end this process as `sys.exit` does, so that whatever was started is stopped."""
    ending = False

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal ending
        # Once is enough: another signal must not break off the stopping.
        if not ending:
            ending = True
            # The status by which shells tell of a signal.
            raise SystemExit(128 + number)

    # `nohup` has SIGHUP ignored, and so it stays.
    with _handling(
        end,
        *(
            number
            for number in (signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) is not signal.SIG_IGN
        ),
    ):
        yield


@contextmanager
def _signals_held() -> Iterator[None]:
    """Deliver what would end this process only after the `with` block."""
    held: list[int] = []
    with _handling(lambda number, _: held.append(number), signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield
    for number in held:
        signal.raise_signal(number)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None], *numbers: signal.Signals) -> Iterator[None]:
    """Handle these signals so for the time of a `with` block."""
    before = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, former in before:
            signal.signal(number, former)


def _await_station(scene: _Scene) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        try:
            if httpx.get(f"{scene.url}/api/v1/health", timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    said = (scene.folder / "station.log").read_text(errors="replace").strip().splitlines()
    raise NightPatrolError(f"the station did not start: {said[-1] if said else 'it said nothing'}")


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(
                f"port {port} is in use; stop what uses it or choose another with --port"
            ) from error


def _forget_settings_of_others() -> None:
    """Take them out of the environment, for this process and those that it starts."""
    for name in list(os.environ):
        # Settings are found whatever the case of their names.
        if name.upper().startswith(_SETTINGS_OF_OTHERS):
            del os.environ[name]


def _require_writable(option: str, path: Path, *, mode: int) -> None:
    """Make the file when it is missing; one that is there stays as it is."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, mode))
    except OSError as error:
        raise UsageError(
            f"{option} {path}: cannot be written ({error.strerror}); name another file"
        ) from error


def _make_folder(option: str, path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise UsageError(
            f"{option} {path}: cannot be written ({error.strerror}); name another folder"
        ) from error


def _write_private(path: Path, content: dict[str, Any]) -> None:
    with path.open("w") as file:
        # Before there is anything to read: the file may have been there already, open to others.
        os.fchmod(file.fileno(), 0o600)
        json.dump(content, file)
