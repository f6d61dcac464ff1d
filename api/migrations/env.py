"""Runs migrations on the connection that the station hands over, inside its transaction."""

from alembic import context

import api.alerts.models
import api.auth.models
import api.evidence.models  # noqa: F401  (all models, so that Base knows every table)
from api.database import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite changes a table by copying it.
    render_as_batch=True,
)
context.run_migrations()
