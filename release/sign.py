"""Sign a file with a key in AWS KMS that never leaves it: python -m release.sign <key> <file>.

Beside the file come its signature, `<file>.sig`, and the public key, `<file>.pub`, for `openssl dgst -sha256 -verify`.
The key is one for signing, of the kind ECC_NIST_P256; boto3 signs in as it does everywhere.
"""

from __future__ import annotations

import base64
import sys
import textwrap
from pathlib import Path
from typing import Any

import boto3


def sign(kms: Any, key: str, file: Path) -> None:
    """Write a file's signature and the public key beside it; `key` is an id, an ARN or an alias.

    KMS takes files of up to 4,096 bytes.
    """
    signed = kms.sign(KeyId=key, Message=file.read_bytes(), MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256")
    public = kms.get_public_key(KeyId=key)["PublicKey"]
    file.with_name(file.name + ".sig").write_bytes(signed["Signature"])
    lines = textwrap.wrap(base64.b64encode(public).decode(), 64)
    pem = "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])
    file.with_name(file.name + ".pub").write_text(pem, encoding="ascii")


if __name__ == "__main__":
    client: Any = boto3.client
    sign(client("kms"), sys.argv[1], Path(sys.argv[2]))
