"""What every repository of a service begins with."""

from sqlalchemy.ext.asyncio import AsyncSession


class Repository:
    """Queries about one thing, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
