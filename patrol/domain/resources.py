"""Where the files that ship with the package lie: models and flight plans."""

from pathlib import Path

from patrol.domain.errors import NightPatrolError

_PACKAGED = Path(__file__).resolve().parent.parent / "_data"
_CHECKOUT = Path(__file__).resolve().parent.parent.parent


def data_path(name: str) -> Path:
    """Return the path of a shipped file or folder, for example `data_path("flightplans")`.

    A wheel holds them beside the code; a source checkout has them at its top.

    Raises:
        NightPatrolError: the installation holds no such file.
    """
    for root in (_PACKAGED, _CHECKOUT):
        if (root / name).exists():
            return root / name
    raise NightPatrolError(f"{name}: this installation of night-patrol lacks it; install the package again")
