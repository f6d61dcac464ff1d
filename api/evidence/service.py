"""Taking pictures in: only those that an alert names and that are redacted."""

import asyncio
import hashlib
from datetime import datetime

from api.alerts import service as alerts
from api.database import Database
from api.evidence.models import EvidenceRecord
from api.evidence.store import EvidenceStore
from api.pictures import JPEG, check_jpeg
from api.problems import ProblemError


async def check_expected(database: Database, sha256: str) -> None:
    """Check that an alert names this picture, as a redacted one.

    Raises:
        ProblemError: 409 when no alert names it (yet), 422 when it is not redacted.
    """
    async with database.reading() as session:
        references = await alerts.find_references(session, sha256)
    if not references:
        raise ProblemError(
            409,
            "No alert names this picture; send the alert first, then the picture.",
            kind="evidence-unnamed",
        )
    if not any(reference.redacted for reference in references):
        raise ProblemError(
            422,
            "The station keeps redacted pictures only; blur the heads and name that picture.",
            kind="picture",
        )


async def keep(
    database: Database, store: EvidenceStore, sha256: str, content: bytes, *, actor: str, now: datetime
) -> tuple[EvidenceRecord, bool]:
    """Keep a picture; return its record and whether it is new. The alerts that name it change with it.

    Raises:
        ProblemError: 422 when the content is not what its name says, or not an acceptable JPEG.
        OSError: the disk is full or cannot be written.
    """
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ProblemError(
            422, "The content has another SHA-256 than its address says; send it again.", kind="picture"
        )
    await check_jpeg(content)
    # The file first: a record without a file would promise a picture that is not there.
    await asyncio.to_thread(store.write, sha256, content)
    async with database.writing() as session:
        known = await session.get(EvidenceRecord, sha256)
        if known is not None:
            return known, False
        record = EvidenceRecord(sha256=sha256, media_type=JPEG, size_bytes=len(content), received_at=now)
        session.add(record)
        await session.flush()
        await alerts.note_evidence(session, sha256, actor=actor, now=now)
        return record, True
