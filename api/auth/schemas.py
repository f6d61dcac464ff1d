"""What goes over the wire about users."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.auth.roles import Role


class Login(BaseModel):
    """A user name and a password. The lengths only keep absurd input away from the hash."""

    model_config = ConfigDict(extra="forbid")

    username: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]
    password: Annotated[str, Field(min_length=1, max_length=256)]


class User(BaseModel):
    """Who is signed in; `name` is how people call them."""

    username: str
    role: Role
    name: str


class LoggedIn(BaseModel):
    """The answer to a login; the session itself is in the cookie."""

    user: User


class AccessToken(BaseModel):
    """A bearer token. It is shown this once; the station keeps only its hash."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  the name of the scheme, no secret
    expires_at: datetime
