"""What goes over the wire about a picture that was kept."""

from typing import Literal

from api.wire import Sha256, StrictModel


class StoredEvidence(StrictModel):
    """The station has this picture."""

    sha256: Sha256
    media_type: Literal["image/jpeg"]
    size_bytes: int
