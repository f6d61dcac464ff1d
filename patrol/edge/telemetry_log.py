"""What the aircraft said during a sortie, kept as received: one JSON object a line, told apart by `kind`."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from pydantic import ConfigDict, TypeAdapter, ValidationError

from patrol.domain.errors import UsageError
from patrol.domain.telemetry import AttitudeSample, ClockSample, GimbalSample, LensSample, PositionSample
from patrol.geo.documents import first_fault

_LOG = logging.getLogger(__name__)

TELEMETRY_FILE = "telemetry.jsonl"
"""Its name in the folder of a sortie."""

Sample = PositionSample | AttitudeSample | GimbalSample | LensSample | ClockSample

_KINDS: dict[type[Sample], str] = {
    PositionSample: "position",
    AttitudeSample: "attitude",
    GimbalSample: "gimbal",
    LensSample: "lens",
    ClockSample: "clock",
}
_ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for kind, name in _KINDS.items()}
_LINE = TypeAdapter(dict[str, Any], config=ConfigDict(ser_json_inf_nan="constants"))


class TelemetryLog:
    """Appends samples to a file; use it as a context manager.

    What a full disk does not take is lost: telemetry must go on.
    """

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", encoding="utf-8")
        self._lost = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    def write(self, sample: Sample) -> None:
        """Append one sample."""
        kind = _KINDS[type(sample)]
        fields = _ADAPTERS[kind].dump_python(sample)
        try:
            self._file.write(_LINE.dump_json({"kind": kind, **fields}).decode() + "\n")
        except OSError as error:
            if not self._lost:
                _LOG.warning("%s: telemetry is not recorded any more: %s", self._file.name, error.strerror)
            self._lost = True


def read_telemetry(path: Path) -> Iterator[Sample]:
    """Yield the samples of a file in the order in which they were received.

    A last line that was cut off, as a killed process leaves it, is passed over.

    Raises:
        UsageError: the file cannot be read, or a line is not a sample; the sentence names it.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    yield _sample(line, f"{path}, line {number}")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the name") from error


def _sample(line: bytes, where: str) -> Sample:
    try:
        fields = _LINE.validate_json(line)
        kind = fields.pop("kind", None)
        adapter = _ADAPTERS.get(str(kind))
        if adapter is None:
            raise UsageError(f"{where}: kind {kind!r} is not known; known are {', '.join(_ADAPTERS)}")
        sample: Sample = adapter.validate_python(fields)
    except ValidationError as error:
        raise UsageError(f"{where}: {first_fault(error)}; is this a {TELEMETRY_FILE} of a sortie?") from error
    return sample
