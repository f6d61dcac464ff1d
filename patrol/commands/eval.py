"""`patrol eval`: measure detectors on pictures whose truth is known, and ground positions on made flights."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from patrol.commands import eval_geo, geo_pictures
from patrol.domain.errors import UsageError
from patrol.vision import evaluation
from patrol.vision.detector import DEFAULT_NMS_IOU, Detector
from patrol.vision.evaluation import Judged, Spread, Truth
from patrol.vision.registry import Manifest, load_manifest
from patrol.vision.tiles import DEFAULT_OVERLAP, plan_tiles

app = typer.Typer(
    help="Measure how good models and ground positions are.\n\nExample: patrol eval geo --report geo.json",
    no_args_is_help=True,
)

DATA_VARIABLE = "NIGHT_PATROL_TEST_DATA"
DATA_DEFAULT = "../shared/data"
SCORE_FLOOR = 0.01
"""Average precision needs the unsure detections too; YOLOX's own evaluation goes down to 0.01."""
PETS_STEP = 5
BOOTSTRAP_SEED = 20
_MS_PER_S = 1000.0

Pictures = Callable[[], Iterable[tuple[NDArray[np.uint8], Truth]]]


@dataclass(frozen=True)
class Row:
    """Figures of one model on one set of pictures with one tiling."""

    pictures: str
    tile_px: int | None
    model: str
    sha256: str
    count: int
    people: int
    tiles: float
    ap50: Spread
    recall_by_height: dict[str, tuple[float, int]]
    false_alarms_per_picture: float
    foot_error_px: float
    foot_sigma_share: float
    ms_per_picture: float


@dataclass(frozen=True)
class Difference:
    """AP50 of a model less that of the last model given; drawn together, so hard pictures count alike."""

    pictures: str
    tile_px: int | None
    model: str
    less: str
    ap50: Spread


@app.command(
    "detect",
    epilog="Example: patrol eval detect --data ../shared/data --model night-patrol-nano "
    "--model models/train/base-yolox-nano.yaml --tile 320 --report report.json",
)
def detect(
    data: Annotated[
        Path | None,
        typer.Option(
            help=f"Folder with aerial/ and models/; default: ${DATA_VARIABLE}, else {DATA_DEFAULT}."
        ),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Name or manifest file; may be given again.")
    ] = None,
    tile: Annotated[
        list[int] | None,
        typer.Option("--tile", min=32, help="Tile side in px beside the whole picture; may be given again."),
    ] = None,
    overlap: Annotated[
        float, typer.Option(min=0, max=0.9, help="Part of a tile shared with the next.")
    ] = DEFAULT_OVERLAP,
    step: Annotated[int, typer.Option(min=1, help="Take every so many-th PETS frame.")] = PETS_STEP,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = 1,
    report: Annotated[Path | None, typer.Option(help="Write the same figures as JSON to this file.")] = None,
) -> None:
    """Measure the detection of people: AP50 with spread, recall by height, error of feet, time."""
    folder = data or Path(os.environ.get(DATA_VARIABLE, DATA_DEFAULT))
    if not (folder / "aerial").is_dir():
        raise UsageError(
            f"{folder}: no aerial/ in it; give the folder of the test data with --data or ${DATA_VARIABLE}"
        )
    manifests = [load_manifest(name, search=[folder / "models"]) for name in model or ["night-patrol-nano"]]
    detectors = [
        Detector(one, threads=threads, score_threshold=SCORE_FLOOR, nms_iou=DEFAULT_NMS_IOU)
        for one in manifests
    ]
    rows: list[Row] = []
    differences: list[Difference] = []
    for name, pictures in _sets(folder, step).items():
        for tile_px in (None, *(tile or [320])):
            judged = [_measure(one, pictures, tile_px, overlap) for one in detectors]
            rows += [_row(name, tile_px, m, *j) for m, j in zip(manifests, judged, strict=True)]
            differences += [
                Difference(name, tile_px, m.name, manifests[-1].name, _difference(j[0], judged[-1][0]))
                for m, j in zip(manifests[:-1], judged[:-1], strict=True)
            ]
    _show(rows, differences)
    if report:
        report.write_text(
            json.dumps(_report(rows, differences, step, overlap, threads), indent=2) + "\n", encoding="utf-8"
        )


@app.command("geo", epilog="Example: patrol eval geo --report geo.json --draw pictures --data ../shared/data")
def geo(
    report: Annotated[Path | None, typer.Option(help="Write the same figures as JSON to this file.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all random numbers.")] = 20,
    trials: Annotated[
        int, typer.Option(min=40, help="Noisy views at each depression; the other parts are in proportion.")
    ] = 4000,
    draw: Annotated[
        Path | None, typer.Option(help="Write pictures of footprints and error ellipses to this folder.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help=f"Folder with aerial/ for real feet; default: ${DATA_VARIABLE}, else {DATA_DEFAULT}."
        ),
    ] = None,
) -> None:
    """Measure ground positions: exactness, honesty of the error ellipses, sensitivity, speed."""
    console = Console()
    measured = eval_geo.measure(
        console, seed=seed, trials=trials, data=data or Path(os.environ.get(DATA_VARIABLE, DATA_DEFAULT))
    )
    eval_geo.show(console, measured)
    if report:
        figures = eval_geo.report(measured, seed=seed, trials=trials)
        report.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if draw:
        for path in geo_pictures.draw(draw):
            console.print(f"drawn: {path}")


