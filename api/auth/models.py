"""Tables of users and of what they sign in with."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Enum, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from api.auth.roles import Role
from api.database import Base, UtcDateTime


class CredentialKind(StrEnum):
    """How a secret is carried: by a browser in a cookie, or by a program in a header."""

    COOKIE = "cookie"
    BEARER = "bearer"


class UserRecord(Base):
    """A person or an edge. Without a password hash it can only use tokens."""

    __tablename__ = "users"

    username: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    role: Mapped[Role] = mapped_column(
        Enum(Role, native_enum=False, length=16, values_callable=lambda roles: [role.value for role in roles])
    )
    password_hash: Mapped[str | None] = mapped_column(String(256))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CredentialRecord(Base):
    """A login or a token that has been given out: only the hash of the secret is kept."""

    __tablename__ = "credentials"

    secret_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[CredentialKind] = mapped_column(
        Enum(
            CredentialKind,
            native_enum=False,
            length=16,
            values_callable=lambda kinds: [kind.value for kind in kinds],
        )
    )
    username: Mapped[str] = mapped_column(ForeignKey("users.username", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)

    user: Mapped[UserRecord] = relationship(lazy="joined", innerjoin=True)
