"""Who may do what: bearer tokens, of which the configuration holds only hashes, and TLS."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

READ: Final = "read"
WRITE: Final = "write"
SCOPES: Final = (READ, WRITE)


@dataclass(frozen=True)
class Token:
    """A token by its name and the SHA-256 of its text in hexadecimal; random tokens need no slower hash."""

    name: str
    sha256: str
    scopes: frozenset[str]


@dataclass(frozen=True)
class Tls:
    """Files of the server's certificate and key, and of the authorities that clients must have theirs from, where they need one.

    `optional` lets in clients without a certificate; one that they show is verified all the same. `newest` asks for TLS 1.3.
    """

    cert_file: str
    key_file: str
    client_ca_file: str | None = None
    optional: bool = False
    newest: bool = False


@dataclass(frozen=True)
class Access:
    """The tokens and the TLS of the listener; without a token of a scope everybody may do what it allows."""

    tokens: tuple[Token, ...] = ()
    tls: Tls | None = None

    def holder(self, authorization: str, scope: str) -> str | None:
        """Whose token allows `scope`; empty where nobody needs one, None where it is not allowed.

        All hashes are compared, each in constant time, so that an answer does not tell how near a guess was.
        """
        allowed = [token for token in self.tokens if scope in token.scopes]
        if not allowed:
            return ""
        kind, _, secret = authorization.partition(" ")
        found = _matching(allowed, hashlib.sha256(secret.strip().encode()).hexdigest())
        return found if kind.lower() == "bearer" else None


def _matching(tokens: Iterable[Token], digest: str) -> str | None:
    matches = [token.name for token in tokens if hmac.compare_digest(token.sha256, digest)]
    return matches[0] if matches else None
