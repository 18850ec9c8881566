"""The toolkit's face: what users of pipes know, without what the toolkit does that Keyturn promises not to."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from bitbucket_pipes_toolkit import Pipe
from cerberus import Validator

from pipe.errors import Problem, Refused
from pipe.jobs.registry import read_settings
from pipe.settings.face import Face, schema_of
from pipe.settings.reader import Reader
from pipe.settings.rules import Choice, Listing, Switch, read
from pipe.settings.variables import ACTIONS, BY_NAME, VARIABLES, WAY_THERE
from test.support import ROOT, run_bare

WRONG = "canary\x00: [a, 'b"


def test_it_is_a_pipe_as_the_toolkit_knows_it() -> None:
    face = Face({"ACTION": "rotate", "TARGETS": "repository, workspace"}, "rotate")
    assert isinstance(face, Pipe)
    assert face.get_variable("ACTION") == "rotate"
    assert list(face.get_variable("TARGETS")) == ["repository", "workspace"]


@pytest.mark.parametrize("action", ACTIONS)
def test_the_schema_has_what_the_action_takes(action: str) -> None:
    assert list(schema_of(action)) == [variable.name for variable in VARIABLES if action in variable.jobs]
    # A rule of Cerberus's own would repeat the value that it refuses, or take it for YAML.
    assert {frozenset(rules) for rules in schema_of(action).values()} == {frozenset({"type", "check_with"})}
    assert {rules["type"] for rules in schema_of(action).values()} == {"string", "list"}
    Validator(schema_of(action))  # raises SchemaError for one that Cerberus does not know


def test_every_default_keeps_its_rule() -> None:
    with_default = [variable for variable in VARIABLES if variable.default]
    assert with_default
    for variable in with_default:
        value = read(variable.rule, variable.default)
        # A switch that may also be a number is read as both.
        said = value[0] if isinstance(value, tuple) else value
        assert str(said).lower() == variable.default.lower(), variable.name


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_the_toolkit_is_told_names_and_no_values(
    variable: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(Face, "fail", lambda self, message: said.append(message))
    name = variable.name  # type: ignore[attr-defined]
    Face({name: WRONG, "DEBUG": "true"}, "")
    assert "canary" not in "".join(said)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["ROTATE_AFTER_DAYS", "DRY_RUN", "TARGETS", "AWS_SESSION_POLICY", "SECRETS"])
@pytest.mark.parametrize("value", ["[a", "{", "'a", "- a\n b", "!!python/object:os.system", "&a", "%", "\t", "a: b: c"])
def test_bad_yaml_is_a_value_like_another(name: str, value: str) -> None:
    """Typed variables go through YAML in the toolkit, which raises where they are none."""
    face = Face({name: value}, "")
    assert all(isinstance(problem, Problem) for problem in face.refused.get(name, []))


@pytest.mark.parametrize("count", ["", " "])
def test_an_empty_count_is_none(count: str) -> None:
    assert Reader({"TARGETS_COUNT": count, "TARGETS": "repository"}).is_given("TARGETS")
    assert not Reader({"TARGETS_COUNT": count}).is_given("TARGETS")


def test_a_text_with_commas_is_a_list_and_digits_are_decimal() -> None:
    reader = Reader({"ALLOWED_AWS_ACCOUNT_IDS": "000000000010,000000000020", "ROTATE_AFTER_DAYS": "010"})
    assert reader.listed("ALLOWED_AWS_ACCOUNT_IDS") == ("000000000010", "000000000020")
    assert reader.number("ROTATE_AFTER_DAYS") == 10
    assert reader.problems == []


def test_what_is_empty_takes_the_default_and_is_missing_where_it_is_needed() -> None:
    with pytest.raises(Refused) as refused:
        read_settings({"ACTION": "  ", "NOTIFY_ON": ""})
    assert {problem.lacks for problem in refused.value.problems} >= {"ACTION", "TARGETS", "BITBUCKET_ACCESS_TOKEN"}
    assert "NOTIFY_ON" not in {problem.variable for problem in refused.value.problems}


def test_several_ways_to_sign_in_are_refused_and_none_is_preferred() -> None:
    given = {
        "BITBUCKET_ACCESS_TOKEN": "x", "ATLASSIAN_ACCOUNT_EMAIL": "a@b.example", "ATLASSIAN_API_TOKEN": "y",
        "BITBUCKET_OAUTH_CLIENT_ID": "z", "BITBUCKET_OAUTH_CLIENT_SECRET": "s",
    }  # fmt: skip
    with pytest.raises(Refused) as refused:
        read_settings({"ACTION": "pull", **given})
    assert (
        Problem(
            "BITBUCKET_ACCESS_TOKEN",
            "BITBUCKET_ACCESS_TOKEN and ATLASSIAN_API_TOKEN and BITBUCKET_OAUTH_CLIENT_SECRET are different kinds of "
            "credentials",
            "Give one: BITBUCKET_ACCESS_TOKEN, ATLASSIAN_ACCOUNT_EMAIL with ATLASSIAN_API_TOKEN, or "
            "BITBUCKET_OAUTH_CLIENT_ID with BITBUCKET_OAUTH_CLIENT_SECRET.",
        )
        in refused.value.problems
    )


def test_the_root_logger_is_as_it_was() -> None:
    code = (
        "import logging; root = logging.getLogger(); before = (root.level, root.handlers[:]);"
        "import pipe.settings.face, atexit; pipe.settings.face.Face({'DEBUG': 'true', 'ACTION': 'x'}, '');"
        "print((root.level, root.handlers[:]) == before)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    # What colorama would print as the process ends is an escape behind the last line.
    assert (ended.stdout, ended.stderr) == ("True\n", "")


def test_with_debug_a_run_prints_no_line_of_a_library_and_ends_with_its_last_line() -> None:
    ended = run_bare({"ACTION": "rotate", "DEBUG": "true", "ROTATE_AFTER_DAYS": WRONG.replace("\x00", "")})
    assert ended.returncode == 1
    lines = ended.stdout.splitlines()
    assert lines[-1].startswith("✖ Refused, nothing was touched:")
    assert all(line.startswith("✖ ") for line in lines), ended.stdout
    assert "\x1b" not in ended.stdout
    assert "Validation errors" not in ended.stdout


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_words_are_taken_in_any_case(variable: object) -> None:
    rule = variable.rule  # type: ignore[attr-defined]
    words = rule.words if isinstance(rule, Choice) else ("true", "false") if isinstance(rule, Switch) else ()
    for word in words:
        assert read(rule, word.upper()) == read(rule, word.title()) == read(rule, word)


class Noting(Reader):
    """Notes which variables are asked for."""

    asked: set[str] = set()  # noqa: RUF012 - it is emptied by who looks

    def value(self, name: str) -> object:
        self.asked.add(name)
        return super().value(name)

    def listed(self, name: str) -> tuple[object, ...]:
        self.asked.add(name)
        return super().listed(name)

    def is_given(self, name: str) -> bool:
        self.asked.add(name)
        return super().is_given(name)


WAYS = (
    {"AWS_OIDC_ROLE_ARN": "arn:aws:iam::123456789012:role/r"},
    {"AWS_ROLESANYWHERE_CHAIN": "x"},
    {"AWS_ACCESS_KEY_ID": "AKIAXXXXXXXXXXXXTEST"},
)
VAULTS = ("jwt", "approle", "token", "aws", "userpass", "kubernetes", "ldap")


@pytest.mark.parametrize("action", ["rotate", "status", "pull", "replicate"])
def test_the_table_says_which_jobs_take_which_variables(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipe.jobs.registry.Reader", Noting)
    monkeypatch.setattr(Noting, "asked", set())
    for way in WAYS:
        for method in VAULTS:
            for source in ("vault", "secretsmanager"):
                given = {
                    "ACTION": action, "SOURCE": source, "VAULT_AUTH_METHOD": method, "SNS_TOPIC_ARN": "x",
                    "BITBUCKET_ACCESS_TOKEN_FROM": "vault: secret/ci/db token",
                }  # fmt: skip
                if action == "status":
                    # It looks at what the variables are for.
                    given |= {"IAM_USER_NAME": "bot", "SECRETS": "a b", "TARGETS": "x", "AWS_SECRET_PREFIX": "v/"}
                with pytest.raises(Refused):
                    read_settings({**given, **way})
    if action == "status":
        with pytest.raises(Refused):
            read_settings({"ACTION": "status", "FLEET": "nowhere.yaml"})
    taken = {variable.name for variable in VARIABLES if action in variable.jobs}
    # Where the settings are refused, nobody needs this one.
    assert taken - Noting.asked <= {"REPORT_DIR"}
    # A variable that a job does not take is asked for by what several jobs share.
    assert Noting.asked - taken <= {"SECRET_ID"}
    assert all(variable.jobs & set(ACTIONS) > WAY_THERE or variable.jobs == WAY_THERE for variable in VARIABLES)


def test_a_rule_stands_in_the_table_and_nowhere_else() -> None:
    """No pattern, and no reader with a rule of its own, is in the modules that read settings."""
    for path in sorted([*(ROOT / "pipe/access").glob("*.py"), *(ROOT / "pipe/jobs").glob("*/job.py")]):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        named = {node.func.attr for node in calls if isinstance(node.func, ast.Attribute)}
        assert not named & {"fullmatch", "match", "isdecimal", "isdigit"}, path.name
    assert isinstance(BY_NAME["TARGETS"].rule, Listing)


@pytest.mark.parametrize("action", ["rotate", "pull", "replicate", "setup", "doctor"])
@pytest.mark.parametrize(
    ("name", "value", "jobs"),
    [
        ("KMS_KEY_ID", "bad key!", {"replicate"}),
        ("VAULT_ROLE", "a role", {"rotate", "pull", "replicate"}),
        ("VAULT_NAMESPACE", "a b", {"rotate", "pull", "replicate"}),
        ("VAULT_AUTH_PATH", "a b", {"rotate", "pull", "replicate"}),
        ("SNS_TOPIC_ARN", "arn:aws:sns:nonsense", {"rotate", "pull", "replicate"}),
    ],
)
def test_a_rule_holds_for_every_job(action: str, name: str, value: str, jobs: set[str]) -> None:
    """Where a job asks for the variable at all: Vault is asked for a rotation's token, too."""
    place = {"BITBUCKET_ACCESS_TOKEN_FROM": "vault: secret/ci/db token"} if action in ("rotate", "pull") else {}
    told: tuple[Problem, ...] = ()
    try:
        job = read_settings({"ACTION": action, name: value, **place}).job
        told = getattr(job, "problems", ())
    except Refused as refused:
        told = refused.problems
    said = [problem for problem in told if problem.variable == name]
    assert bool(said) == (action in jobs | WAY_THERE), told
    assert all(f"not “{value}”" in str(problem) for problem in said)