def _sets(folder: Path, step: int) -> dict[str, Pictures]:
    pets, drone = folder / "aerial" / "pets2009_s2l1", folder / "aerial" / "visdrone"
    pets_truth = evaluation.read_pets(pets / "PETS2009-S2L1.xml")
    drone_truth = evaluation.read_visdrone(drone / "people.csv")
    video = pets / "vtest_480x360_10fps_795f.mp4"
    return {
        "PETS": lambda: evaluation.video_pictures(video, pets_truth, step),
        "VisDrone": lambda: evaluation.folder_pictures(drone, drone_truth),
    }


def _measure(
    detector: Detector, pictures: Pictures, tile_px: int | None, overlap: float
) -> tuple[list[Judged], float, float]:
    """Judged pictures, mean number of tiles, median time of a picture in ms."""
    judged, counts, times = [], [], []
    for picture, truth in pictures():
        tiles = plan_tiles(picture.shape[1], picture.shape[0], tile_px, overlap)
        started = time.perf_counter()
        found = detector.detect(picture, tiles)
        times.append((time.perf_counter() - started) * _MS_PER_S)
        counts.append(len(tiles))
        judged.append(evaluation.judge(found, detector.manifest.person_class_ids, truth))
    return judged, float(np.mean(counts)), float(np.median(times))


def _row(
    name: str, tile_px: int | None, model: Manifest, judged: list[Judged], tiles: float, ms: float
) -> Row:
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    return Row(
        pictures=name,
        tile_px=tile_px,
        model=model.name,
        sha256=model.sha256,
        count=len(judged),
        people=sum(one.people for one in judged),
        tiles=tiles,
        ap50=evaluation.bootstrap(
            len(judged), lambda picks: evaluation.ap50([judged[n] for n in picks]), rng
        ),
        recall_by_height=evaluation.recall_by_height(judged),
        false_alarms_per_picture=evaluation.false_alarms_per_picture(judged),
        foot_error_px=evaluation.foot_error_px(judged),
        foot_sigma_share=evaluation.foot_sigma_share(judged),
        ms_per_picture=ms,
    )


def _difference(ours: Sequence[Judged], theirs: Sequence[Judged]) -> Spread:
    def figure(picks: Sequence[int]) -> float:
        return evaluation.ap50([ours[n] for n in picks]) - evaluation.ap50([theirs[n] for n in picks])

    return evaluation.bootstrap(len(ours), figure, np.random.default_rng(BOOTSTRAP_SEED))


def _tiling(tile_px: int | None) -> str:
    return "whole" if tile_px is None else f"tiles of {tile_px}"


def _show(rows: Sequence[Row], differences: Sequence[Difference]) -> None:
    console = Console()
    table = Table(
        "pictures", "look", "model", "AP50 people (5-95 %)", "feet px", "sigma / height", "false / picture",
        "tiles", "ms",
        title=f"People, IoU 0.5; feet and false alarms at score {evaluation.OPERATING_SCORE}",
    )  # fmt: skip
    heights = Table("pictures", "look", "model", "recall by height of the person (people)", title="Recall")
    for row in rows:
        spread = f"{row.ap50.value:.3f} ({row.ap50.low:.3f}-{row.ap50.high:.3f})"
        table.add_row(
            f"{row.pictures} ({row.count}; {row.people} people)", _tiling(row.tile_px), row.model, spread,
            f"{row.foot_error_px:.2f}", f"{row.foot_sigma_share:.3f}",
            f"{row.false_alarms_per_picture:.2f}", f"{row.tiles:.1f}",
            f"{row.ms_per_picture:.1f}",
        )  # fmt: skip
        recall = "  ".join(f"{name}: {part:.2f} ({n})" for name, (part, n) in row.recall_by_height.items())
        heights.add_row(row.pictures, _tiling(row.tile_px), row.model, recall)
    console.print(table, heights)
    for one in differences:
        spread = f"{one.ap50.value:+.3f} ({one.ap50.low:+.3f} to {one.ap50.high:+.3f})"
        console.print(
            f"{one.pictures}, {_tiling(one.tile_px)}: AP50 of {one.model} less {one.less}: {spread}"
        )


def _report(
    rows: Sequence[Row], differences: Sequence[Difference], step: int, overlap: float, threads: int
) -> dict[str, Any]:
    return {
        "metric": "AP50 of people, COCO 101-point, IoU 0.5; spread: 5th and 95th percentile over pictures",
        "pets_step": step,
        "nms_iou": DEFAULT_NMS_IOU,
        "overlap": overlap,
        "threads": threads,
        "bootstrap_rounds": evaluation.BOOTSTRAP_ROUNDS,
        "onnxruntime": version("onnxruntime"),
        "machine": platform.machine(),
        "rows": [asdict(row) for row in rows],
        "differences": [asdict(one) for one in differences],
    }
