"""The flight modes that a patrol meets, with ArduCopter's numbers."""

from enum import IntEnum


class Mode(IntEnum):
    """A flight mode (HEARTBEAT.custom_mode)."""

    STABILIZE = 0
    ALT_HOLD = 2
    AUTO = 3
    GUIDED = 4
    LOITER = 5
    RTL = 6
    LAND = 9
    BRAKE = 17


BY_HAND = (Mode.STABILIZE, Mode.ALT_HOLD, Mode.LOITER)
WITHOUT_POSITION = (Mode.STABILIZE, Mode.ALT_HOLD, Mode.LAND)
ARMABLE = (Mode.STABILIZE, Mode.ALT_HOLD, Mode.LOITER, Mode.GUIDED)
