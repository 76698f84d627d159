"""Which passwords are refused, at a cost that no password can raise.

The estimator tries every combination of look-alike characters ("4" for "a", "$" for "s"): their number grows
with the product of the choices, and seconds go by over one password of 72 characters. So it is asked only
about pieces that allow few of them.
"""

import re

from zxcvbn import zxcvbn
from zxcvbn.matching import L33T_TABLE

PRODUCT = "irisvue"
MIN_NAME_LENGTH = 3
ESTIMATED_LENGTH = 24
"""Nobody guesses the 25th character first, and the estimator's cost grows with the square of the length."""
MOST_READINGS = 16
"""How many ways of reading the look-alikes of a piece are tried."""
LEAST_GUESSES = 10**6 + 5
"""Fewer guesses are the estimator's scores 0 and 1: withstands no attack that is not slowed down."""
GUESSES_OF_A_CUT = 10**4
"""A cut through a pattern makes two of it; what that adds to the guesses is less than this."""


def is_weak_password(password: str, *, email: str, min_length: int) -> bool:
    """Tell whether the password is too short or among the first that anyone would try.

    Common and leaked passwords, keyboard walks, repetitions and the person's own address count as weak; no
    kinds of characters are demanded (NIST 800-63B-4 §3.1.1.2).
    """
    if len(password) < min_length:
        return True
    own = [part for part in (email, *re.split(r"[@._+-]", email), PRODUCT) if len(part) >= MIN_NAME_LENGTH]
    together = GUESSES_OF_A_CUT
    for piece in _pieces(password[:ESTIMATED_LENGTH]):
        guesses = int(zxcvbn(piece, user_inputs=own)["guesses"])
        together = together * guesses // GUESSES_OF_A_CUT
        if max(guesses, together) >= LEAST_GUESSES:
            return False
    return True


def _pieces(password: str) -> list[str]:
    """Cut the password into the longest pieces that have few readings; most passwords are one piece."""
    pieces = [""]
    for character in password:
        longer = pieces[-1] + character
        if _readings(longer) <= MOST_READINGS:
            pieces[-1] = longer
        else:
            pieces.append(character)
    return pieces


def _readings(piece: str) -> int:
    """Return at most how many combinations of look-alikes the estimator would try."""
    seen: set[str] = set()
    readings = 1
    for look_alikes in L33T_TABLE.values():
        used = [one for one in look_alikes if one in piece]
        if used:
            # One that stands for another letter already is tried with and without.
            readings *= sum(2 if one in seen else 1 for one in used)
            seen.update(used)
    return readings
