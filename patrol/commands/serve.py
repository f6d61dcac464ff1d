"""`patrol serve`: the station."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from api.server import run
from api.settings import read_settings

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Example: `patrol serve --data /var/lib/night-patrol --market flightplans/a.market.geojson`"
)
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.  [default: 8400]")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the database and the evidence.", show_default="per user")
    ] = None,
    market: Annotated[Path | None, typer.Option(help="Market map to show, a .market.geojson file.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="TLS certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key of the TLS certificate, PEM.")] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log every request.")] = False,
) -> None:
    """Run the station: alerts in from the edge, out to consoles and terminals.

    Every option can also come from the environment, as NIGHT_PATROL_STATION_HOST, _PORT, _DATA_DIR, _MARKET,
    _TLS_CERTIFICATE and _TLS_KEY.
    """
    settings = read_settings(
        host=host, port=port, data_dir=data, market=market, tls_certificate=tls_cert, tls_key=tls_key
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Alembic tells at every start which plugins it has.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    run(settings, access_log=access_log)
