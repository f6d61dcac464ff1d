"""Tunes the base on the labels of label.py and writes the ONNX file.

The checkpoint, and how far to go from the base towards the tuned weights, are chosen on source videos that
were held out of training; the pictures the model card reports on play no part in it.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import math
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import network
import numpy as np
import numpy.typing as npt
import torch
from compose import PERSON, Frame, Picture, Recipe, compose
from teachers import SIDE_PX, grid_cells, letterbox
from torch import nn
from torch.utils.data import DataLoader, Dataset

Floats = npt.NDArray[np.float32]

HELD_OUT_FOLD = 4
HELD_OUT_PICTURES = 40
MATCH_IOU = 0.5
NMS_IOU = 0.65
SCORE_FLOOR = 0.02
# An unsure box of the teachers is left out of the loss from this score on; under it the place counts as
# background.
IGNORE_FROM_SCORE = 0.30
# Whole frames, which the base is good at, may lose no more than this; of what is left the best mean wins.
WHOLE_MAY_LOSE = 0.005
# Nor may more be seen where no teacher saw anything: detections from ALARM_SCORE on, per picture over all
# sets.
ALARM_SCORE = 0.3
ALARMS_MAY_GAIN = 0.5
# Packed pictures hold many times the people of a usual one, and the loss is divided by the people: what is
# background weighs so much more to stand as the base learned it.
BACKGROUND_FACTOR = 2.0
MIXTURES = (0.25, 0.5, 0.75, 1.0)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a run is made of. The learning rate is for filters of unit norm (see network.py)."""

    steps: int = 900
    # The last step taken. Fewer than `steps` where time is short; the learning rate then ends above 0.
    stop_at: int = 900
    batch: int = 8
    learning_rate: float = 3e-4
    warm_up_steps: int = 50
    average_decay: float = 0.99
    check_every: int = 300
    largest_gradient: float = 20.0
    seed: int = 20


class Pictures(Dataset[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]):
    """Endless supply: picture number n depends on the seed and n alone, however many processes draw."""

    def __init__(self, frames: Sequence[Frame], recipe: Recipe, seed: int, count: int) -> None:
        self.frames, self.recipe, self.seed, self.count = frames, recipe, seed, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        picture = compose(self.frames, self.recipe, np.random.default_rng([self.seed, n]))
        weight = torch.from_numpy(background_weight(picture.ignored))
        return torch.from_numpy(picture.pixels), torch.from_numpy(centred(picture.labels)), weight


def background_weight(ignored: Floats) -> Floats:
    """1 for every cell (3549,), 0 where the middle of the cell lies in an ignored region."""
    cells, strides = grid_cells()
    middle = (cells + 0.5) * strides
    inside = (middle[:, None] >= ignored[None, :, :2]) & (middle[:, None] < ignored[None, :, 2:])
    return np.asarray(1 - inside.all(-1).any(-1), np.float32)


def centred(labels: Floats) -> Floats:
    """Class x0 y0 x1 y1 -> class cx cy w h, as the loss wants it."""
    out = labels.copy()
    out[:, 1:3] = (labels[:, 1:3] + labels[:, 3:]) / 2
    out[:, 3:] = labels[:, 3:] - labels[:, 1:3]
    return out


