"""The `s3` service: a bucket of Amazon S3, or of one of the many that speak as it does (Ceph, MinIO, Swift, Wasabi, R2, Backblaze ...).

The native layout: `/a/b.txt` is the object `a/b.txt` beneath the account's prefix, so that every other tool sees the same files. What a server can
do is found out by asking it, once, and never guessed from its name.

    [accounts.archive]
    service = "s3"
    bucket = "example-archive"
    prefix = "team/"
    region = "eu-central-1"

    [accounts.ceph]
    service = "s3"
    bucket = "files"
    endpoint_url = "https://ceph.example.org"
    access_key_id = "..."
    secret_access_key = "..."
"""
