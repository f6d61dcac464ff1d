"""Reads small files that people write (JSON, YAML), and says in a sentence what is wrong with them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from patrol.domain.errors import UsageError

DOCUMENT_LIMIT_BYTES = 8_000_000  # the largest plans QGroundControl writes for surveys are a few hundred kB


class DocumentError(UsageError):
    """A file cannot be read; the message names the file, what is wrong in it and what to do."""


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON object. NaN and Infinity, which Python would accept, are refused.

    Raises:
        DocumentError: no such file, not text, too large, not JSON, or not an object.
    """

    def refuse_constant(name: str) -> NoReturn:
        raise DocumentError(f"{path}: holds {name}, which JSON does not know; put a number in its place")

    text = read_text(path)
    try:
        document = json.loads(text, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DocumentError(f"{path}: is not JSON ({error.msg} at {where}); export the file again") from error
    except RecursionError as error:
        raise DocumentError(f"{path}: is nested too deeply to be a plan or a map; export it again") from error
    except ValueError as error:  # an integer of thousands of digits
        raise DocumentError(
            f"{path}: holds a number too long to read; put a plain number in its place"
        ) from error
    return _as_object(path, document)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        DocumentError: no such file, not text, too large, not YAML, or not a mapping.
    """
    text = read_text(path)
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise DocumentError(
            f"{path}: is not YAML{where}; mend the indentation or the quotes there"
        ) from error
    except (RecursionError, ValueError) as error:
        raise DocumentError(f"{path}: is not YAML that can be read; write it anew") from error
    return _as_object(path, document)


def first_fault(error: ValidationError) -> str:
    """The first fault a pydantic model found, as `key.list[0].key: what is wrong (found ...)`."""
    fault = error.errors(include_url=False)[0]
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"]).removeprefix(
        "."
    )
    what = fault["msg"].removeprefix("Value error, ")
    what = what[:1].lower() + what[1:]
    if key:
        what = f"{key}: {what}"
    if fault["type"] in ("missing", "extra_forbidden", "unexpected_keyword_argument", "value_error"):
        return what
    found = repr(fault["input"])
    return f"{what} (found {found if len(found) <= 40 else found[:37] + '...'})"


def read_text(path: Path) -> str:
    """Read a text in UTF-8, with or without a byte order mark.

    Raises:
        DocumentError: no such file, not text, or too large.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > DOCUMENT_LIMIT_BYTES:
            limit_mb = DOCUMENT_LIMIT_BYTES / 1e6
            raise DocumentError(
                f"{path}: is {size_bytes / 1e6:.0f} MB, more than the {limit_mb:.0f} MB read at most; "
                "name the right file"
            )
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DocumentError(f"{path}: no such file; check the name") from error
    except IsADirectoryError as error:
        raise DocumentError(f"{path}: is a folder; name the file in it") from error
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"{path}: is not text in UTF-8; name the right file or export it again"
        ) from error
    except OSError as error:
        raise DocumentError(
            f"{path}: cannot be read ({error.strerror}); check the file and its rights"
        ) from error


def _as_object(path: Path, document: object) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise DocumentError(
            f"{path}: holds {type(document).__name__} where named values are wanted; "
            "name the right file or export it again"
        )
    return dict(document)
