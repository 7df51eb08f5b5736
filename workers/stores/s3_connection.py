"""Connections to an S3 server: clients, created on first use and once per process, and their credentials.

minio-py's clients may be shared by threads but not by processes, so a forked process creates its own. The region is
always set, so that no request is needed to find it, and URLs can be signed without the server.
"""

from __future__ import annotations

import configparser
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials.credentials import Credentials
from minio.credentials.providers import (
    AWSConfigProvider,
    EnvAWSProvider,
    EnvMinioProvider,
    IamAwsProvider,
    Provider,
)

from workers.stores.store import StoreRefuses

CONNECT_S = 5.0
READ_S = 30.0  # without receiving a byte
TRIES = 3  # within about a second; the queues handle longer outages


@dataclass(frozen=True)
class S3Options:
    """The server and the credentials. Endpoints are ``http://`` or ``https://`` URLs without a path.

    ``public_endpoint``: the URL of the same server for clients. ``credentials_file``: a file in the format of
    ``~/.aws/credentials``, or two lines, key and secret, or only the secret if ``access_key`` is given. It is read
    for every request, so its content may be replaced. ``iam``: use the cloud's IAM if nothing else gives credentials.
    ``read_s``: read timeout in seconds. ``tries``: attempts per request.
    """

    endpoint: str
    public_endpoint: str
    region: str
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    credentials_file: Path | None = None
    ca_file: Path | None = None
    iam: bool = False
    read_s: float = READ_S
    tries: int = TRIES


class S3Connection:
    """The clients of one server. Opens and reads nothing before the first use."""

    def __init__(self, options: S3Options) -> None:
        self.options = options
        self._clients: dict[tuple[int, str], Minio] = {}
        self._found = FoundCredentials(options)

    @property
    def client(self) -> Minio:
        """The client for requests. Raises ``StoreRefuses`` if the certificates cannot be read."""
        return self._client(self.options.endpoint)

    @property
    def public(self) -> Minio:
        """The client for presigned URLs of the public endpoint; sends nothing."""
        return self._client(self.options.public_endpoint)

    def once(self, header_s: float) -> Minio:
        """A separate client for a long response: waits ``header_s`` seconds for a header and does not retry."""
        return self._made(self.options.endpoint, pool(self.options.ca_file, header_s, tries=1))

    @property
    def who(self) -> str:
        """The identity used for requests, as text without the secret."""
        return self._found.who

    def _client(self, endpoint: str) -> Minio:
        place = (os.getpid(), endpoint)
        if place not in self._clients:
            made = self._made(endpoint, pool(self.options.ca_file, self.options.read_s, self.options.tries))
            self._clients.setdefault(place, made)  # threads that arrive at the same time share one
        return self._clients[place]

    def _made(self, endpoint: str, pool: urllib3.PoolManager) -> Minio:
        parts = urlsplit(endpoint)
        return Minio(
            parts.netloc, secure=parts.scheme == "https", region=self.options.region, credentials=self._found,
            http_client=pool,
        )  # fmt: skip


class FoundCredentials(Provider):
    """Credentials from the first source that has some. Raises ``StoreRefuses``, which names all sources."""

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._iam: IamAwsProvider | None = None
        self.who = "nobody"

    def retrieve(self) -> Credentials:
        """Called by the client for every request."""
        found, source = self._find()
        self.who = f"the access key {found.access_key!r} ({source})"
        return found

    def _find(self) -> tuple[Credentials, str]:
        o = self._options
        if o.access_key and o.secret_key:
            return Credentials(o.access_key, o.secret_key), "WILDTAG_S3_ACCESS_KEY"
        if o.credentials_file is not None:
            return _from_file(o.credentials_file, o.access_key), str(o.credentials_file)
        places: list[tuple[Provider, str]] = [
            (EnvAWSProvider(), "AWS_ACCESS_KEY_ID"),
            (EnvMinioProvider(), "MINIO_ACCESS_KEY"),
            (AWSConfigProvider(), "AWS's credentials file"),
        ]
        if o.iam:
            self._iam = self._iam or IamAwsProvider()  # caches credentials until they expire
            places.append((self._iam, "the cloud's IAM"))
        for provider, source in places:
            try:
                return provider.retrieve(), source
            # no credentials in this source
            except (ValueError, OSError, configparser.Error, urllib3.exceptions.HTTPError):
                continue
        raise StoreRefuses(
            "no credentials for the S3 server: set WILDTAG_S3_ACCESS_KEY and WILDTAG_S3_SECRET_KEY, or"
            " WILDTAG_S3_CREDENTIALS_FILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            + (" (the cloud's IAM gave none)" if o.iam else "")
        )


def _from_file(path: Path, access_key: str | None) -> Credentials:
    try:
        text = path.read_text(encoding="utf-8")
        if text.lstrip().startswith("["):
            return _from_profile(text)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if access_key and len(lines) == 1:
            return Credentials(access_key, lines[0])
        key, secret = lines
        return Credentials(key, secret)
    except OSError as exc:
        raise StoreRefuses(f"the credentials file {path} cannot be read: {exc.strerror}") from exc
    except (ValueError, configparser.Error):  # without its cause, which may quote the file
        raise StoreRefuses(
            f"{path} is not a credentials file: use the format of ~/.aws/credentials, or two lines, key"
            " and secret, or one line, the secret of WILDTAG_S3_ACCESS_KEY"
        ) from None


def _from_profile(text: str) -> Credentials:
    # without interpolation, which would misread a % in a secret
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    profile = os.environ.get("AWS_PROFILE") or "default"
    return Credentials(
        parser.get(profile, "aws_access_key_id"),
        parser.get(profile, "aws_secret_access_key"),
        parser.get(profile, "aws_session_token", fallback=None),
    )


def pool(ca_file: Path | None, read_s: float = READ_S, tries: int = TRIES) -> urllib3.PoolManager:
    """Pooled connections. Raises ``StoreRefuses`` if the certificates cannot be read."""
    if ca_file is not None:
        try:
            ssl.create_default_context(cafile=ca_file)
        except ssl.SSLError as exc:  # also an OSError
            raise StoreRefuses(f"{ca_file} contains no certificates: {exc}") from exc
        except OSError as exc:
            raise StoreRefuses(f"the certificates {ca_file} cannot be read: {exc.strerror}") from exc
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=min(CONNECT_S, read_s), read=read_s),
        maxsize=10,
        cert_reqs="CERT_REQUIRED",
        ca_certs=None if ca_file is None else str(ca_file),
        retries=tries > 1
        and urllib3.Retry(
            total=tries - 1,
            redirect=False,  # a signature for one host is not valid for another
            backoff_factor=0.2,
            status_forcelist=[500, 502, 503, 504],
            raise_on_status=False,  # the last response has the reason
            respect_retry_after_header=False,  # it may ask for minutes
        ),
    )
