"""The network: YOLOX nano with six classes, weights taken from the base and written back to ONNX.

The base comes with batch norm folded into its convolutions. Tuning needs weights of like size in all
channels, or Adam's steps shake the small ones and leave the large ones: so every folded channel is split
again into a normalised filter and a frozen scale. The function of the network does not change by that.
"""

from __future__ import annotations

import hashlib
import math
import sys
import types
from pathlib import Path

import numpy as np
from teachers import CLASSES, COCO_INDEX, SIDE_PX

try:
    import onnx
    import onnx.numpy_helper
    import torch
    from torch import nn
except ImportError as missing:
    raise SystemExit(
        f"PyTorch or onnx is not installed ({missing}); the recipe needs them, the product does not: "
        "pip install -r models/train/requirements.txt, "
        "then pip install --no-deps -r models/train/requirements-no-deps.txt"
    ) from missing

# yolox imports torchvision for its NMS alone, which tuning never calls; a stand-in spares a package of GPU
# binaries.
sys.modules.setdefault("torchvision", types.ModuleType("torchvision"))
try:
    from yolox.models import YoloPafpn, YoloxHead, YoloxModule
except ImportError as missing:
    raise SystemExit(
        f"pixeltable-yolox does not load ({missing}): "
        "pip install --no-deps -r models/train/requirements-no-deps.txt"
    ) from missing

# YOLOX nano, as its authors define it.
DEPTH, WIDTH = 0.33, 0.25
CONVOLUTIONS = 113
OPSET = 17


def build() -> YoloxModule:
    """YOLOX nano for our classes, weights not yet set."""
    body = YoloPafpn(DEPTH, WIDTH, depthwise=True)
    net = YoloxModule(body, YoloxHead(len(CLASSES), WIDTH, depthwise=True))
    net.eval()
    return net


def _convolutions(net: YoloxModule) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """Convolutions in the order in which they run, each with the batch norm behind it."""
    order: list[nn.Conv2d] = []
    hooks = [
        m.register_forward_hook(lambda m, *_: order.append(m))
        for m in net.modules()
        if isinstance(m, nn.Conv2d)
    ]
    with torch.no_grad():
        net(torch.zeros(1, 3, SIDE_PX, SIDE_PX))
    for hook in hooks:
        hook.remove()
    norms = {m.conv: m.bn for m in net.modules() if hasattr(m, "conv") and hasattr(m, "bn")}
    return [(conv, norms.get(conv)) for conv in order]


def load_base(path: Path) -> YoloxModule:
    """The network with the base's weights; of its 80 class outputs only our six are kept."""
    graph = onnx.load(path).graph
    stored = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    folded = [(stored[n.input[1]], stored[n.input[2]]) for n in graph.node if n.op_type == "Conv"]
    net = build()
    places = _convolutions(net)
    if not len(folded) == len(places) == CONVOLUTIONS:
        raise SystemExit(
            f"{path}: {len(folded)} convolutions, YOLOX nano has {len(places)}; take the file the card names"
        )
    class_layers = list(net.head.cls_preds)
    for (conv, norm), stored_pair in zip(places, folded, strict=True):
        weight, bias = (w[COCO_INDEX] if conv in class_layers else w for w in stored_pair)
        if tuple(conv.weight.shape) != weight.shape:
            raise SystemExit(
                f"{path}: a convolution is {weight.shape}, YOLOX nano has {tuple(conv.weight.shape)}"
            )
        _set(conv, norm, torch.tensor(weight), torch.tensor(bias))
    for p in net.parameters():
        p.grad = None
    return net


@torch.no_grad()
def _set(conv: nn.Conv2d, norm: nn.BatchNorm2d | None, weight: torch.Tensor, bias: torch.Tensor) -> None:
    if norm is None:
        conv.weight.copy_(weight)
        conv.bias.copy_(bias)
        return
    fan_in = weight[0].numel()
    rms = weight.flatten(1).square().mean(1).sqrt().clamp(min=1e-6)
    scale = rms * math.sqrt(fan_in)
    conv.weight.copy_(weight / scale.view(-1, 1, 1, 1))
    norm.weight.fill_(1.0)
    norm.bias.copy_(bias)
    norm.running_mean.zero_()
    # The frozen variance carries the scale: 1 / sqrt(var + eps) = scale.
    norm.eps = 0.0
    norm.running_var.copy_(scale.square().reciprocal())


def freeze(net: YoloxModule) -> None:
    """The backbone stays the base's: it saw all of COCO, the labels here show a few dozen rooms and streets.

    Tuned as a whole, the network learns to see people in textures that those rooms do not have.
    """
    for p in net.backbone.backbone.parameters():
        p.requires_grad_(False)


def train_mode(net: YoloxModule) -> None:
    """Training outputs (losses), with batch norm left as it is."""
    net.train()
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.eval()


def export(net: YoloxModule, path: Path) -> str:
    """Write ONNX with a free batch size, batch norm folded in again; gives the sha256."""
    net.eval()
    net.head.decode_in_inference = False
    torch.onnx.export(
        net,
        (torch.zeros(1, 3, SIDE_PX, SIDE_PX),),
        str(path),
        input_names=["images"],
        output_names=["output"],
        dynamic_axes={"images": {0: "batch"}, "output": {0: "batch"}},
        opset_version=OPSET,
        do_constant_folding=True,
        dynamo=False,
    )
    _name_output_shape(net, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _name_output_shape(net: YoloxModule, path: Path) -> None:
    """Give the output's sizes as numbers; the exporter leaves names there that tell a reader nothing."""
    model = onnx.load(path)
    sizes = net(torch.zeros(1, 3, SIDE_PX, SIDE_PX)).shape
    for place, size in zip(model.graph.output[0].type.tensor_type.shape.dim[1:], sizes[1:], strict=True):
        place.Clear()
        place.dim_value = size
    onnx.checker.check_model(model)
    onnx.save(model, path)


def infer(net: YoloxModule, images: np.ndarray) -> np.ndarray:
    """Raw output (N, 3549, 11) of images (N, 3, 416, 416) float32, as the exported file gives it."""
    training = net.training
    net.eval()
    net.head.decode_in_inference = False
    with torch.no_grad():
        out = net(torch.from_numpy(images)).numpy()
    if training:
        train_mode(net)
    return out
