"""Whatever the environment holds, a run ends with 0, 1 or 2, a last line, and no traceback."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from pipe.settings.variables import ACTIONS, VARIABLES
from test.faults.runner import Runner
from test.faults.sample import ALL, SEED, SPOILT
from test.support import JWT

NUMBER = 2000 if SPOILT == ALL else 40
# A run asks nobody but this machine, where nobody listens; whoever waits for longer hangs.
HANGS = 60.0
NOBODY = "http://127.0.0.1:9"
PACE = 0.001

UUID = "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}"
PLAUSIBLE: dict[str, tuple[str, ...]] = {
    "ACTION": ACTIONS,
    "TARGETS": ("deployment:Staging", f"deployment:{UUID}", "acme/shop:repository", "workspace", "deployment:a,a:b"),
    "BITBUCKET_ACCESS_TOKEN": ("ATCTT3xFfGN0nothing",),
    "AWS_OIDC_ROLE_ARN": ("arn:aws:iam::123456789012:role/keyturn",),
    "AWS_ACCESS_KEY_ID": ("AKIAXXXXXXXXXXXXTEST",),
    "AWS_SECRET_ACCESS_KEY": ("secret-of-a-test",),
    "AWS_DEFAULT_REGION": ("eu-central-1",),
    "AWS_ENDPOINT_URL": (NOBODY,),
    "BITBUCKET_API_URL": (f"{NOBODY}/2.0",),
    "BITBUCKET_STEP_OIDC_TOKEN": (JWT, "a.b.c", "eyJ.eyJ.x"),
    "IAM_USER_NAME": ("deploy-bot",),
    "SECRET_ID": ("ci/deploy-bot",),
    "SECRETS": ("secret/ci/db *", "secret/ci/** * | X_;secret/a b | C"),
    "SOURCE": ("vault", "secretsmanager", "ssm"),
    "SNS_TOPIC_ARN": ("arn:aws:sns:us-west-2:123456789012:keyturn",),
    "VAULT_ADDR": (NOBODY, "https://vault.example.com"),
    "VAULT_TOKEN": ("hvs.CAESIJ",),
    "VAULT_AUTH_METHOD": ("token", "jwt", "approle", "kubernetes"),
    "VAULT_ROLE": ("keyturn",),
}  # fmt: skip
OF_THE_STEP = (
    "BITBUCKET_WORKSPACE", "BITBUCKET_REPO_SLUG", "BITBUCKET_REPO_FULL_NAME", "BITBUCKET_BUILD_NUMBER", "CI",
    "BITBUCKET_DEPLOYMENT_ENVIRONMENT", "BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID", "BITBUCKET_REPO_UUID", "NO_COLOR",
)  # fmt: skip
NAMES = tuple(dict.fromkeys((*(variable.name for variable in VARIABLES), *OF_THE_STEP, "BITBUCKET_STEP_OIDC_TOKEN")))
# A notice waits for its topic in real seconds.
SELDOM = {"SNS_TOPIC_ARN": 0.05}
TOKENS = (
    "true", "false", "0", "-1", "9" * 5000, "null", "[" * 3000, "{" * 3000, '{"Statement":' * 900, "é", "\ud800",
    "\udcff", "a.b.c", "::::", "//", "../..", "%00", "$X", "\n\n", ";;", ",", "|", " ", "\x1b[31m", "\u202e",
    "https://", "http://[", "https://[::1", "arn:aws:", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
    "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----",
)  # fmt: skip


def environment(chance: random.Random, folder: Path) -> dict[str, str]:
    """Return an environment that is right here and there, and anything at all elsewhere."""
    wrong = chance.choice((0.02, 0.1, 0.5, 1.0))
    given = {}
    for name in NAMES:
        if chance.random() > SELDOM.get(name, 0.7 if name in PLAUSIBLE else 0.15):
            continue
        fitting = chance.choice(PLAUSIBLE.get(name, ("keyturn",)))
        given[name] = fitting if chance.random() > wrong else _anything(chance)
        if chance.random() < 0.05:
            given[f"{name}_COUNT"] = chance.choice(("1", "3", "x", "-1", _anything(chance)))
            given[f"{name}_0"] = _anything(chance)
    if "REPORT_DIR" in given:
        given["REPORT_DIR"] = f"{folder}/{given['REPORT_DIR'].replace('/', '').replace('..', '')[:100]}"
    # What is no text of a process's environment cannot come here; nor is anybody else's server asked.
    given = {name: text.encode(errors="surrogatepass").decode(errors="surrogateescape") for name, text in given.items()}
    return {**given, "HTTPS_PROXY": NOBODY, "HTTP_PROXY": NOBODY, "NO_PROXY": ""}


def _anything(chance: random.Random) -> str:
    """Return a text of any kind but with a NUL, which no environment can hold."""
    kind = chance.randrange(6)
    if kind == 0:
        return chance.randbytes(chance.choice((1, 8, 60))).replace(b"\0", b"").decode("utf-8", "surrogateescape")
    if kind == 1:
        return chance.choice(TOKENS) * chance.choice((1, 1, 1, 2, 30))
    if kind == 2:
        return "".join(chance.choice(TOKENS) for _ in range(chance.randint(2, 6)))
    if kind == 3:
        return chance.choice(("A", "a/", "é", "\n", "x;", "[{", "ab cd\n")) * chance.choice((200, 2000, 30000))
    if kind == 4:
        return "".join(chr(chance.choice((chance.randint(1, 126), chance.randint(128, 0x2FFF)))) for _ in range(40))
    return chance.choice(PLAUSIBLE[chance.choice(list(PLAUSIBLE))])


def broken(runner: Runner, environ: dict[str, str]) -> str:
    """Return what is wrong with how a run ends, or nothing."""
    watch = threading.Timer(HANGS, runner.kill)
    watch.start()
    try:
        ended = runner.run(environ)
    finally:
        watch.cancel()
    if ended.code not in (0, 1, 2):
        return f"it ended with {ended.code}"
    if "Traceback" in ended.output:
        return "it showed a traceback"
    lines = ended.output.split("\n")
    if lines[-1] or lines[-2][:2] not in ("✔ ", "✖ "):
        return f"its last line is {lines[-2:]}"
    odd = [line for line in lines if not line.isprintable()]
    return f"it printed {odd[0]!a}" if odd else ""


@pytest.mark.sample(5)
@pytest.mark.parametrize("part", range(10))
def test_a_random_environment_ends_in_order(part: int, runner: Runner, tmp_path: Path) -> None:
    found = []
    for number in range(part * NUMBER // 10, (part + 1) * NUMBER // 10):
        environ = environment(random.Random(f"{SEED} {number}"), tmp_path)
        wrong = broken(runner, environ)
        if wrong:
            found.append((number, wrong))
    assert found == []
