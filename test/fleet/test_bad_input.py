# ruff: noqa: E501 - messages as they are printed
"""What is wrong with a fleet file, its lock and the run's switches: all at once, each on its line, nobody asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipe.errors import Refused
from pipe.jobs.fleet.document import LARGEST
from pipe.jobs.registry import read_settings
from pipe.redact import clean

SECRET = "ATCTT3xFfGN0abcdefABCDEF0123456789abcdef=ABCD"
STEP = {
    "ACTION": "fleet",
    "BITBUCKET_WORKSPACE": "acme",
    "BITBUCKET_ACCESS_TOKEN": "token-of-a-test",
    "AWS_ACCESS_KEY_ID": "AKIAXXXXXXXXXXXXTEST",
    "AWS_SECRET_ACCESS_KEY": "secret-of-a-test",
    "AWS_DEFAULT_REGION": "eu-central-1",
}
A, B = (f"{{00000000-0000-0000-0000-00000000000{number}}}" for number in (1, 2))
PLACE = "acme/web:deployment:production"
LOCK = f"keyturn.lock 1\nkeys {PLACE} {A} {B}\n"
HEAD = "version: '1'\n"
KEYS = """jobs:
  keys:
    ACTION: rotate
    IAM_USER_NAME: ci
    SECRET_ID: ci/ci
    TARGETS: acme/web:deployment:production
