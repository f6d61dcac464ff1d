"""Writes camera files, as `patrol.geo.camera.read_camera` reads them."""

import os
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import TypeAdapter

from patrol.geo.camera import CameraModel


def write_camera(path: Path, camera: CameraModel, comments: Sequence[str] = ()) -> None:
    """Write a camera as YAML below lines of comment. Whoever reads meanwhile finds the old file or the new.

    Raises:
        OSError: the file cannot be written.
    """
    fields = TypeAdapter(CameraModel).dump_python(camera, mode="json")
    if not camera.zoom_steps:
        del fields["zoom_steps"]
    text = "".join(f"# {line}".rstrip() + "\n" for line in "\n".join(comments).splitlines())
    text += yaml.safe_dump(fields, sort_keys=False, default_flow_style=None, width=100)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
