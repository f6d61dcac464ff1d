"""What can be known to be wrong before anything is started."""

from patrol.domain.errors import UsageError
from patrol.edge.settings import EdgeSettings
from patrol.geo.camera import read_camera
from patrol.plan.checks import check_plan
from patrol.plan.market import read_market
from patrol.plan.qgc import read_plan
from patrol.uplink.station import token_source
from patrol.vision.registry import load_manifest, verify


def check_before_start(settings: EdgeSettings) -> None:
    """Read every file of a sortie and check the plan against its market.

    Raises:
        NightPatrolError: a file cannot be used, the model is not the one its manifest names, the token cannot
            be read, or the plan must not be flown; the sentences say which and what to do.
    """
    market = read_market(settings.market)
    read_camera(settings.camera_model)
    faults = [
        found.sentence for found in check_plan(read_plan(settings.plan), market) if found.level == "error"
    ]
    if faults:
        raise UsageError("; ".join(faults))
    verify(load_manifest(settings.eyes.model))
    if settings.station is not None:
        token_source(settings.token_file)
