"""Addresses of PostgreSQL: what they may say, and what the driver makes of it."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from chassis.database_url import read_database_url

PLAIN = "postgresql+asyncpg://role:s%40cret@db.example:5433/irisvue"
DSN = "postgresql://role:s%40cret@db.example:5433/irisvue"


def read(url: str) -> tuple[str, bool]:
    address = read_database_url(SecretStr(url))
    return address.dsn, address.pooled


@pytest.mark.parametrize(
    ("url", "dsn", "pooled"),
    [
        (PLAIN, DSN, False),
        (PLAIN.replace("+asyncpg", ""), DSN, False),
        (f"{PLAIN}?sslmode=require", f"{DSN}?sslmode=require", False),
        (f"{PLAIN}?ssl=verify-full", f"{DSN}?sslmode=verify-full", False),
        (f"{PLAIN}?prepared_statement_cache_size=0", DSN, True),
        (f"{PLAIN}?statement_cache_size=0&sslmode=require", f"{DSN}?sslmode=require", True),
        (
            "postgresql+asyncpg://a:b@one:5432,two:5433/c?target_session_attrs=read-write",
            "postgresql://a:b@one:5432,two:5433/c?target_session_attrs=read-write",
            False,
        ),
    ],
)
def test_address_is_what_the_driver_takes(url: str, dsn: str, pooled: bool) -> None:
    assert read(url) == (dsn, pooled)


def test_authority_is_a_file_that_can_be_read(tmp_path: Path) -> None:
    ca = tmp_path / "ca file.pem"
    with pytest.raises(ValueError, match="sslrootcert"):
        read(f"{PLAIN}?sslmode=verify-full&sslrootcert={ca}")
    ca.touch()
    dsn, _ = read(f"{PLAIN}?sslmode=verify-full&sslrootcert={ca}")
    assert dsn.startswith(f"{DSN}?sslmode=verify-full&sslrootcert=")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://role:canary@host/x", "must begin with"),
        ("role:canary@host/x", "must begin with"),
        (f"{PLAIN}?pool=canary", "option pool"),
        (f"{PLAIN}?sslmode=canary", "sslmode"),
        (f"{PLAIN}?ssl=true", "sslmode"),
        (f"{PLAIN}?prepared_statement_cache_size=100", "only 0"),
    ],
)
def test_what_is_wrong_is_said_without_quoting_it(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        read(url)
    assert "canary" not in str(caught.value)
    assert "cret" not in str(caught.value)


def test_address_shows_no_password() -> None:
    assert "cret" not in repr(read_database_url(SecretStr(PLAIN)))
