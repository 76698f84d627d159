"""Who sends too much is told the same by the door and by the service behind it, with the limit in bytes."""

from chassis.problems import ContentTooLarge
from gateway.problems import PhotoTooLarge as AtTheDoor
from gateway.settings import GatewaySettings
from storage.policy import PhotoTooLarge as AtStorage
from storage.settings import StorageSettings


def test_the_door_and_storage_refuse_a_large_photo_in_the_same_words() -> None:
    limits = [kind.model_fields["upload_limit_bytes"].default for kind in (GatewaySettings, StorageSettings)]
    assert limits[0] == limits[1]
    door, storage = AtTheDoor(limits[0]).document(), AtStorage.of_bytes(limits[1]).document()
    assert door == storage
    assert (door["limit"], str(limits[0]) in door["detail"]) == (limits[0], True)


def test_every_other_large_body_is_refused_with_the_limit_too() -> None:
    document = ContentTooLarge(1_000_000).document()
    assert (document["limit"], "1000000" in document["detail"]) == (1_000_000, True)
    assert document.keys() == AtTheDoor(1).document().keys()
