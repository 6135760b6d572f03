"""The boto3 client of an account: one, shared by all threads. Repetitions of the SDK are off, because ours would multiply with them."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, CredentialProvider, DeferredRefreshableCredentials

from cloudalpha.services.s3.settings import S3Options, S3Settings

DEFAULT_REGION = "us-east-1"
_SESSION_NAME = "cloudalpha"


def make_client(options: S3Options, settings: S3Settings) -> Any:
    """The client. Asks nobody yet, but where a profile or a role says so. Raises botocore's errors."""
    session = boto3.Session(
        aws_access_key_id=options.access_key_id,
        aws_secret_access_key=options.secret_access_key,
        aws_session_token=options.session_token,
        profile_name=options.profile,
        region_name=options.region,
    )
    region = session.region_name or DEFAULT_REGION
    if options.role_arn is not None:
        session = _take_on_role(session, options, settings, region)
    return session.client(
        "s3",
        region_name=region,
        endpoint_url=options.endpoint_url,
        verify=str(options.ca_file.expanduser()) if options.ca_file is not None else None,
        config=_make_config(settings).merge(
            Config(
                s3={"addressing_style": options.addressing_style},
                # Clones refuse checksums that they do not know; where probing has shown that they do, Bucket sends its own.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                **({"signature_version": UNSIGNED} if options.anonymous else {}),
            )
        ),
    )


def _make_config(settings: S3Settings) -> Config:
    return Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        max_pool_connections=settings.max_connections,
        tcp_keepalive=True,
        user_agent="cloudalpha",  # the SDK's own is put together anew for each request, at a sixth of what that costs
    )


def _take_on_role(session: Any, options: S3Options, settings: S3Settings, region: str) -> Any:
    """A session of the role, whose credentials are renewed before they expire."""
    source = session.get_credentials()
    verify = str(options.ca_file.expanduser()) if options.ca_file is not None else None

    def create_client(service_name: str, **kwargs: Any) -> Any:
        return session.client(
            service_name,
            region_name=region,
            endpoint_url=options.role_endpoint_url,
            verify=verify,
            config=_make_config(settings),
            **kwargs,
        )

    extra = {"RoleSessionName": _SESSION_NAME}
    if options.role_external_id is not None:
        extra["ExternalId"] = options.role_external_id
    fetcher = AssumeRoleCredentialFetcher(create_client, source, options.role_arn, extra_args=extra)
    inner = botocore.session.get_session()
    inner.get_component("credential_provider").insert_before("env", _RoleProvider(fetcher))
    return boto3.Session(botocore_session=inner, region_name=region)


class _RoleProvider(CredentialProvider):  # type: ignore[misc]
    METHOD = "cloudalpha-role"

    def __init__(self, fetcher: AssumeRoleCredentialFetcher) -> None:
        super().__init__()
        self._fetcher = fetcher

    def load(self) -> DeferredRefreshableCredentials:
        return DeferredRefreshableCredentials(self._fetcher.fetch_credentials, self.METHOD)
