"""moto: Amazon's services imitated in Python. Quick to start and near to the real answers, for the many fast tests."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import boto3
from botocore.config import Config

from tests.servers.processes import HOST, Processes, ask, get_free_ports, get_program, is_listening
from tests.servers.s3_server import S3Server

REGION = "us-east-1"


def find_missing() -> list[str]:
    """Programs that it needs and that are not installed: none, it comes with the tools of setup.cfg."""
    return []


@contextlib.contextmanager
def run(folder: Path) -> Iterator[S3Server]:
    """A server that checks who asks. folder: for its log."""
    [port] = get_free_ports(1)
    url = f"http://{HOST}:{port}"
    with Processes(folder) as processes:
        pid = processes.start("moto", get_program("moto_server"), "-H", HOST, "-p", str(port))
        processes.wait_until(lambda: is_listening(port))
        access_key, secret_key = _make_user(url)
        yield S3Server("moto", url, access_key, secret_key, REGION, pid)


def _make_user(url: str) -> tuple[str, str]:
    """Somebody who may do everything; from then on moto refuses everybody else."""
    iam = boto3.session.Session().client(
        "iam",
        endpoint_url=url,
        aws_access_key_id="any",
        aws_secret_access_key="any",
        region_name=REGION,
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )
    iam.create_user(UserName="tests")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="tests", PolicyName="everything", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="tests")["AccessKey"]
    assert ask(url, "POST", "/moto-api/reset-auth", b"0") == 200  # so many requests are not checked from now on
    return key["AccessKeyId"], key["SecretAccessKey"]
