"""A pull from beginning to end, against a real OpenBao."""

from __future__ import annotations

from test.pull.case import STATE, Case


def test_first_run_writes_everything_and_the_second_nothing(case: Case) -> None:
    wanted = {
        f"{path}_{key}".replace("/", "_").replace("-", "_").upper(): value
        for path, values in ((path.removeprefix("secret/ci/"), values) for path, values in case.company.secrets.items())
        for key, value in values.items()
    }
    first = case.well()
    assert f"Wrote {2 * len(wanted)} variables in 2 targets" in first.last_line
    for scope in (case.staging, case.production):
        assert wanted.items() <= case.held(scope).items()
        assert all(case.world.bitbucket.variables(scope)[name].secured for name in wanted)
        assert not case.world.bitbucket.variables(scope)[STATE].secured
    case.forget()
    second = case.idle()
    assert "all is unchanged" in second.last_line
    assert not [path for _, path in case.vault.audited() if "/data/" in path]


def test_one_change_is_one_write_a_target(case: Case) -> None:
    case.well()
    case.put("secret/ci/session", {"signing_key": "another-long-signing-key"})
    result = case.well()
    assert case.reads(result) == ["GET secret/data/ci/session"]
    assert case.written(result) == 2
    assert case.held(case.staging)["SESSION_SIGNING_KEY"] == "another-long-signing-key"
    case.idle()


def test_a_dry_run_writes_nothing_and_says_where_what_would_be_written(case: Case) -> None:
    result = case.well(DRY_RUN="true")
    assert result.writes == []
    assert "acme/shop Staging: DATABASE_PASSWORD" in result.output
    assert result.last_line.startswith("✔ Dry run: would write 36 variables in 2 targets")
    assert case.held(case.staging).keys() & {"DATABASE_PASSWORD"} == set()


def test_the_token_is_revoked(case: Case) -> None:
    case.well()
    assert case.vault.tokens() == set()
