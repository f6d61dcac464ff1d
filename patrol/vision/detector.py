"""Finds people and vehicles in a picture: one run of an ONNX model over all tiles of it."""

from collections.abc import Sequence

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from patrol.domain.detections import Detections
from patrol.vision.registry import Manifest, ModelError, verify
from patrol.vision.tiles import Tile, cut_by_border, merge

LETTERBOX_GREY = 114
"""Fills what a tile leaves free; YOLOX was trained with it."""

DEFAULT_SCORE_THRESHOLD = 0.3
DEFAULT_NMS_IOU = 0.65
"""That of YOLOX's own evaluation. A lower one spares the tracker doubles, and with them changes of ids, but
drops people who stand close behind one another: just those of a gathering."""

MOST_CANDIDATES = 2000
"""Boxes that enter suppression: more than a crowd gives; bounds memory when a threshold is set to nothing."""

_BOX_FIELDS = 5  # centre x, centre y, log width, log height, objectness
_WARNINGS_OFF = 3


class Detector:
    """A loaded model.

    The file is checked against its manifest, the execution provider against what was asked for, and the
    network's shape against both, so that a wrong set-up fails here and not in flight. One picture is run for
    warming up.

    Args:
        manifest: of the model to load.
        providers: onnxruntime execution providers, best first; the first must be the one that runs.
        threads: of the processor; None lets onnxruntime decide.
        score_threshold: boxes under it are not returned, 0..1.
        nms_iou: boxes of one class with a larger IoU show the same object, 0..1.

    Raises:
        ModelError: one of the checks failed; the message says which and what to do.
    """

    def __init__(
        self,
        manifest: Manifest,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        *,
        threads: int | None = None,
        score_threshold: float = DEFAULT_SCORE_THRESHOLD,
        nms_iou: float = DEFAULT_NMS_IOU,
    ) -> None:
        for name, value in (("score_threshold", score_threshold), ("nms_iou", nms_iou)):
            if not 0 <= value <= 1:
                raise ModelError(f"{name} is {value}; give a number from 0 to 1")
        verify(manifest)
        self.manifest = manifest
        self.score_threshold = score_threshold
        self.nms_iou = nms_iou
        self._session = _open(manifest, tuple(providers), threads)
        self._batch = _check_input(self._session, manifest)
        self._cells, self._strides = _grid(manifest)
        warm_up = np.zeros((1, 3, manifest.input.height_px, manifest.input.width_px), np.float32)
        _check_output(self.run(warm_up), len(self._cells), manifest)

    @property
    def provider(self) -> str:
        """The execution provider that runs the model."""
        return str(self._session.get_providers()[0])

    def detect(self, image: NDArray[np.uint8], tiles: Sequence[Tile] = ()) -> Detections:
        """Find objects in one picture.

        Args:
            image: (H, W, 3) uint8, BGR.
            tiles: parts of the picture to look at (see `plan_tiles`); none means the whole picture.

        Returns:
            Boxes in pixels of the whole picture, best first, after suppression over all tiles.

        Raises:
            ModelError: the picture has another shape or type, or a tile lies outside it.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise ModelError(
                f"picture of shape {image.shape} and type {image.dtype}; give (H, W, 3) uint8, BGR"
            )
        height, width = image.shape[:2]
        parts = tuple(tiles) or (Tile(0, 0, width, height),)
        batch, scales = self.prepare(image, parts)
        boxes, scores, class_ids, tile_ids = self._decode(self.run(batch), parts, scales)
        cut = cut_by_border(boxes, tile_ids, parts, width, height)
        boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
        keep = merge(boxes, scores, class_ids, tile_ids, cut, self.nms_iou)
        return Detections(boxes[keep], scores[keep], class_ids[keep], self.manifest.classes)

    def prepare(
        self, image: NDArray[np.uint8], tiles: tuple[Tile, ...]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Make the network's input of a picture.

        Args:
            image: (H, W, 3) uint8, BGR.
            tiles: parts of it, T of them.

        Returns:
            The tiles scaled into the top left of the input, (T, 3, h, w) float32, and their scales (T,).
        """
        wanted = self.manifest.input
        batch = np.full((len(tiles), wanted.height_px, wanted.width_px, 3), LETTERBOX_GREY, np.uint8)
        scales = np.empty(len(tiles), np.float32)
        for n, tile in enumerate(tiles):
            part = image[tile.y_px : tile.y_px + tile.height_px, tile.x_px : tile.x_px + tile.width_px]
            if part.shape[:2] != (tile.height_px, tile.width_px):
                raise ModelError(
                    f"{tile} lies outside the picture of {image.shape[1]}x{image.shape[0]} px; "
                    "plan the tiles for it"
                )
            scale = min(wanted.width_px / tile.width_px, wanted.height_px / tile.height_px)
            size = (max(1, round(tile.width_px * scale)), max(1, round(tile.height_px * scale)))
            batch[n, : size[1], : size[0]] = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
            scales[n] = scale
        if wanted.colour == "RGB":
            batch = batch[..., ::-1]
        low, high = wanted.range
        values = batch.transpose(0, 3, 1, 2).astype(np.float32)
        if wanted.range != (0.0, 255.0):
            values = values * np.float32((high - low) / 255) + np.float32(low)
        return np.ascontiguousarray(values, np.float32), scales

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raw output (T, A, 5 + classes); a file of fixed batch size gets such portions."""
        name, size = self.manifest.input.name, self._batch or len(batch)
        portions = [
            self._session.run(None, {name: batch[n : n + size]})[0] for n in range(0, len(batch), size)
        ]
        return np.asarray(np.concatenate(portions), np.float32)

    def _decode(
        self, raw: NDArray[np.float32], tiles: tuple[Tile, ...], scales: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32], NDArray[np.intp]]:
        """Boxes (N, 4) in picture pixels, scores, classes and tiles of all candidates over the threshold."""
        chance = raw[..., 4:5] * raw[..., _BOX_FIELDS:]
        best = chance.max(axis=-1)
        tile_ids, anchors = np.nonzero(best >= self.score_threshold)
        scores = best[tile_ids, anchors]
        if len(scores) > MOST_CANDIDATES:
            strongest = np.argpartition(-scores, MOST_CANDIDATES)[:MOST_CANDIDATES]
            tile_ids, anchors, scores = tile_ids[strongest], anchors[strongest], scores[strongest]
        class_ids = chance[tile_ids, anchors].argmax(axis=-1).astype(np.int32)
        field, stride = raw[tile_ids, anchors, :4], self._strides[anchors]
        centre, half = (field[:, :2] + self._cells[anchors]) * stride, np.exp(field[:, 2:]) * stride / 2
        corner = np.array([(t.x_px, t.y_px, t.x_px, t.y_px) for t in tiles], np.float32)
        boxes = (
            np.concatenate([centre - half, centre + half], axis=1) / scales[tile_ids, None] + corner[tile_ids]
        )
        return boxes.astype(np.float32), scores, class_ids, tile_ids


def _open(manifest: Manifest, providers: tuple[str, ...], threads: int | None) -> ort.InferenceSession:
    offered = ort.get_available_providers()
    missing = [name for name in providers if name not in offered]
    if missing or not providers:
        raise ModelError(
            f"{manifest.name}: execution provider {', '.join(missing) or '(none)'} was asked for, "
            f"this onnxruntime offers {', '.join(offered)}; "
            "install the package that brings it, or ask for one of those"
        )
    options = ort.SessionOptions()
    options.log_severity_level = _WARNINGS_OFF
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = ort.InferenceSession(str(manifest.model_path), options, providers=list(providers))
    except Exception as fault:  # onnxruntime's own exceptions have no public base class
        reason = " ".join(str(fault).split())
        raise ModelError(
            f"{manifest.model_path}: onnxruntime cannot load it ({reason}); fetch the file again"
        ) from fault
    session.disable_fallback()
    running = session.get_providers()[0]
    if running != providers[0]:
        raise ModelError(
            f"{manifest.name}: execution provider {providers[0]} was asked for but {running} would run; "
            "check the driver and libraries it needs, or ask for the other one"
        )
    return session


def _check_input(session: ort.InferenceSession, manifest: Manifest) -> int | None:
    """Compare the network's input with the manifest; gives the fixed batch size, or None when it is free."""
    wanted = manifest.input
    inputs = {given.name: given.shape for given in session.get_inputs()}
    shape = inputs.get(wanted.name)
    if shape is None or list(shape[1:]) != [3, wanted.height_px, wanted.width_px]:
        raise ModelError(
            f"{manifest.model_path}: inputs are {inputs}, the manifest says {wanted.name} "
            f"[N, 3, {wanted.height_px}, {wanted.width_px}]; mend the manifest or take the right file"
        )
    return shape[0] if isinstance(shape[0], int) else None


def _check_output(raw: NDArray[np.float32], cells: int, manifest: Manifest) -> None:
    """Compare what the network gave with what its family and classes make it give."""
    fields = _BOX_FIELDS + len(manifest.classes)
    if raw.shape[1:] != (cells, fields):
        raise ModelError(
            f"{manifest.model_path}: output is {list(raw.shape[1:])}, {manifest.family} with "
            f"{len(manifest.classes)} classes gives [{cells}, {fields}]; "
            "mend the manifest or take the right file"
        )


def _grid(manifest: Manifest) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cells (A, 2) and strides (A, 1) of all levels, in the order of the output's rows."""
    cells, strides = [], []
    for stride in manifest.strides:
        ys, xs = np.mgrid[: manifest.input.height_px // stride, : manifest.input.width_px // stride]
        cells.append(np.stack([xs, ys], axis=-1).reshape(-1, 2))
        strides.append(np.full((xs.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)
