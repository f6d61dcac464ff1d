"""Writes the description of the HTTP API, for generating clients: `python -m api.openapi > openapi.json`."""

import json
import sys
from pathlib import Path

from api.app import create_app
from api.settings import StationSettings


def main() -> None:
    """Write the description to standard output."""
    # The description does not depend on the settings, and nothing is opened.
    app = create_app(StationSettings(data_dir=Path()))
    json.dump(app.openapi(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