"""


def problems(folder: Path, text: str | bytes, lock: str = LOCK, **step: str) -> list[str]:
    """Return what is wrong, as it is printed; nothing if nothing is."""
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "keyturn.yaml").write_bytes(content)
    if lock:
        (folder / "keyturn.lock").write_text(lock)
    try:
        read_settings({**STEP, "BITBUCKET_CLONE_DIR": str(folder), **step})
    except Refused as refused:
        return [clean(str(problem)).replace(f"{folder}/", "") for problem in refused.problems]
    return []


def test_a_sound_file_has_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, HEAD + KEYS) == []
    none = {"DRY_RUN": "offline", "BITBUCKET_ACCESS_TOKEN": "", "AWS_ACCESS_KEY_ID": ""}
    assert problems(tmp_path, HEAD + KEYS, **none) == []
    assert (
        problems(
            tmp_path,
            changed(": ci\n", ": $USER\n    DEACTIVATE_AFTER_DAYS: 40\n    ROTATE_AFTER_DAYS: $DAYS\n"),
            **none,
        )
        == []
    )


def changed(old: str, new: str) -> str:
    assert old in HEAD + KEYS
    return (HEAD + KEYS).replace(old, new)


QUOTE = (
    "What begins with * ! & { [ % @ or a backtick, or holds “: ” or “ #”, must stand in quotes, as in 'project:PAY/*'."
)
LAYOUT = "Is there a “- ”, a “:” or a bracket too many? Indent alike what belongs together."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jobs: {a", "keyturn.yaml:1: this is no YAML: while parsing a flow mapping"),
        ("a: b: c", f"keyturn.yaml:1: this is no YAML: mapping values are not allowed here. {QUOTE}"),
        (b"a: \xff", "keyturn.yaml:1: this is not UTF-8. Save the file as UTF-8."),
        ("a: \x01", "keyturn.yaml:1: this is no YAML: there is a character that it may not have."),
        ("[" * 9_999, f"keyturn.yaml:1: this stands deeper than anything in a fleet file. {LAYOUT}"),
        (
            HEAD + KEYS + "  - site-bot:\n",
            "keyturn.yaml:8: this is no YAML: while parsing a block mapping, expected <block end>, but found '-'. "
            + LAYOUT,
        ),
        (
            changed(f"TARGETS: {PLACE}", "TARGETS:\n      - site-bot:\n        - a:"),
            f"keyturn.yaml:8: this stands deeper than anything in a fleet file. {LAYOUT}",
        ),
        ('\na: "\\UFFFFFFFF"', "keyturn.yaml:2: there is no character of this number."),
        ('\na: "\\U00110000"', "keyturn.yaml:2: there is no character of this number."),
        ('\na: "\\uD800"', "keyturn.yaml:2: there is no character of this number."),
        ("a: {b: c, b: d}", "keyturn.yaml:1: “b” stands here a second time; the first is on line 1. Keep one."),
        ("#" * (LARGEST + 1), "keyturn.yaml:1: the file has 1,000,001 bytes; at most 1,000,000 are read."),
        ("", "keyturn.yaml:1: the file says nothing."),
        ("- a", "keyturn.yaml:1: the file must be a map. It has: version, workspace, defaults, bitbucket, jobs."),
        (KEYS, "keyturn.yaml:1: version: `version: '1'` is needed."),
        ("version: '2'\n" + KEYS, "keyturn.yaml:1: version: version 2 needs a newer Keyturn."),
        (HEAD, "keyturn.yaml:1: jobs: at least one job is needed."),
        (HEAD + "job: {}\n" + KEYS, "keyturn.yaml:2: job: there is no such thing here. Is jobs meant?"),
        (
            changed(f"TARGETS: {PLACE}", "TARGETS:\n      - !acme/web"),
            "keyturn.yaml:8: this is a tag of YAML, which would be forgotten. Quote it: '!acme/web'.",
        ),
        (changed("SECRET_ID: ci/ci", "SECRET_ID: &s ci/ci"), "keyturn.yaml:6: this is an anchor of YAML. Quote it: '&s'."),
        (changed("SECRET_ID: ci/ci", "SECRET_ID: *s"), "keyturn.yaml:6: this is an alias of YAML. Quote it: '*s'."),
        (
            changed(f"TARGETS: {PLACE}", "TARGETS: */web:repository"),
            f"keyturn.yaml:7: this is no YAML: while scanning an alias, expected alphabetic or numeric character, but found '/'. {QUOTE}",
        ),
        (
            changed("    ACTION: rotate\n", "    ACTION: rotate\n    <<: {}\n"),
            "keyturn.yaml:5: this is a merge key of YAML. Write out what is meant, or use `defaults`.",
        ),
        (
            HEAD + KEYS + "---\na: b\n",
            "keyturn.yaml:8: a second document begins here. Keep one, without “---” between.",
        ),
        (
            changed("    IAM_USER_NAME: ci\n", "    IAM_USER_NAME: ci\n    ACTION: pull\n"),
            "keyturn.yaml:6: “ACTION” stands here a second time; the first is on line 4. Keep one.",
        ),
        (
            changed("    IAM_USER_NAME: ci\n", "    IAM_USER_NAME: ci\n    'ACTION ': pull\n"),
            "keyturn.yaml:6: a name stands here twice. Keep one.",
        ),
        *(
            (
                changed("ci/ci", f"{sign}ci"),
                f"keyturn.yaml:6: this is no YAML: while scanning for the next token, found character '{sign}' that cannot start any token. {QUOTE}",
            )
            for sign in "%`"
        ),
        (changed("ci/ci", "{ci}"), f"keyturn.yaml:6: jobs.keys.SECRET_ID: must be a text or a list of texts. {QUOTE}"),
        (changed("ci/ci", "[ci]"), "keyturn.yaml:6: jobs.keys.SECRET_ID: must be one text, not a list."),
        (changed("ci/ci", "ci: ci"), f"keyturn.yaml:6: this is no YAML: mapping values are not allowed here. {QUOTE}"),
        (changed("ci/ci", "@ci"), "keyturn.yaml:6: this is no YAML: while scanning for the next token, found character '@' that cannot start any token"),
        (
            HEAD + f"bitbucket:\n  - for: acme/*\n    BITBUCKET_ACCESS_TOKEN: {SECRET}\n" + KEYS,
            "keyturn.yaml:4: bitbucket.0.BITBUCKET_ACCESS_TOKEN: a secret does not belong into this file. Write the name of "
            "a variable of the step, as in $BITBUCKET_ACCESS_TOKEN, or give BITBUCKET_ACCESS_TOKEN_FROM.",
        ),
        (
            HEAD + f"defaults: {{VAULT_TOKEN: {SECRET}}}\n" + KEYS,
            "keyturn.yaml:2: defaults.VAULT_TOKEN: a secret does not belong into this file. Write the name of a variable "
            "of the step, as in $VAULT_TOKEN.",
        ),
        *(
            (
                HEAD + f"defaults:\n  {name}: 'true'\n" + KEYS,
                f"keyturn.yaml:3: defaults.{name}: is for the run and belongs to the step, not into the file.",
            )
            for name in ("DRY_RUN", "DEBUG", "REPORT_DIR", "SNS_TOPIC_ARN", "NOTIFY_URL", "NOTIFY_URL_FROM", "NOTIFY_ON", "FLEET",
                         "FLEET_LOCK", "JOBS", "SHARE", "FORCE", "REVOKE", "ADOPT", "AWS_ENDPOINT_URL", "BITBUCKET_API_URL")
        ),
        (
            HEAD + "jobs:\n  p:\n    ACTION: pull\n    SECRETS: a *\n    TARGETS: web:repository\n    PRUNE: 7\n",
            "keyturn.yaml:7: jobs.p.PRUNE: a number is for one run and belongs to the step, with JOBS. Write true.",
        ),
        (HEAD + "defaults: {ACTION: pull}\n" + KEYS, "keyturn.yaml:2: defaults.ACTION: belongs to each job."),
        (HEAD + "defaults: {EACH: a}\n" + KEYS, "keyturn.yaml:2: defaults.EACH: there is no such variable."),
        (
            HEAD + "defaults: {AWS_DEFAULT_REGIN: eu-central-1}\n" + KEYS,
            "keyturn.yaml:2: defaults.AWS_DEFAULT_REGIN: there is no such variable. Is AWS_DEFAULT_REGION meant?",
        ),
        (changed("TARGETS", "TARGET"), "keyturn.yaml:7: jobs.keys.TARGET: there is no such variable. Is TARGETS meant?"),
        (
            changed(f"    TARGETS: {PLACE}\n", ""),
            "keyturn.yaml:3: jobs.keys: TARGETS is needed. A fleet's job has no environment of its own; give e.g. "
            "acme/*:deployment:production.",
        ),
        (changed(f"TARGETS: {PLACE}", "TARGETS: ''"), "keyturn.yaml:3: jobs.keys: TARGETS is needed. A fleet's job has no"),
        (
            changed(PLACE, "deployment:production"),
            "keyturn.yaml:7: jobs.keys.TARGETS: “deployment:production” does not say which repository. Write "
            "acme/shop:deployment:production.",
        ),
        (changed(PLACE, "web"), "keyturn.yaml:7: jobs.keys.TARGETS: “web” must be <pattern>:deployment:<environment>"),
        (changed(PLACE, "acme/web:deployment:prod*"), "keyturn.yaml:7: jobs.keys.TARGETS: “acme/web:deployment:prod*” must"),
        (changed(PLACE, "$PLACES"), "keyturn.yaml:7: jobs.keys.TARGETS: must be written out, so that it can be reviewed."),
        (changed("rotate", "rotat"), "keyturn.yaml:4: jobs.keys.ACTION: must be rotate, pull or replicate, not “rotat”. Is rotate meant?"),
        (changed("ci/ci", "ci/$each"), "keyturn.yaml:6: jobs.keys.SECRET_ID: has $each, and keys has no EACH."),
        (HEAD + "defaults: {CREDENTIALS_VARIABLE: K_$each}\n" + KEYS, "keyturn.yaml:2: defaults.CREDENTIALS_VARIABLE: has $each, and keys has no EACH."),
        (HEAD + "bitbucket: [{for: 'acme/*', BITBUCKET_ACCESS_TOKEN_FROM: 'ssm: /$each'}]\n" + KEYS, "keyturn.yaml:2: bitbucket.0.BITBUCKET_ACCESS_TOKEN_FROM: has $each, which only a job may have."),
        (changed("ACTION: rotate", "ACTION: rotate\n    SECRETS: a b"), "keyturn.yaml:5: jobs.keys.SECRETS: is nothing that rotate takes."),
        (changed("ACTION: rotate", "ACTION: rotate\n    EACH: [a, acme/b]"), "keyturn.yaml:5: jobs.keys.EACH: must be names alone, or patterns alone."),
        (changed("  keys:", "  Keys:"), "keyturn.yaml:3: jobs.Keys: a job's name has small letters, digits and - alone."),
        (
            changed("IAM_USER_NAME: ci", "IAM_USER_NAME: a b"),
            "keyturn.yaml:5: jobs.keys.IAM_USER_NAME: must be the name of an IAM user, not “a b”.",
        ),
        (
            changed("IAM_USER_NAME: ci", "ROTATE_AFTER_DAYS: 010d"),
            "keyturn.yaml:5: jobs.keys.ROTATE_AFTER_DAYS: must be a whole number of days, from 1 to 9,999, not “010d”. Give "
            "the number alone: 010.",
        ),
        (
            changed("IAM_USER_NAME: ci", "IAM_USER_NAME: $WHO"),
            "keyturn.yaml:5: jobs.keys.IAM_USER_NAME: the step has no variable WHO, or an empty one. Pass it in the step's "
            "`variables:`, as WHO: $WHO.",
        ),
        (
            changed("    ACTION: rotate\n", "    ACTION: rotate\n    BITBUCKET_ACCESS_TOKEN: $TOKEN\n"),
            "keyturn.yaml:5: jobs.keys.BITBUCKET_ACCESS_TOKEN: does not belong here. Give it in an entry of `bitbucket`.",
        ),
        (HEAD + "bitbucket: [{BITBUCKET_ACCESS_TOKEN: $T}]\n" + KEYS, "keyturn.yaml:2: bitbucket.0.for: is needed. It says which repositories, as 'project:PAY/*'."),
        (HEAD + "bitbucket: [{for: 'a b', BITBUCKET_ACCESS_TOKEN: $T}]\n" + KEYS, "keyturn.yaml:2: bitbucket.0.for: must be [workspace/]repository or"),
        (HEAD + "bitbucket: [{for: 'acme/*', requests: many, BITBUCKET_ACCESS_TOKEN: $T}]\n" + KEYS, "keyturn.yaml:2: bitbucket.0.requests: must be a number of requests an hour."),
        (HEAD + "bitbucket: [{for: 'acme/*', BITBUCKET_ACCESS_TOKEN: $T}]\n" + KEYS, "keyturn.yaml:2: bitbucket.0.BITBUCKET_ACCESS_TOKEN: the step has no variable T, or an empty one. Pass it in the step's `variables:`, as T: $T."),
        (HEAD + "workspace: a b\n" + KEYS, "keyturn.yaml:2: workspace: must be the name of a workspace."),
    ],
)  # fmt: skip
def test_each_problem_of_the_file_is_named_with_its_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    found = problems(tmp_path, text)
    assert any(each.startswith(said) if not said.endswith(".") else each == said for each in found), found
    assert not any(SECRET in each for each in found)


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        ("", "FLEET_LOCK: there is no keyturn.lock that can be read: No such file or directory. It belongs into the "
             "repository of this step, and FLEET_LOCK says where there. A run with DRY_RUN: 'true' writes it into REPORT_DIR."),
        ("{}", "keyturn.lock:1: the lock does not begin with “keyturn.lock 1”."),
        ("keyturn.lock 2\n", "keyturn.lock:1: the lock is of another format and needs another Keyturn."),
        (LOCK + "keys\n", "keyturn.lock:3: this is no line of a lock."),
        (LOCK + LOCK.splitlines()[1], "keyturn.lock:3: this line stands there twice; the first is on line 2."),
        (LOCK + f"keys {PLACE} {A} {A}\n", f"keyturn.lock:3: {PLACE} has another uuid here than on line 2."),
        (LOCK + f"other {PLACE} {B} {B}\n", f"keyturn.lock:3: {PLACE} has another uuid here than on line 2."),
        (LOCK + f"keys acme/new:deployment:production {A} {B}\n", "keyturn.lock:3: line 2 names the same place by another name."),
        (f"keyturn.lock 1\nkeys evil/web:repository {A}\n", "keyturn.lock:2: evil/web:repository is in another workspace than any that the fleet file names."),
    ],
)  # fmt: skip
def test_each_problem_of_the_lock_is_named_with_its_line(tmp_path: Path, lock: str, said: str) -> None:
    (found,) = problems(tmp_path, HEAD + KEYS, lock)
    assert found.startswith(said), found
    assert problems(tmp_path, HEAD + KEYS, lock, DRY_RUN="offline") == [found]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"SHARE": "5/4"}, "SHARE: there is no share 5 of 4. Give 1/4 to 4/4."),
        ({"BITBUCKET_ACCESS_TOKEN": "ATBBxxxxxxxxxxxxxxxxxxxx"}, "BITBUCKET_ACCESS_TOKEN: begins with ATBB, so that it is of another kind. That is an app password, which Bitbucket does not take any more."),
        ({"SHARE": "half"}, "SHARE: must be parallel, or a share such as 2/4, not “half”."),
        ({"SHARE": "parallel"}, "SHARE: this is no parallel step. Give a share such as 2/4."),
        ({"JOBS": "kyes"}, "JOBS: keyturn.yaml has no job “kyes”. Is keys meant?"),
        ({"FORCE": "true"}, "JOBS: needed with FORCE, which would be for every job of the fleet. Name the jobs."),
        ({"REVOKE": "TEST"}, "REVOKE: TEST is not a key's whole id. Give the whole id, or with JOBS its last letters. REVOKE: 'true' lists the keys."),
        ({"ADOPT_COUNT": "1", "ADOPT_0": "acme/old:repository"}, "JOBS: needed with ADOPT, which would be for every job of the fleet. Name the jobs."),
        ({"ALLOWED_AWS_ACCOUNT_IDS_COUNT": "1", "ALLOWED_AWS_ACCOUNT_IDS_0": "12"}, "keyturn.yaml:3: jobs.keys: ALLOWED_AWS_ACCOUNT_IDS must be a list of account ids of twelve digits, not “12”."),
        ({"FLEET": "none.yaml"}, "FLEET: there is no none.yaml that can be read: No such file or directory. It belongs into "
                                 "the repository of this step, and FLEET says where there."),
    ],
)  # fmt: skip
def test_each_problem_of_the_run_is_named(tmp_path: Path, step: dict[str, str], said: str) -> None:
    assert problems(tmp_path, HEAD + KEYS, **step) == [said]


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    text = changed("rotate", "rotat").replace("TARGETS", "TARGET").replace("version: '1'", "version: '9'")
    assert len(problems(tmp_path, text)) == 3


def test_offline_names_what_the_file_lacks_and_not_what_the_step_would_give(tmp_path: Path) -> None:
    text = (
        HEAD + "jobs:\n  p:\n    ACTION: pull\n    TARGETS: web:repository\n    VAULT_ROLE: a b\n    VAULT_TOKEN: $T\n"
    )
    assert problems(tmp_path, text, "keyturn.lock 1\n", DRY_RUN="offline", BITBUCKET_ACCESS_TOKEN="") == [
        "keyturn.yaml:6: jobs.p.VAULT_ROLE: must be a role's name, not “a b”.",
        "keyturn.yaml:3: jobs.p: SECRETS is needed.",
    ]


def test_offline_a_credential_of_the_step_that_is_given_in_part_is_no_problem(tmp_path: Path) -> None:
    part = {"BITBUCKET_ACCESS_TOKEN": "", "ATLASSIAN_ACCOUNT_EMAIL": "somebody@example.com"}
    assert problems(tmp_path, HEAD + KEYS, DRY_RUN="offline", **part) == []
    assert len(problems(tmp_path, HEAD + KEYS, **part)) == 1


def test_a_list_of_the_step_that_is_not_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "keyturn.yaml").write_text(HEAD + KEYS)
    (tmp_path / "keyturn.lock").write_text(LOCK)
    one = {"TARGETS_COUNT": "1", "TARGETS_0": "acme/web:repository"}
    settings = read_settings({**STEP, "BITBUCKET_CLONE_DIR": str(tmp_path), **one})
    assert settings.job.told == ("TARGETS of the step is not used: the file's own value counts.",)


def test_offline_is_for_a_fleet_alone() -> None:
    with pytest.raises(Refused) as refused:
        read_settings({**STEP, "ACTION": "rotate", "TARGETS": "a/b:repository", "DRY_RUN": "offline"})
    assert "DRY_RUN: offline is for a fleet alone. Give true to see the plan." in map(str, refused.value.problems)
