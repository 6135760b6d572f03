"""Connecting an account: the only way from the configuration to boto3, so that nothing else needs to import it before its time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

from cloudalpha.data_store import DataStore
from cloudalpha.exceptions import FileSystemError
from cloudalpha.file_system import FileSystem
from cloudalpha.services.s3.bucket import Bucket
from cloudalpha.services.s3.client import make_client
from cloudalpha.services.s3.context import Context
from cloudalpha.services.s3.errors import SDK_ERRORS, get_code, translate, translate_to_account_error
from cloudalpha.services.s3.file_system import S3FileSystem
from cloudalpha.services.s3.keys import HIDDEN_MARKER, Keys
from cloudalpha.services.s3.metadata import KnownObjects
from cloudalpha.services.s3.places import Places
from cloudalpha.services.s3.probe import get_card
from cloudalpha.services.s3.settings import S3Options, S3Settings
from cloudalpha.toolkit.retry import Retry


def connect(
    account: str, options: S3Options, settings: S3Settings, data_store: DataStore, page_size: int
) -> FileSystem:
    """The files of an account, its server probed. Raises AccountError, or AccessFailedFileSystemError for an outage."""
    bucket = open_bucket(account, options, settings, page_size)
    try:
        bucket.card = get_card(bucket, options, data_store, account)
    except BaseException:
        bucket.close()
        raise
    has_hidden_markers = bucket.card.is_writable and not bucket.card.markers
    keys, known = Keys(options.prefix, HIDDEN_MARKER if has_hidden_markers else ""), KnownObjects()
    context = Context(
        account=account,
        settings=settings,
        data_store=data_store,
        bucket=bucket,
        keys=keys,
        known=known,
        places=Places(bucket, keys, known, settings.remember_folders),
        executor=ThreadPoolExecutor(settings.max_connections, thread_name_prefix=f"s3 {account}"),
    )
    return S3FileSystem(context, options)


def open_bucket(account: str, options: S3Options, settings: S3Settings, page_size: int) -> Bucket:
    """The bucket of an account, seen to be there; made where the options say so. Raises as `connect`."""
    try:
        retry = Retry(settings.attempts, settings.max_retry_time)
        bucket = Bucket(make_client(options, settings), options, retry, page_size)
    except SDK_ERRORS as error:
        raise translate_to_account_error(error, account) from error
    try:
        retry.run(lambda: _check(bucket, options))
    except FileSystemError as error:
        bucket.close()
        raise translate_to_account_error(error, account) from error
    return bucket


def _check(bucket: Bucket, options: S3Options) -> None:
    try:
        try:
            bucket.check()
        except ClientError as error:
            if not options.create_bucket or get_code(error) != "NoSuchBucket":
                raise
            bucket.create(options.region)
            bucket.check()
    except SDK_ERRORS as error:
        raise translate(error, "/") from error
