"""The smallest application with fastapi-users, as its documentation builds it; runs in a venv of its own."""

import os
import uuid
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

engine = create_async_engine(os.environ["BENCHMARK_DSN"].replace("postgresql://", "postgresql+asyncpg://"))
sessions = async_sessionmaker(engine, expire_on_commit=False)
SECRET = os.environ["BENCHMARK_SECRET"]


class Base(DeclarativeBase):
    """The base of its tables."""


class User(SQLAlchemyBaseUserTableUUID, Base):
    """An account."""


async def session() -> AsyncIterator[AsyncSession]:
    """Lend a session."""
    async with sessions() as opened:
        yield opened


async def accounts(
    opened: Annotated[AsyncSession, Depends(session)],
) -> AsyncIterator[SQLAlchemyUserDatabase[User, uuid.UUID]]:
    """Lend the accounts."""
    yield SQLAlchemyUserDatabase(opened, User)


class Accounts(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    """The rules of accounts."""

    reset_password_token_secret = SECRET
    verification_token_secret = SECRET


async def rules(
    database: Annotated[SQLAlchemyUserDatabase[User, uuid.UUID], Depends(accounts)],
) -> AsyncIterator[Accounts]:
    """Lend the rules."""
    yield Accounts(database)


def strategy() -> JWTStrategy[User, uuid.UUID]:
    """Return how its tokens are signed."""
    return JWTStrategy(secret=SECRET, lifetime_seconds=36000)


class UserRead(schemas.BaseUser[uuid.UUID]):
    """What is shown."""


class UserCreate(schemas.BaseUserCreate):
    """What is sent."""


backend = AuthenticationBackend(
    name="jwt", transport=BearerTransport(tokenUrl="login"), get_strategy=strategy
)
users = FastAPIUsers[User, uuid.UUID](rules, [backend])
app = FastAPI()
app.include_router(users.get_auth_router(backend), prefix="/auth")
app.include_router(users.get_register_router(UserRead, UserCreate), prefix="/auth")
app.include_router(users.get_users_router(UserRead, UserRead), prefix="/users")


@app.on_event("startup")
async def create_tables() -> None:
    """Make its tables."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
