"""Signs S3 requests in their URL, headers included, which minio's presigning leaves out.

AWS Signature Version 4 by query parameters (Amazon S3 API Reference, "Authenticating Requests:
Using Query Parameters").
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
LONGEST_S = 7 * 86400
"""S3 allows no longer life."""


@dataclass(frozen=True)
class Signer:
    """The credentials of one server."""

    endpoint: str
    """`host` or `host:port`."""
    access_key: str
    secret_key: str
    region: str
    tls: bool

    def url(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        expires_s: float,
        now: datetime | None = None,
    ) -> str:
        """Return the URL of a request whose `headers` must be sent as they are."""
        scheme = "https" if self.tls else "http"
        target = self.target(method, path, query, headers, expires_s, now)
        return f"{scheme}://{self.endpoint}{target}"

    def target(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        expires_s: float,
        now: datetime | None = None,
    ) -> str:
        """Return what of `url` follows the server's name."""
        now = now or datetime.now(UTC)
        moment = f"{now:%Y%m%dT%H%M%SZ}"
        day = moment[:8]
        scope = f"{day}/{self.region}/s3/aws4_request"
        signed = {"host": self.endpoint, **{name.lower(): text for name, text in headers.items()}}
        names = ";".join(sorted(signed))
        parameters = {
            **query,
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.access_key}/{scope}",
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(max(1, min(LONGEST_S, round(expires_s)))),
            "X-Amz-SignedHeaders": names,
        }
        encoded = "&".join(f"{_encode(k)}={_encode(v)}" for k, v in sorted(parameters.items()))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        request = "\n".join([method, path, encoded, lines, names, "UNSIGNED-PAYLOAD"])
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = "\n".join([ALGORITHM, moment, scope, digest])
        key = _signing_key(self.secret_key, day, self.region)
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        return f"{path}?{encoded}&X-Amz-Signature={signature}"


@lru_cache(maxsize=16)
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for word in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return key


@lru_cache(maxsize=256)
def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
