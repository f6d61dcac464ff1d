"""`patrol bench`: how fast it is, each figure beside a limit measured in the same run."""

import itertools
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from patrol.domain.resources import data_path
from patrol.edge.settings import EyesSettings
from patrol.video.frames import Frame
from patrol.video.source import VideoSource
from patrol.vision.detector import Detector
from patrol.vision.registry import load_manifest
from patrol.vision.tiles import plan_tiles
from patrol.vision.tracking import Tracker, TrackingParameters

app = typer.Typer(help="Measure how fast it runs.", no_args_is_help=True)

_FOOTAGE = Path("flightplans") / "footage" / "pets2009-s2l1-view1.mp4"


@dataclass(frozen=True)
class EyesCase:
    """One way to look: pictures a second of the bare model run and of our whole path, on the same pictures.

    `ours_over_bare` is the median of the rounds' ratios; bare and ours take turns within a round, so that a
    machine that is busy for a while slows both.
    """

    frame: str
    tile_px: int | None
    tiles: int
    threads: int
    bare_fps: float
    ours_fps: float
    ours_over_bare: float


@app.callback()
def _group() -> None:
    """Keep `eyes` a command of its own while it is the only one."""


@app.command(epilog="Example: `patrol bench eyes --report eyes.json`")
def eyes(
    model: Annotated[str, typer.Option(help="Detector, see `patrol models list`.")] = EyesSettings().model,
    tile: Annotated[
        list[int] | None,
        typer.Option(help="Tile side in px beside the whole picture; may be given again.", min=64),
    ] = None,
    frames: Annotated[int, typer.Option(help="Pictures a round.", min=5, max=795)] = 30,
    rounds: Annotated[int, typer.Option(help="Rounds; the median counts.", min=3, max=100)] = 7,
    threads: Annotated[int, typer.Option(help="Processor threads of the model run.", min=1)] = 1,
    report: Annotated[Path | None, typer.Option(help="Write the figures here (JSON).")] = None,
) -> None:
    """Compare detection and tracking with the bare model run on tensors that are ready."""
    tracking = TrackingParameters()
    detector = Detector(load_manifest(model), threads=threads, score_threshold=tracking.least_score)
    with VideoSource(data_path(str(_FOOTAGE)), starts_at_ns=0) as source:
        pictures = list(itertools.islice(source, frames))
    cases = [_measure(detector, pictures, side, rounds, threads) for side in (None, *(tile or [320]))]
    table = Table("picture", "look", "tiles", "bare model run", "ours, to tracks", "ours / bare")
    for case in cases:
        look = "whole" if case.tile_px is None else f"tiles of {case.tile_px}"
        table.add_row(
            case.frame, look, str(case.tiles), f"{case.bare_fps:.1f} / s", f"{case.ours_fps:.1f} / s",
            f"{case.ours_over_bare:.2f}",
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(
        f"{rounds} rounds of {frames} pictures, {threads} thread(s), medians; {os.cpu_count()} cores, "
        f"onnxruntime {version('onnxruntime')} on {platform.machine()}"
    )
    if report is not None:
        machine = {
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "onnxruntime": version("onnxruntime"),
        }
        how = {"rounds": rounds, "frames": frames, "model": model, "provider": detector.provider}
        report.write_text(
            json.dumps({"cases": [asdict(case) for case in cases], **how, **machine}, indent=2) + "\n"
        )


def _measure(
    detector: Detector, pictures: Sequence[Frame], tile_px: int | None, rounds: int, threads: int
) -> EyesCase:
    height_px, width_px = pictures[0].pixels.shape[:2]
    tiles = plan_tiles(width_px, height_px, tile_px)
    ready = [detector.prepare(picture.pixels, tiles)[0] for picture in pictures]

    def bare() -> None:
        for batch in ready:
            detector.run(batch)

    def ours() -> None:
        tracker = Tracker()
        for picture in pictures:
            tracker.update(detector.detect(picture.pixels, tiles), picture.captured_at_ns)

    seconds = np.array([(_seconds(bare), _seconds(ours)) for _ in range(rounds)])
    bare_fps, ours_fps = len(pictures) / np.median(seconds, axis=0)
    return EyesCase(
        frame=f"{width_px}x{height_px}",
        tile_px=tile_px,
        tiles=len(tiles),
        threads=threads,
        bare_fps=round(float(bare_fps), 2),
        ours_fps=round(float(ours_fps), 2),
        ours_over_bare=round(float(np.median(seconds[:, 0] / seconds[:, 1])), 3),
    )


def _seconds(work: Callable[[], None]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s
