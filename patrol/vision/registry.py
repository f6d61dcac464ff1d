"""Which models there are, and whether a file is the one its manifest names. Nothing unknown is loaded."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from patrol.domain.errors import NightPatrolError
from patrol.domain.resources import data_path

MANIFEST_SUFFIX = ".yaml"
_READ_BYTES = 1 << 20
_SHOWN_DIGITS = 12

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ModelError(NightPatrolError):
    """A model file or its manifest does not fit, or cannot run as asked."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(_Strict):
    """What the network wants to be fed: one picture of `height_px` x `width_px`, values within `range`."""

    name: str
    width_px: int = Field(gt=0)
    height_px: int = Field(gt=0)
    layout: Literal["NCHW"]
    colour: Literal["BGR", "RGB"]
    range: tuple[float, float]


class Base(_Strict):
    """The model that this one was tuned from."""

    name: str
    sha256: Sha256
    licence: str


class Manifest(_Strict):
    """A model as its YAML file describes it. Unknown keys are refused: a typing error must not go unseen."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    file: str
    sha256: Sha256
    family: Literal["yolox"]
    input: Input
    strides: tuple[int, ...] = Field(min_length=1)
    classes: tuple[str, ...] = Field(min_length=1)
    person_classes: tuple[str, ...] = Field(min_length=1)
    licence: str
    base: Base | None = None
    card: str | None = None
    metrics: dict[str, float] = Field(default_factory=dict)

    _model_path: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _fits_together(self) -> "Manifest":
        strangers = set(self.person_classes) - set(self.classes)
        if strangers:
            raise ValueError(
                f"person_classes names {', '.join(sorted(strangers))}, which classes does not have"
            )
        for side in (self.input.width_px, self.input.height_px):
            if any(side % stride for stride in self.strides):
                raise ValueError(f"an input side of {side} px is no multiple of all strides {self.strides}")
        return self

    @property
    def model_path(self) -> Path:
        """The ONNX file itself."""
        return self._model_path

    @property
    def person_class_ids(self) -> tuple[int, ...]:
        """Places of the person classes among `classes`."""
        return tuple(self.classes.index(name) for name in self.person_classes)


def models_folder() -> Path:
    """The folder of the models that ship with the product."""
    return data_path("models")


def list_manifests(folder: Path | None = None) -> list[Manifest]:
    """All manifests of a folder (default: the shipped models), by name.

    Raises:
        ModelError: the folder is missing, or a manifest in it cannot be read.
    """
    folder = folder or models_folder()
    if not folder.is_dir():
        raise ModelError(
            f"{folder}: no such folder; give one that holds model manifests (*{MANIFEST_SUFFIX})"
        )
    return sorted((load_manifest(path) for path in folder.glob(f"*{MANIFEST_SUFFIX}")), key=lambda m: m.name)


def load_manifest(
    name_or_path: str | Path, *, folder: Path | None = None, search: Sequence[Path] = ()
) -> Manifest:
    """Read one manifest; the model file itself is not opened (see `verify`).

    Args:
        name_or_path: a name in `folder`, for example `night-patrol-nano`, or the path of a manifest file.
        folder: where names are looked up; default: the shipped models.
        search: folders in which the ONNX file is looked for when it does not lie beside the manifest.

    Raises:
        ModelError: there is no such manifest, or it does not say what it must.
    """
    path = Path(name_or_path)
    if path.suffix == ".onnx":
        raise ModelError(
            f"{path}: this is a model file; give its manifest, a {MANIFEST_SUFFIX} file that names it"
        )
    if path.suffix != MANIFEST_SUFFIX:
        path = (folder or models_folder()) / f"{name_or_path}{MANIFEST_SUFFIX}"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as fault:
        known = ", ".join(sorted(p.stem for p in path.parent.glob(f"*{MANIFEST_SUFFIX}"))) or "none"
        raise ModelError(f"{path}: no manifest can be read there; the models known there: {known}") from fault
    except yaml.YAMLError as fault:
        raise ModelError(
            f"{path}: is no valid YAML ({' '.join(str(fault).split())}); mend the file"
        ) from fault
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as fault:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'manifest'}: {e['msg']}" for e in fault.errors())
        raise ModelError(f"{path}: {wrong}; mend the manifest") from fault
    places = [root / manifest.file for root in (path.parent, *search)]
    manifest._model_path = next((place for place in places if place.is_file()), places[0])
    return manifest


def sha256_of(path: Path) -> str:
    """The sha256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def verify(manifest: Manifest) -> None:
    """Check that the model file is the one that the manifest names.

    Raises:
        ModelError: the file is missing, or its sha256 differs.
    """
    path = manifest.model_path
    if not path.is_file():
        raise ModelError(
            f"{path}: the model file of {manifest.name} is missing; put it there or install the package again"
        )
    found = sha256_of(path)
    if found != manifest.sha256:
        raise ModelError(
            f"{path}: sha256 is {found[:_SHOWN_DIGITS]}..., "
            f"the manifest says {manifest.sha256[:_SHOWN_DIGITS]}...; "
            "fetch the file again or run `patrol models verify`"
        )
