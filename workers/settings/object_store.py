"""The bucket and its S3 server."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from workers.settings.access_urls import require_port, require_sendable
from workers.settings.topic import Topic, UserPath


class StoreSettings(Topic):
    """The object store."""

    bucket: str = Field("inbox", pattern=r"^[a-z0-9][a-z0-9.-]{1,62}$", description="Bucket whose images are tagged.")
    output_prefix: str = Field(
        ".wildtag/", min_length=1,
        description="Prefix of the keys that wildtag writes to the bucket. Objects below it are never tagged.",
    )  # fmt: skip
    write_back: Literal["off", "tags", "sidecar"] = Field(
        "off", description="Write results to the bucket. tags: S3 object tags; sidecar: one JSON file for each image."
    )
    s3_endpoint: str | None = Field(
        None,
        description="URL of the S3 server that has the bucket, for example http://minio:9000. Default: none, and the"
        " bucket is a folder.",
    )
    s3_public_endpoint: str | None = Field(
        None, description="URL at which clients reach the S3 server, for presigned URLs. Default: s3_endpoint."
    )
    s3_region: str = Field("us-east-1", pattern=r"^[A-Za-z0-9_-]{1,63}$", description="Region of the bucket.")
    s3_access_key: str | None = Field(None, description="Access key of the S3 server.")
    s3_secret_key: str | None = Field(None, repr=False, description="Secret key of the S3 server.")
    s3_admin_access_key: str | None = Field(
        None,
        description="Access key of the administrator, for `wildtag s3 user`. No process of the stack gets it."
        " Default: none.",
    )
    s3_admin_secret_key: str | None = Field(None, repr=False, description="Secret key of the administrator.")
    s3_credentials_file: UserPath | None = Field(
        None,
        description="File with the access key and the secret key: in the format of ~/.aws/credentials, or on two"
        " lines. It may hold the secret key alone when s3_access_key is set. Default: none.",
    )
    s3_iam: bool = Field(
        default=False, description="Get credentials from the cloud's instance metadata when no key pair is set."
    )
    s3_ca_file: UserPath | None = Field(
        None, description="CA certificates (PEM) for the S3 server. Default: those of the system."
    )
    max_object_bytes: PositiveInt = Field(
        64 * 2**20, description="Largest object that is read, in bytes. Larger objects are rejected."
    )
    max_pixels: PositiveInt = Field(
        150_000_000, le=178_956_970,
        description="Largest image that is decoded, in pixels. The upper limit is Pillow's own.",
    )  # fmt: skip

    decode_limit_s: PositiveFloat = Field(
        15.0,
        description="Processor time after which an image that is being decoded fails, in seconds. It also fails after"
        " three times as long.",
    )
    decode_memory_bytes: int = Field(
        1_610_612_736, ge=64 * 2**20, description="Memory that decoding an image may take, in bytes."
    )

    media_gps: bool = Field(
        default=False,
        description="Put the place where an image was taken (EXIF GPS) into its record. Whoever can read records then"
        " knows it.",
    )

    video: bool = Field(
        default=False,
        description="Tag videos, too, by two frames of each. Needs the extra video: pip install 'wildtag[video]'.",
    )

    @field_validator("s3_access_key", "s3_admin_access_key")
    @classmethod
    def _access_key(cls, key: str | None) -> str | None:
        if key is not None:
            require_sendable(key)
        return key

    @field_validator("s3_endpoint", "s3_public_endpoint")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        require_port(url)
        parts = urlsplit(url)
        place = parts.hostname and not parts.path.strip("/") and "@" not in parts.netloc
        if parts.scheme not in {"http", "https"} or not place:
            raise ValueError("not the URL of an S3 server, for example https://minio.example:9000")
        return f"{parts.scheme}://{parts.netloc}"
