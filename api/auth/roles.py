"""The three parts that a user can play."""

from enum import StrEnum


class Role(StrEnum):
    """What a user is to the station."""

    OPERATOR = "operator"
    OFFICER = "officer"
    EDGE = "edge"
