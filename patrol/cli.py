"""The `patrol` command. Each command lives in its own file of patrol/commands."""

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from patrol import __version__
from patrol.domain.errors import NightPatrolError

# name -> module that holds it, imported only when the command is used: the station does not load the eyes.
_COMMANDS = {
    "demo": "patrol.commands.demo",
    "fly": "patrol.commands.fly",
    "watch": "patrol.commands.watch",
    "serve": "patrol.commands.serve",
    "users": "patrol.commands.users",
    "sim": "patrol.commands.sim",
    "plan": "patrol.commands.plan",
    "calibrate": "patrol.commands.calibrate",
    "models": "patrol.commands.models",
    "eval": "patrol.commands.eval",
    "bench": "patrol.commands.bench",
}


class _LazyGroup(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = typer.main.get_command(import_module(module).app)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Night Patrol (夜巡): a drone patrols a night market and tells the officers on duty where to go.",
    epilog="Start with `patrol demo`. Exit codes: 0 done, 1 failed, 2 bad usage or settings.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"night-patrol {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line. Faults are said in a sentence; NIGHT_PATROL_DEBUG=1 shows their tracebacks."""
    try:
        app()
    except NightPatrolError as error:
        if os.environ.get("NIGHT_PATROL_DEBUG") == "1":
            raise
        typer.echo(f"patrol: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if os.environ.get("NIGHT_PATROL_DEBUG") == "1":
            raise
        where = f"{error.filename}: " if error.filename else ""
        typer.echo(f"patrol: {where}{error.strerror or error}; check the path and its rights", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