def collate(
    rows: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Stack; label tables are filled up with zero rows, which the loss skips."""
    longest = max(1, *(len(labels) for _, labels, _ in rows))
    table = torch.zeros(len(rows), longest, 5)
    for n, (_, labels, _) in enumerate(rows):
        table[n, : len(labels)] = labels
    images = torch.stack([pixels for pixels, _, _ in rows]).permute(0, 3, 1, 2).float()
    return images, table, torch.stack([weight for _, _, weight in rows])


class MaskedLoss(nn.Module):
    """Binary cross entropy without the background cells of ignored regions (objectness only, one column)."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.BCEWithLogitsLoss(reduction="none")
        self.weight = torch.ones(1)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of each element, in the shape of `logits`."""
        loss = self.inner(logits, target)
        if logits.shape[-1] != 1:
            return loss
        return loss * torch.where(target > 0, 1.0, BACKGROUND_FACTOR * self.weight.view(-1, 1))


def read_frames(work: Path) -> tuple[list[Frame], list[Frame]]:
    """Training frames and held-out frames; a source video is in one of the two only."""
    table = work / "labels.jsonl"
    if not table.is_file():
        raise SystemExit(f"{table}: no labels there; run label.py with the same --work first")
    train, held = [], []
    for line in table.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        unsure = np.array(row["ignored"], np.float32).reshape(-1, 5)
        frame = Frame(
            cv2.imread(str(work / "frames" / row["file"])),
            np.array(row["labels"], np.float32).reshape(-1, 5),
            unsure[unsure[:, 4] >= IGNORE_FROM_SCORE, :4],
            row["group"],
        )
        (held if row["fold"] == HELD_OUT_FOLD else train).append(frame)
    if {f.group for f in train} & {f.group for f in held}:
        raise SystemExit(
            f"{table}: a source video is in training and in the held-out part; fix the folds of clips.csv"
        )
    return train, held


def held_out_sets(held: Sequence[Frame], seed: int) -> dict[str, list[Picture]]:
    """Three fixed sets: whole frames, small people, small people at night."""
    small = Recipe(small_share=1.0, whole_share=0.0)
    night = Recipe(small_share=1.0, whole_share=0.0, dark_share=1.0, blur_share=0.5)
    whole = []
    for frame in list(held)[:: max(1, len(held) // HELD_OUT_PICTURES)]:
        canvas, scale = letterbox(frame.pixels)
        labels = frame.labels.copy()
        labels[:, 1:] *= scale
        whole.append(Picture(canvas, labels, frame.ignored * scale))
    drawn = {"small": (small, False), "night": (night, True)}
    made = {
        name: [
            compose(held, r, np.random.default_rng([seed, 7, n]), spoil=spoil)
            for n in range(HELD_OUT_PICTURES)
        ]
        for name, (r, spoil) in drawn.items()
    }
    return {"whole": whole, **made}


def people_in(raw: Floats) -> tuple[Floats, Floats]:
    """Boxes (N, 4) and scores (N,) of people after NMS, from one raw output (3549, 11)."""
    cells, strides = grid_cells()
    scores = raw[:, 4] * raw[:, 5 + PERSON]
    keep = (scores >= SCORE_FLOOR) & (raw[:, 5:].argmax(1) == PERSON)
    centre, size = (raw[keep, :2] + cells[keep]) * strides[keep], np.exp(raw[keep, 2:4]) * strides[keep]
    scores = scores[keep]
    boxes = np.concatenate([centre - size / 2, size], 1)
    picks = np.array(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), SCORE_FLOOR, NMS_IOU), int).reshape(-1)
    boxes[:, 2:] += boxes[:, :2]
    return boxes[picks], scores[picks]


def person_ap50(net: nn.Module, pictures: Sequence[Picture]) -> float:
    """Average precision (area under the interpolated curve) at IoU 0.5 against the teachers' labels."""
    hits, scores, total = [], [], 0
    for picture in pictures:
        raw = network.infer(net, picture.pixels.transpose(2, 0, 1)[None].astype(np.float32))[0]
        boxes, confidence = people_in(raw)
        truth = picture.labels[picture.labels[:, 0] == PERSON, 1:]
        total += len(truth)
        blank = np.concatenate([picture.ignored, picture.labels[picture.labels[:, 0] != PERSON, 1:]])
        free = np.ones(len(truth), bool)
        for box, score in zip(boxes, confidence, strict=True):
            overlap = _iou(box, truth) * free
            if len(truth) and overlap.max() >= MATCH_IOU:
                free[overlap.argmax()] = False
                hit = True
            elif len(blank) and (_shared(box, blank) >= MATCH_IOU * np.prod(box[2:] - box[:2])).any():
                continue
            else:
                hit = False
            hits.append(hit)
            scores.append(score)
    order = np.argsort(scores)[::-1]
    right = np.cumsum(np.array(hits)[order])
    precision = right / np.arange(1, len(order) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(np.concatenate([[0], right / total])) * envelope))


def _shared(box: Floats, others: Floats) -> Floats:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    return np.prod(np.maximum(high - low, 0), 1)


def _iou(box: Floats, others: Floats) -> Floats:
    shared = _shared(box, others)
    return shared / (np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], 1) - shared + 1e-6)


def check(net: nn.Module, sets: dict[str, list[Picture]]) -> dict[str, float]:
    """Person AP50 on each held-out set, their mean, and the alarms per picture."""
    figures = {name: person_ap50(net, pictures) for name, pictures in sets.items()}
    alarms = float(np.mean([alarms_in(net, picture) for pictures in sets.values() for picture in pictures]))
    return {**figures, "mean": float(np.mean(list(figures.values()))), "alarms": alarms}


def alarms_in(net: nn.Module, picture: Picture) -> int:
    """How many people are seen in one picture where no teacher saw anything, sure or unsure."""
    raw = network.infer(net, picture.pixels.transpose(2, 0, 1)[None].astype(np.float32))[0]
    boxes, scores = people_in(raw)
    known = np.concatenate([picture.ignored, picture.labels[:, 1:]])
    return sum(_shared(box, known).sum() == 0 for box in boxes[scores >= ALARM_SCORE])


def told(figures: dict[str, float]) -> str:
    """The figures of `check` as a line for people."""
    return "held out: " + "  ".join(f"{name} {ap:.4f}" for name, ap in figures.items())


def mix(base: nn.Module, tuned: nn.Module, share: float) -> nn.Module:
    """Base + share * (tuned - base), parameter by parameter."""
    out = copy.deepcopy(base)
    with torch.no_grad():
        for p, q in zip(out.parameters(), tuned.parameters(), strict=True):
            p.lerp_(q, share)
    return out


