"""Where processors may take requests: a request names a person, so nobody on its way may read it."""

import pytest
from pydantic import ValidationError

from identity.erasure.processors import Processor


@pytest.mark.parametrize(
    "url", ["https://mail.example/erasures", "http://127.0.0.1:9000/erasures", "http://[::1]:9000/"]
)
def test_encrypted_addresses_and_those_of_this_machine_are_taken(url: str) -> None:
    assert Processor(name="newsletter", url=url).url == url


@pytest.mark.parametrize(
    "url", ["http://mail.example/erasures", "http://127.0.0.1.example/", "ftp://mail.example/", "https:///x"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="address of a processor"):
        Processor(name="newsletter", url=url)
