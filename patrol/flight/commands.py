"""Commands and their answers (https://mavlink.io/en/services/command.html)."""

import math
from dataclasses import dataclass

from patrol.flight.wire import Message, mavlink

_PARAMETERS = 7
_DEGREES_TO_WIRE = 1e7

_RESULT_WORDS = {
    mavlink.MAV_RESULT_ACCEPTED: "accepted",
    mavlink.MAV_RESULT_TEMPORARILY_REJECTED: "refused for now",
    mavlink.MAV_RESULT_DENIED: "refused",
    mavlink.MAV_RESULT_UNSUPPORTED: "not known to this autopilot",
    mavlink.MAV_RESULT_FAILED: "failed",
    mavlink.MAV_RESULT_COMMAND_LONG_ONLY: "to be asked by COMMAND_LONG",
    mavlink.MAV_RESULT_COMMAND_INT_ONLY: "to be asked by COMMAND_INT",
}


@dataclass(frozen=True)
class Command:
    """A MAV_CMD. `wording` completes the sentence "the vehicle was asked to ...".

    Parameters that are not given are 0. With a `frame` it travels as COMMAND_INT, and parameters 5 and 6 are
    latitude and longitude in degrees; else as COMMAND_LONG.
    """

    number: int
    params: tuple[float, ...]
    wording: str
    frame: int | None = None

    def message(self, target: tuple[int, int], attempt: int) -> Message:
        """The message that asks for it; `attempt` counts from 0."""
        params = (*self.params, *(0.0,) * (_PARAMETERS - len(self.params)))
        if self.frame is None:
            return mavlink.MAVLink_command_long_message(*target, self.number, min(attempt, 255), *params)
        lat_deg, lon_deg, height_m = params[4:]
        return mavlink.MAVLink_command_int_message(
            *target,
            self.frame,
            self.number,
            0,
            0,
            *params[:4],
            _wire_degrees(lat_deg),
            _wire_degrees(lon_deg),
            height_m,
        )


def _wire_degrees(angle_deg: float) -> int:
    return round(angle_deg * _DEGREES_TO_WIRE) if math.isfinite(angle_deg) else 0


@dataclass(frozen=True)
class CommandResult:
    """The vehicle's last word on a command: a MAV_RESULT, or None when it did not answer."""

    command: Command
    result: int | None

    @property
    def accepted(self) -> bool:
        """The vehicle says that it does it."""
        return bool(self.result == mavlink.MAV_RESULT_ACCEPTED)

    @property
    def sentence(self) -> str:
        """What became of it, for people."""
        if self.result is None:
            return f"the vehicle was asked to {self.command.wording} and did not answer"
        words = _RESULT_WORDS.get(self.result, f"answered with result {self.result}")
        return f"the vehicle was asked to {self.command.wording}: {words}"


def is_answer(acknowledgement: Message, command: Command, own_system: int, own_component: int) -> bool:
    """True when a COMMAND_ACK answers our `command` and not another station's.

    The target fields are extensions: 0 where the vehicle does not fill them.
    """
    return (
        acknowledgement.command == command.number
        and acknowledgement.target_system in (0, own_system)
        and acknowledgement.target_component in (0, own_component)
    )
