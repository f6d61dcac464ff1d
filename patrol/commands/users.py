"""`patrol users`: who may use the station."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from api import bootstrap
from api.auth import service
from api.auth.models import UserRecord
from api.auth.roles import Role
from api.settings import read_settings
from api.station import utc_now
from patrol.domain.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Add, list and remove users of the station, and give edges their tokens.",
)

Data = Annotated[
    Path | None,
    typer.Option(
        help="The station's data folder.", show_default="per user, or NIGHT_PATROL_STATION_DATA_DIR"
    ),
]


@app.command(
    epilog="Examples: `patrol users add li.wei --role officer --name 李伟`, "
    "`patrol users add edge-1 --role edge --token-only`"
)
def add(
    username: Annotated[str, typer.Argument(help="Name to sign in with.")],
    role: Annotated[Role, typer.Option(help="What the user is to the station.")],
    name: Annotated[str, typer.Option(help="How people call the user.")] = "",
    token_only: Annotated[bool, typer.Option("--token-only", help="No password: for edges.")] = False,
    data: Data = None,
) -> None:
    """Add a user. The password is asked for, or read from standard input when that is no terminal."""
    password = None if token_only else _read_password()

    async def work(session: AsyncSession) -> None:
        await service.add_user(
            session, username=username, role=role, password=password, name=name, now=utc_now()
        )

    bootstrap.on_database(read_settings(data_dir=data), work)
    typer.echo(f"{service.normalise_username(username)} is now a user with the role {role}.")


@app.command(name="list", epilog="Example: `patrol users list --data /var/lib/night-patrol`")
def list_(data: Data = None) -> None:
    """Show all users."""

    async def work(session: AsyncSession) -> list[UserRecord]:
        return await service.list_users(session)

    users = bootstrap.on_database(read_settings(data_dir=data), work)
    table = Table("user", "role", "name", "password", "added (UTC)")
    for user in users:
        password = "no" if user.password_hash is None else "yes"
        table.add_row(user.username, user.role, user.name, password, f"{user.created_at:%Y-%m-%d %H:%M}")
    Console().print(table)


@app.command(epilog="Example: `patrol users remove li.wei`")
def remove(username: Annotated[str, typer.Argument(help="Name of the user.")], data: Data = None) -> None:
    """Remove a user: every login and token stops working at once."""

    async def work(session: AsyncSession) -> None:
        await service.remove_user(session, username)

    bootstrap.on_database(read_settings(data_dir=data), work)
    typer.echo(f"{service.normalise_username(username)} is removed.")


@app.command(epilog="Example: `patrol users token edge-1 --out edge-1.token`")
def token(
    username: Annotated[str, typer.Argument(help="Name of the user, mostly an edge.")],
    out: Annotated[Path, typer.Option(help="New file for the token; only you can read it.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long the token works.")] = 365,
    data: Data = None,
) -> None:
    """Write a bearer token for a program to a file."""

    async def work(session: AsyncSession) -> None:
        secret = await bootstrap.issue_token(session, username, timedelta(days=days))
        # Inside the transaction: a token that could not be written must not exist.
        bootstrap.write_token(out, secret)

    bootstrap.on_database(read_settings(data_dir=data), work)
    typer.echo(f"{out} holds a token of {username} that works for {days} days.")


def _read_password() -> str:
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\n")
        if not password:
            raise UsageError("standard input holds no password; write it there as one line")
        return password
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
