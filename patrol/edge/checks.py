"""What can be known to be wrong before anything is started."""

from patrol.domain.errors import UsageError
from patrol.edge.settings import EdgeSettings
from patrol.flight.transport import check_url
from patrol.geo.camera import read_camera
from patrol.plan.checks import check_plan
from patrol.plan.market import read_market
from patrol.plan.qgc import read_plan
from patrol.uplink.station import StationClient, token_source
from patrol.video.opening import parse_address
from patrol.vision.registry import load_manifest, verify


def check_before_start(settings: EdgeSettings) -> None:
    """Read every file of a sortie, check its plan against its market, and the form of each address.

    Raises:
        NightPatrolError: a file or an address cannot be used, the model is not the one its manifest names, or
            the plan must not be flown; the sentences say which and what to do.
    """
    market = read_market(settings.market)
    read_camera(settings.camera_model)
    faults = [
        found.sentence for found in check_plan(read_plan(settings.plan), market) if found.level == "error"
    ]
    if faults:
        raise UsageError("; ".join(faults))
    verify(load_manifest(settings.eyes.model))
    parse_address(settings.camera)
    check_url(settings.link)
    if settings.station is not None:
        StationClient(settings.station, token_source(settings.token_file)).close()
