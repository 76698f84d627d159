"""What a store may answer instead of doing what it was asked, in messages without keys and content."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from chassis.faults import TransientFault
from chassis.transactions import outside_transactions

_SERVER_ERROR: Final = 500
_TRANSIENT_CODES: Final = frozenset(
    [
        "SlowDown",
        "RequestTimeout",
        "RequestTimeTooSkewed",
        "ServiceUnavailable",
        "InternalError",
        "OperationAborted",
        "ConditionalRequestConflict",
    ]
)
_MISSING_CODES: Final = frozenset(["NoSuchKey", "404", "NotFound"])
_EXISTS_CODE: Final = "PreconditionFailed"
_MISSING_BUCKET_CODES: Final = frozenset(["NoSuchBucket"])


class ObjectStoreError(Exception):
    """The object store did not do what was asked; messages carry no key and no content."""


class ObjectStoreUnavailable(ObjectStoreError, TransientFault):
    """The store can't be reached, is too slow or is overloaded: the same call may work later."""


class ObjectStoreRefused(ObjectStoreError):
    """The store understood the call and said no: credentials, permissions or configuration are wrong."""


class ObjectNotFound(ObjectStoreError):
    """There is no object under this key."""


class ObjectExists(ObjectStoreError):
    """There is an object under this key, which was to be a new one."""


class BucketNotFound(ObjectStoreError):
    """The bucket does not exist."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the client library's errors into this module's, without its messages, which name keys."""
    outside_transactions("the object store")
    try:
        yield
    except ClientError as error:
        raise _translation(error) from error
    except (BotoCoreError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ObjectStoreUnavailable(
            f"The object store can't be reached ({type(error).__name__})."
        ) from error


def _translation(error: ClientError) -> ObjectStoreError:
    code = code_of(error)
    if code in _MISSING_CODES:
        return ObjectNotFound("There is no such object.")
    if code == _EXISTS_CODE:
        return ObjectExists("There is such an object.")
    if code in _MISSING_BUCKET_CODES:
        return BucketNotFound("The bucket does not exist; run the bootstrap job.")
    if code in _TRANSIENT_CODES or status_of(error) >= _SERVER_ERROR:
        return ObjectStoreUnavailable(f"The object store failed for now ({code}).")
    return ObjectStoreRefused(f"The object store refused the call ({code}).")


def code_of(error: ClientError) -> str:
    """Return the store's own word for the fault."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def status_of(error: ClientError) -> int:
    """Return the status of the HTTP answer; 0 when there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
