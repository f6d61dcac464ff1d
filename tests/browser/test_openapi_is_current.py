"""The pages are compiled against web/openapi.json: it must be what the station says of itself."""

import json
from pathlib import Path

from api.app import create_app
from api.settings import StationSettings

CHECKED_IN = Path(__file__).resolve().parent.parent.parent / "web" / "openapi.json"


def test_openapi_json_is_current(tmp_path: Path) -> None:
    told = create_app(StationSettings(data_dir=tmp_path)).openapi()
    assert json.loads(CHECKED_IN.read_text(encoding="utf-8")) == told, (
        "web/openapi.json is old; run `python -m api.openapi > web/openapi.json`"
    )