def tune(
    base: nn.Module, frames: Sequence[Frame], sets: dict[str, list[Picture]], settings: Settings, work: Path
) -> nn.Module:
    """Train a copy of the base; gives the average of weights that did best on the held-out sets."""
    net = copy.deepcopy(base)
    network.freeze(net)
    network.train_mode(net)
    loss = MaskedLoss()
    net.head.bcewithlog_loss = loss
    net.head.use_l1 = True
    average = copy.deepcopy(base)
    best, best_score = copy.deepcopy(base), -1.0
    optimiser = torch.optim.AdamW(
        [p for p in net.parameters() if p.requires_grad], settings.learning_rate, weight_decay=0.0
    )
    supply = Pictures(frames, Recipe(), settings.seed, settings.steps * settings.batch)
    loader = DataLoader(supply, settings.batch, num_workers=1, collate_fn=collate, prefetch_factor=4)
    started, shown = time.monotonic(), 0.0
    for step, (images, labels, weight) in enumerate(loader, 1):
        warm = min(1.0, step / settings.warm_up_steps)
        rate = settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss.weight = weight
        result = net(images, labels)
        optimiser.zero_grad()
        result["total_loss"].backward()
        nn.utils.clip_grad_norm_(net.parameters(), settings.largest_gradient)
        optimiser.step()
        with torch.no_grad():
            decay = min(settings.average_decay, step / (step + 10))
            for p, q in zip(average.parameters(), net.parameters(), strict=True):
                p.lerp_(q, 1 - decay)
        shown += float(result["total_loss"].detach())
        if step % 50 == 0:
            took = time.monotonic() - started
            left = took / step * (settings.steps - step)
            print(
                f"step {step}/{settings.steps}  loss {shown / 50:.3f}  {took:.0f} s, {left:.0f} s to go",
                flush=True,
            )
            shown = 0.0
        if step % settings.check_every == 0 or step == settings.stop_at:
            figures = check(average, sets)
            print(f"step {step}: {told(figures)}", flush=True)
            torch.save(average.state_dict(), work / f"average_{step}.pt")
            if figures["mean"] > best_score:
                best, best_score = copy.deepcopy(average), figures["mean"]
        if step == settings.stop_at:
            break
    return best


def main() -> None:
    """Tune, mix, export."""
    default = Settings()
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python models/train/tune.py --data ../shared/data --work /tmp/night-patrol-train "
        "--out models/night-patrol-nano.onnx",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("NIGHT_PATROL_TEST_DATA", "../shared/data")),
        help="folder with models/ (default: $NIGHT_PATROL_TEST_DATA, else ../shared/data)",
    )
    parser.add_argument("--work", type=Path, required=True, help="the folder label.py wrote to")
    parser.add_argument("--out", type=Path, required=True, help="ONNX file to write")
    parser.add_argument(
        "--steps", type=int, default=default.steps, help="optimiser steps (half an hour on two cores)"
    )
    parser.add_argument(
        "--share", type=float, help="how far to go from the base, 0 to 1 (default: chosen, see above)"
    )
    parser.add_argument("--stop-at", type=int, help="last step to take (default: --steps)")
    parser.add_argument("--threads", type=int, default=1, help="more only help on an idle machine")
    parser.add_argument("--seed", type=int, default=default.seed)
    args = parser.parse_args()
    settings = dataclasses.replace(
        default, steps=args.steps, stop_at=min(args.stop_at or args.steps, args.steps), seed=args.seed
    )

    warnings.filterwarnings("ignore", category=FutureWarning, module="yolox")
    torch.set_num_threads(args.threads)
    torch.manual_seed(settings.seed)
    train, held = read_frames(args.work)
    print(f"{len(train)} frames of {len({f.group for f in train})} videos to train on, "
          f"{len(held)} of {len({f.group for f in held})} held out, side {SIDE_PX} px")  # fmt: skip
    sets = held_out_sets(held, settings.seed)
    base = network.load_base(args.data / "models" / "yolox_nano_416_coco.onnx")
    before = check(base, sets)
    print(f"base: {told(before)}", flush=True)

    tuned = tune(base, train, sets, settings, args.work)
    tried = {share: check(mix(base, tuned, share), sets) for share in MIXTURES}
    for share, figures in tried.items():
        print(f"{share:.0%} of the way from the base: {told(figures)}", flush=True)
    fit = {
        s: f["mean"]
        for s, f in tried.items()
        if f["whole"] >= before["whole"] - WHOLE_MAY_LOSE
        and f["alarms"] <= before["alarms"] + ALARMS_MAY_GAIN
    }
    chosen = max(fit, key=lambda s: fit[s]) if fit else min(MIXTURES)
    print(f"of these {chosen:.0%} is the best that keeps whole frames and alarms as they were")
    share = chosen if args.share is None else args.share
    digest = network.export(mix(base, tuned, share), args.out)
    print(f"{args.out}: {share:.0%} of the way, {args.out.stat().st_size / 1e6:.2f} MB, sha256 {digest}")


if __name__ == "__main__":
    main()
