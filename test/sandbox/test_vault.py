from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from sandbox.ports import PortTaken, free_port
from sandbox.server import Server
from sandbox.vault import Vault, VaultError


@pytest.fixture
def vault() -> Iterator[Vault]:
    started = Vault()
    started.start()
    yield started
    started.stop()


def test_it_keeps_secrets_for_who_has_the_root_token_until_it_is_stopped(vault: Vault) -> None:
    path = f"{vault.url}/v1/secret/data/ci/db"
    root = {"X-Vault-Token": vault.root_token}
    assert requests.post(path, json={"data": {"password": "p"}}, headers=root, timeout=10).status_code == 200
    assert requests.get(path, headers=root, timeout=10).json()["data"]["data"] == {"password": "p"}
    assert requests.get(path, headers={"X-Vault-Token": "another"}, timeout=10).status_code == 403
    vault.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(path, timeout=10)


def test_it_leaves_no_token_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    vault = Vault()
    vault.start()
    vault.stop()
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_said_before_anything_is_started() -> None:
    server = Server(lambda *_: [])
    port = server.server_port
    vault = Vault()
    with pytest.raises(PortTaken, match=f"^port {port} cannot be used: address already in use$"):
        vault.start(port)
    server.close()


def test_a_port_that_does_not_exist_is_refused() -> None:
    with pytest.raises(PortTaken, match=r"^port 70000 cannot be used: there is no such port$"):
        free_port(70000)


def test_a_program_that_ends_at_once_is_told_by_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bao"
    program.write_text("#!/bin/sh\necho one >&2\necho 'no memory' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(VaultError, match=r"^OpenBao ended before it answered: no memory$"):
        Vault().start()


def test_a_missing_program_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(VaultError, match="make setup"):
        Vault().start()
