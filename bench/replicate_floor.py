"""Makes the requests of a replication and decides nothing: the time that none with these requests can be under.

`python -m bench.replicate_floor PLAN` gets the replication's own variables in its environment, with a prefix of its
own; the plan is JSON.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import botocore
from botocore.config import Config

from bench.floor import Vault


def main(plan: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Sign in to both, list replicas and look at the secrets side by side, read some, write them, sign out."""
    vault, prefix = Vault(plan, environ), environ["AWS_SECRET_PREFIX"]
    tags = [{"Key": key, "Value": value} for key, value in plan["tags"].items()]
    folder = plan["data"].removeprefix("secret/data/")

    def listed() -> Any:
        """Sign in, list all replicas, and return the client."""
        client = sign_in(plan["in_flight"], environ)
        by_name = [{"Key": "name", "Values": [prefix]}]
        pages = client.get_paginator("list_secrets").paginate(
            IncludePlannedDeletion=True, Filters=by_name, PaginationConfig={"PageSize": 100}
        )
        for _ in pages:
            pass
        return client

    def write(name: str, values: Mapping[str, str]) -> None:
        secret, body = f"{prefix}{folder}/{name}", json.dumps(values)
        if plan["creates"]:
            client.create_secret(Name=secret, SecretString=body, Tags=tags)
        else:
            client.put_secret_value(SecretId=secret, SecretString=body)
            client.tag_resource(SecretId=secret, Tags=tags)

    with ThreadPoolExecutor(plan["in_flight"]) as pool:
        listing = pool.submit(listed)
        vault.sign_in()
        names = vault.look(pool)
        client = listing.result()
        # What is read depends on what the replicas are.
        data = vault.read(pool, names)
        list(pool.map(write, data.keys(), data.values()))
    vault.sign_out()


def sign_in(in_flight: int, environ: Mapping[str, str]) -> Any:
    """Return a client of Secrets Manager that signs as the step's role."""
    session: Any = boto3.Session()
    # Credentials that nothing is signed with, lest others are looked for.
    nobody = {"aws_access_key_id": "-", "aws_secret_access_key": "-"}
    sts = session.client("sts", config=Config(signature_version=botocore.UNSIGNED), **nobody)
    given = sts.assume_role_with_web_identity(
        RoleArn=environ["AWS_OIDC_ROLE_ARN"],
        RoleSessionName="floor",
        WebIdentityToken=environ["BITBUCKET_STEP_OIDC_TOKEN"],
    )["Credentials"]
    return session.client(
        "secretsmanager",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        config=Config(max_pool_connections=in_flight, retries={"total_max_attempts": 1}),
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), os.environ)
    # As the pipe does, to end at once.
    gc.freeze()
