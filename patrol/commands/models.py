"""`patrol models`: which models there are, and whether each file is the one its manifest names."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from patrol.vision.registry import Manifest, ModelError, list_manifests, load_manifest, verify

app = typer.Typer(
    help="List the models and check their files.\n\nExample: patrol models verify", no_args_is_help=True
)

_Folder = Annotated[
    Path | None, typer.Option("--folder", help="Folder with manifests; without it the models that ship.")
]
_BYTES_PER_MB = 1_000_000


@app.command("list", epilog="Example: patrol models list")
def list_models(folder: _Folder = None) -> None:
    """Show every model with its size, classes, licence and what it was tuned from."""
    table = Table(
        Column("model", no_wrap=True),
        "MB",
        "classes",
        Column("licence", no_wrap=True),
        Column("tuned from", overflow="fold"),
    )
    for model in list_manifests(folder):
        path = model.model_path
        size = f"{path.stat().st_size / _BYTES_PER_MB:.1f}" if path.is_file() else "missing"
        table.add_row(
            model.name,
            size,
            ", ".join(model.classes),
            model.licence,
            model.base.name if model.base else "",
        )
    Console().print(table)


@app.command("verify", epilog="Example: patrol models verify night-patrol-nano")
def verify_models(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names or manifest files; without them every model.")
    ] = None,
    folder: _Folder = None,
) -> None:
    """Check the sha256 of model files; exit code 1 when one does not fit."""
    faults: list[str] = []
    models: list[Manifest] = [] if names else list_manifests(folder)
    for name in names or ():
        try:
            models.append(load_manifest(name, folder=folder))
        except ModelError as fault:
            faults.append(str(fault))
    if not models and not faults:
        faults.append(f"{folder}: no manifest in this folder; give the one that holds the models")
    for model in models:
        try:
            verify(model)
        except ModelError as fault:
            faults.append(str(fault))
        else:
            typer.echo(f"{model.name}: the file is the one that the manifest names")
    for sentence in faults:
        typer.echo(sentence, err=True)
    if faults:
        raise typer.Exit(1)
