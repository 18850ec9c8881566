"""A release says what is in the image, and anybody can check that with openssl alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
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

Package: libstdc++6
Status: install ok installed
Architecture: amd64
Version: 1:14.2.0-19+b1

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


# Stands in for buildah, which needs rights and minutes: says how it was called, and answers as it does.
BUILDAH = """\
#!/usr/bin/env bash
echo "BUILDAH_ISOLATION=$BUILDAH_ISOLATION $*" >>"$CALLS"
while [[ "$1" == --* ]]; do shift 2; done
case $1 in
push) while [[ "$1" != --digestfile ]]; do shift; done; printf 'sha256:%064d' 7 >"$2" ;;
from) echo keyturn-working-container ;;
run) printf '%s' "$STATUS" ;;
esac
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
    # A plus is written as the specification of package URLs wants it: some readers take it for a space.
    assert [purl for purl in purls if purl.startswith("pkg:deb")] == [
        "pkg:deb/debian/base-files@13.8?arch=amd64",
        "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19%2Bb1?arch=amd64",
    ]
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


@pytest.fixture
def commit(tmp_path: Path) -> Path:
    """A clean checkout whose changelog names the version, as docs/publish.md says."""
    clone = tmp_path / "clone"
    (clone / "pipe").mkdir(parents=True)
    shutil.copytree(ROOT / "release", clone / "release", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "requirements", clone / "requirements")
    for name in ("pipe/__init__.py", ".gitignore"):
        shutil.copy(ROOT / name, clone / name)
    (clone / "CHANGELOG.md").write_text(f"## {pipe.__version__}\n\n- New.\n", encoding="utf-8")
    git = ["git", "-C", str(clone), "-c", "user.name=any", "-c", "user.email=any@example.com"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Release"]):
        subprocess.run([*git, *command], check=True)
    return clone


def _publish(clone: Path, environ: dict[str, str]) -> tuple[int, list[str]]:
    """Return the exit code, and how buildah was called, with its folder of images left out."""
    tools = clone.parent / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "buildah").write_text(BUILDAH, encoding="utf-8")
    (tools / "buildah").chmod(0o755)
    calls = clone.parent / "calls"
    calls.write_text("", encoding="utf-8")
    environ = {
        "PATH": f"{tools}:/usr/bin:/bin", "PYTHON": sys.executable, "PYTHONDONTWRITEBYTECODE": "1",
        "STATUS": STATUS, "CALLS": str(calls), "IMAGE": "registry.example/account/keyturn",
        "BASE": "python@sha256:" + "0" * 64, **environ,
    }  # fmt: skip
    ran = subprocess.run(["release/publish.sh"], cwd=clone, env=environ, check=False)
    return ran.returncode, re.sub(r"/\S*/(images|run)\b", r"\1", calls.read_text(encoding="utf-8")).splitlines()


def test_what_is_published_is_checked_by_the_commands_of_the_docs(kms: Any, commit: Path) -> None:
    key = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]["KeyId"]
    signed_in = {
        "AWS_ENDPOINT_URL": kms.meta.endpoint_url, "AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
    }  # fmt: skip
    assert _publish(commit, {**signed_in, "KEY": key})[0] == 0
    text = (ROOT / "docs/publish.md").read_text(encoding="utf-8")
    *offline, pull = text.split("**To check a release**")[1].split("```")[1].splitlines()[1:]
    assert pull == 'docker pull "$(cat image)"'

    def check() -> int:
        script = "\n".join(["set -e", *offline])
        return subprocess.run(["bash", "-c", script], cwd=commit / "dist", check=False).returncode

    assert (commit / "dist/image").read_text(encoding="utf-8") == f"registry.example/account/keyturn@sha256:{7:064d}\n"
    assert check() == 0
    for name in ("image", "keyturn.cdx.json", "notes.md", "SHA256SUMS"):
        file = commit / "dist" / name
        before = file.read_bytes()
        file.write_bytes(before + b"\n")
        assert check() != 0, name
        file.write_bytes(before)
    # Without a key, no signature of an earlier release is left beside the new one.
    assert _publish(commit, {})[0] == 0
    assert not list((commit / "dist").glob("SHA256SUMS.*"))


def test_a_build_is_the_same_whatever_the_machine_s_buildah_is_set_to(commit: Path) -> None:
    # Of the same files, the storage drivers vfs and overlay hand on layers in another order.
    machine = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "rootless"}
    here, there = _publish(commit, {}), _publish(commit, machine)
    assert here == there
    assert here[0] == 0
    assert all("BUILDAH_ISOLATION=chroot" in call and "--storage-driver vfs" in call for call in here[1])


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
