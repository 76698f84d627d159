"""Shows, with nothing but published keys, that a leaf stands in the log."""

import base64

from pydantic import BaseModel, ConfigDict

from consent.transparency.checkpoint import Checkpoint
from consent.transparency.keys import verifiers_in
from consent.transparency.merkle import InvalidProof, leaf_hash, verify_inclusion
from consent.transparency.note import MalformedNote, Note, UntrustedNote, verify_any


class UnprovenLeaf(ValueError):
    """The leaf is not shown to be in the log; the message says what fails."""


class LeafProof(BaseModel):
    """A leaf, and how it is shown to be in the tree of a signed checkpoint.

    `leaf` is the very text whose hash is the leaf; `proof` holds hashes in base64, from the leaf to the root
    (RFC 6962 §2.1.1).
    """

    model_config = ConfigDict(frozen=True, strict=True)

    origin: str
    leaf: str
    leaf_index: int
    proof: list[str]
    checkpoint: str

    def verify(self, jwks: str) -> Checkpoint:
        """Return the checkpoint in whose tree the leaf is; raises `UnprovenLeaf`.

        ValueError for a document that is no JWKS.
        """
        checkpoint = self._signed_checkpoint(jwks)
        leaf = leaf_hash(self.leaf.encode())
        try:
            proof = [base64.b64decode(each, validate=True) for each in self.proof]
            verify_inclusion(leaf, self.leaf_index, checkpoint.size, proof, checkpoint.root)
        except (InvalidProof, ValueError) as error:
            raise UnprovenLeaf(f"its entry is not in the log: {error}") from error
        return checkpoint

    def _signed_checkpoint(self, jwks: str) -> Checkpoint:
        verifiers = verifiers_in(jwks)
        try:
            note = Note.parse(self.checkpoint)
            checkpoint = Checkpoint.parse(note.text)
            signer = verify_any(note, verifiers)
        except (MalformedNote, UntrustedNote) as error:
            raise UnprovenLeaf(f"its checkpoint does not hold: {error}") from error
        if not self.origin == checkpoint.origin == signer.name:
            raise UnprovenLeaf("its checkpoint is that of another log")
        return checkpoint
