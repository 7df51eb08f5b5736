"""The way to an S3 server: clients, made late and once a process, and where their credentials come from.

minio-py's clients may be shared by threads and not by processes, so a process that was forked makes its own. The
region is always given: nothing is looked up before a request, and an address is signed without one.
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
READ_S = 30.0  # without a single byte
TRIES = 3  # in about a second; longer than that is for the queues to wait


@dataclass(frozen=True)
class S3Options:
    """Which server, and as whom. Endpoints are ``http://`` or ``https://`` addresses without a path.

    ``public_endpoint``: where others reach the same server. ``credentials_file``: a file in the form of
    ``~/.aws/credentials``, or two lines, key and secret, or where ``access_key`` is given only the secret. It is read
    for every request, so its content may be replaced. ``iam``: ask the cloud when nothing else gives credentials.
    ``read_s``: seconds without a single byte. ``tries``: of each request.
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
    """The clients of one server. Nothing is opened or read before the first use."""

    def __init__(self, options: S3Options) -> None:
        self.options = options
        self._clients: dict[tuple[int, str], Minio] = {}
        self._found = FoundCredentials(options)

    @property
    def client(self) -> Minio:
        """For requests. Raises ``StoreRefuses`` where the certificates cannot be read."""
        return self._client(self.options.endpoint)

    @property
    def public(self) -> Minio:
        """For signing addresses that others use; sends nothing."""
        return self._client(self.options.public_endpoint)

    def once(self, header_s: float) -> Minio:
        """A client of its own for an answer that takes long: it waits so long for a header, and tries once."""
        return self._made(self.options.endpoint, _pool(self.options, header_s, tries=1))

    @property
    def who(self) -> str:
        """As whom we ask, in words and without the secret."""
        return self._found.who

    def _client(self, endpoint: str) -> Minio:
        place = (os.getpid(), endpoint)
        if place not in self._clients:
            made = self._made(endpoint, _pool(self.options, self.options.read_s, self.options.tries))
            self._clients.setdefault(place, made)  # threads that come first at once share one
        return self._clients[place]

    def _made(self, endpoint: str, pool: urllib3.PoolManager) -> Minio:
        parts = urlsplit(endpoint)
        return Minio(
            parts.netloc, secure=parts.scheme == "https", region=self.options.region, credentials=self._found,
            http_client=pool,
        )  # fmt: skip


class FoundCredentials(Provider):
    """Credentials from the first place that has some. Raises ``StoreRefuses`` that names all the places."""

    def __init__(self, options: S3Options) -> None:
        self._options = options
        self._iam: IamAwsProvider | None = None
        self.who = "nobody"

    def retrieve(self) -> Credentials:
        """Asked by the client for every request."""
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
            self._iam = self._iam or IamAwsProvider()  # remembers what it was given until that expires
            places.append((self._iam, "the cloud's IAM"))
        for provider, source in places:
            try:
                return provider.retrieve(), source
            except (ValueError, OSError, configparser.Error, urllib3.exceptions.HTTPError):  # none there
                continue
        raise StoreRefuses(
            "there are no credentials for the S3 server: set WILDTAG_S3_ACCESS_KEY and WILDTAG_S3_SECRET_KEY, or "
            "WILDTAG_S3_CREDENTIALS_FILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
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
            f"{path} is no credentials file: it has neither the form of ~/.aws/credentials nor two lines, key and "
            "secret, nor one line, the secret of WILDTAG_S3_ACCESS_KEY"
        ) from None


def _from_profile(text: str) -> Credentials:
    # without interpolation, which takes a % in a secret for something else
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    profile = os.environ.get("AWS_PROFILE") or "default"
    return Credentials(
        parser.get(profile, "aws_access_key_id"),
        parser.get(profile, "aws_secret_access_key"),
        parser.get(profile, "aws_session_token", fallback=None),
    )


def _pool(options: S3Options, read_s: float, tries: int) -> urllib3.PoolManager:
    ca_file = options.ca_file
    if ca_file is not None:
        try:
            ssl.create_default_context(cafile=ca_file)
        except ssl.SSLError as exc:  # an OSError, too
            raise StoreRefuses(f"{ca_file} has no certificates in it: {exc}") from exc
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
            redirect=False,  # what is signed for one host is worth nothing on another
            backoff_factor=0.2,
            status_forcelist=[500, 502, 503, 504],
            raise_on_status=False,  # the last answer says why
            respect_retry_after_header=False,  # it may say minutes
        ),
    )
