"""The shortest pipeline that does what somebody wants, as YAML; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from pipe.actions.setup.what import ROLE, Gaps, secret_of
from pipe.wishes import Wishes

# Words that need no quotes in YAML.
_PLAIN = re.compile(r"[A-Za-z$/][\w./:@$+-]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null"})


def pipeline(wishes: Wishes, role_arn: str, image: str, gaps: Gaps) -> str:
    """Return the pipeline; each action is a pipe of one step, since one sign-in serves all of them."""
    step = wishes.step
    lines = ["pipelines:", "  custom:", "    keyturn:", "      - step:", "          oidc: true"]
    if step.environment:
        lines.append(f"          deployment: {_word(step.environment)}")
    lines += ["          concurrency-group: keyturn", "          script:"]
    for action in wishes.actions:
        lines += [f"            - pipe: {image}", "              variables:"]
        lines += [f"                {line}" for line in _variables(wishes, action, role_arn, gaps)]
    return "\n".join(lines) + "\n"


def _variables(wishes: Wishes, action: str, role_arn: str, gaps: Gaps) -> Iterator[str]:
    yield f"ACTION: {action}"
    from_vault = action == "replicate" or (action == "pull" and wishes.source == "vault")
    if action != "replicate":
        yield from _targets(wishes, gaps)
    if action == "rotate":
        yield f"IAM_USER_NAME: {_word(gaps.fill(wishes.user, 'user'))}"
        secret = secret_of(wishes, gaps)
        if secret:
            yield f"SECRET_ID: {_word(secret)}"
    else:
        yield from _secrets(wishes, action, gaps)
    if from_vault:
        yield f"VAULT_ADDR: {_word(wishes.vault or 'https://' + gaps.fill('', 'vault') + ':8200')}"
        yield f"VAULT_ROLE: {_word(wishes.vault_role or ROLE)}"
        more = {"VAULT_NAMESPACE": wishes.namespace, "VAULT_AUTH_PATH": wishes.auth_path}
        yield from (f"{name}: {_word(value)}" for name, value in more.items() if value)
    if action != "pull" or not from_vault:
        yield f"AWS_OIDC_ROLE_ARN: {_word(role_arn)}"
        yield f"AWS_DEFAULT_REGION: {_word(gaps.fill(wishes.region, 'region'))}"
    if action == "replicate":
        yield f"AWS_SECRET_PREFIX: {_word(gaps.fill(wishes.prefix, 'prefix'))}"
        yield from ([f"KMS_KEY_ID: {_word(wishes.kms_key)}"] if wishes.kms_key else [])
    if wishes.prune and action != "rotate":
        yield "PRUNE: 'true'"
    if action != "replicate":
        yield "BITBUCKET_ACCESS_TOKEN: $BITBUCKET_ACCESS_TOKEN"


def _targets(wishes: Wishes, gaps: Gaps) -> Iterator[str]:
    if wishes.targets:
        yield "TARGETS:"
        yield from (f"  - {_word(target)}" for target in wishes.targets)
    elif not wishes.step.environment:
        yield f"TARGETS: {_word('deployment:' + gaps.fill('', 'environment'))}"


def _secrets(wishes: Wishes, action: str, gaps: Gaps) -> Iterator[str]:
    # A replica has no variable that would be named.
    named = [(replace(each, name="") if action == "replicate" else each).text for each in wishes.selectors]
    if not named:
        folder = gaps.fill("", "folder")
        named = [f"{folder}/** *" if wishes.source == "secretsmanager" else f"{gaps.fill('', 'mount')}/{folder}/** *"]
    yield "SECRETS:"
    yield from (f"  - {_word(text)}" for text in named)
    if wishes.source == "secretsmanager":
        yield "SOURCE: secretsmanager"


def _word(text: str) -> str:
    """Return a text as one word of YAML."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and not text.endswith(":"):
        return text
    return "'" + text.replace("'", "''") + "'"
