"""A release says what is in the image, and anybody can check that with openssl alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

import pipe
from release.notes import CHANGELOG, notes
from release.sbom import LOCK, bill
from release.sign import sign

ROOT = Path(__file__).parents[2]
IMAGE = "registry.example/account/keyturn@sha256:" + "a1" * 32
STATUS = """\
Package: base-files
Status: install ok installed
Architecture: amd64
Version: 13.8
Description: miscellaneous files
 of several: lines

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


@pytest.fixture
def kms() -> Iterator[Any]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    make: Any = boto3.client
    try:
        yield make(
            "kms", region_name="eu-central-1", endpoint_url=f"http://{host}:{port}",
            aws_access_key_id="any", aws_secret_access_key="any",
        )  # fmt: skip
    finally:
        server.stop()


def _openssl(file: Path) -> subprocess.CompletedProcess[str]:
    command = ["openssl", "dgst", "-sha256", "-verify", f"{file}.pub", "-signature", f"{file}.sig", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_signature_holds_for_the_file_and_for_no_other(kms: Any, tmp_path: Path) -> None:
    key = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]["KeyId"]
    sums = tmp_path / "SHA256SUMS"
    sums.write_text("what is released\n", encoding="utf-8")
    sign(kms, key, sums)
    assert _openssl(sums).stdout == "Verified OK\n"
    sums.write_text("what somebody else released\n", encoding="utf-8")
    assert _openssl(sums).returncode != 0


def test_the_bill_names_each_locked_package_and_each_installed_one_of_the_system() -> None:
    made = bill(IMAGE, LOCK.read_text(encoding="utf-8"), STATUS)
    purls = [component["purl"] for component in made["components"]]
    assert len(purls) == len(set(purls)) > 15
    assert [purl for purl in purls if purl.startswith("pkg:deb")] == ["pkg:deb/debian/base-files@13.8?arch=amd64"]
    for name in ("boto3", "hvac", "requests", "bitbucket-pipes-toolkit", "cryptography"):
        assert any(purl.startswith(f"pkg:pypi/{name}@") for purl in purls), name
    assert made["metadata"]["component"]["version"] == pipe.__version__
    assert json.dumps(made) == json.dumps(bill(IMAGE, LOCK.read_text(encoding="utf-8"), STATUS))


def test_a_bill_is_of_a_digest_and_of_no_tag() -> None:
    with pytest.raises(ValueError, match="has no digest"):
        bill("registry.example/account/keyturn:1.0.0", "", "")


def test_the_notes_are_the_changelog_s_section_of_the_version() -> None:
    assert notes("# Changelog\n\n## 1.2.0 (2027-01-01)\n\n- New.\n\n## 1.1.0\n\n- Old.\n", "1.2.0") == "- New.\n"
    with pytest.raises(ValueError, match="says nothing of 9"):
        notes(CHANGELOG.read_text(encoding="utf-8"), "9.9.9")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"BASE": "python@sha256:" + "0" * 64}, "IMAGE: registry/account/keyturn is needed"),
        ({"IMAGE": "account/keyturn:1", "BASE": "python@sha256:" + "0" * 64}, "without a tag"),
        ({"IMAGE": "localhost:5000/keyturn", "BASE": "python:3.13-slim-trixie"}, "BASE: the base image's digest"),
    ],
)
def test_what_would_not_be_reproducible_is_refused(given: dict[str, str], told: str) -> None:
    ran = subprocess.run(
        ["release/publish.sh"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert told in ran.stderr
