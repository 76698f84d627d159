"""The transparency log of the ledger: what anybody can check with public tools, and without us.

Every entry of the ledger and every anchored digest is a leaf of a Merkle tree (RFC 6962): `leaves` says of
which bytes, `merkle` has the tree and its proofs, `tiles` the form in which it is published, `note` and
`checkpoint` what is signed, `keys` with which keys, `witness` who else looks on. The formats are those of
C2SP: tlog-tiles, tlog-checkpoint, signed-note, tlog-cosignature and tlog-witness. The rows are those of
`repositories.transparency_log`.

Who hands somebody a proof, as a receipt does, asks the use case `prove_inclusion` for leaf, proof and
checkpoint of an entry, which is None until the entry is sealed, and signs with `LogKeys.sign` under a `typ`
of its own.
"""
