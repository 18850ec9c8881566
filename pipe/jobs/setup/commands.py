"""What is printed to be pasted: commands for a POSIX shell (`aws`; `bao` for Vault and OpenBao) and a pipeline; pure.

All commands can be repeated. Where a service only makes what is new, a second one behind `||` updates what is there.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from pipe.permissions import ATTACHED, INLINE, MANAGED, Home, Statement, compact, document, split, trusts_step
from pipe.pipeline_step import PipelineStep
from pipe.selectors import Selector

# What needs no quotes in YAML, but for some words.
_PLAIN = re.compile(r"(?!(?:true|false|yes|no|on|off|null)$)[A-Za-z$/][\w./:@$+-]*[\w/]", re.IGNORECASE)

# What a step is called that has one action.
STEPS = {"rotate": "Rotate AWS access keys", "pull": "Pull secrets", "replicate": "Replicate secrets"}

Variables = Mapping[str, str | tuple[str, ...]]


def aws(step: PipelineStep, role_arn: str, grants: Mapping[str, Sequence[Statement]]) -> str:
    """Return what makes the provider of the step's tokens, the role, and its policies by their names."""
    home, issuer, audience = Home.of(role_arn, ""), issuer_of(step), step.audiences[0]
    provider = home.iam(f"oidc-provider/{issuer.partition('://')[2]}")
    path, _, role = role_arn.partition(":role")[2].rpartition("/")
    trust = json.dumps(trusts_step(home, issuer, audience, step.subject), indent=2)
    return "\n".join([
        _command("iam create-open-id-connect-provider", {"url": issuer, "client-id-list": audience}) + " ||",
        _command("iam add-client-id-to-open-id-connect-provider", {
            "open-id-connect-provider-arn": provider,
            "client-id": audience,
        }),
        f"\ntrust={shlex.quote(trust)}",
        f"aws iam create-role --role-name {role}{f' --path {path}/' if path else ''} \\",
        '  --assume-role-policy-document "$trust" ||',
        f'aws iam update-assume-role-policy --role-name {role} --policy-document "$trust"',
        *_policies(home, role, grants),
    ]) + "\n"  # fmt: skip


def _policies(home: Home, role: str, grants: Mapping[str, Sequence[Statement]]) -> Iterator[str]:
    """Yield what gives a role its policies: written into it, or where that is too much for IAM, beside it."""
    texts = {name: shlex.quote(json.dumps(document(each), indent=2)) for name, each in grants.items()}
    size = sum(len(compact(document(each))) for each in grants.values())
    if size <= INLINE:
        for name, text in texts.items():
            yield (f"\naws iam put-role-policy --role-name {role} --policy-name {name} \\\n  --policy-document {text}")
        return
    parts = split(statement for each in grants.values() for statement in each)
    yield (
        f"\n# A role's own policies may have {INLINE:,} characters, and these have\n"
        f"# {size:,}: they are put beside the role, as {len(parts)} policies of at most {MANAGED:,}.\n"
        "# AWS keeps five versions of each: where it refuses a sixth, delete an old one\n"
        "# by aws iam delete-policy-version."
    )
    if len(parts) > ATTACHED:
        yield (
            f"# WARNING: a role may have {ATTACHED} such policies: ask AWS for a larger quota (at\n"
            "# most 25), or give some of the jobs an AWS_OIDC_ROLE_ARN of their own."
        )
    for number, part in enumerate(parts, 1):
        name = f"{role}-{number}"
        arn = home.iam(f"policy/{name}")
        yield (
            f"\npolicy={shlex.quote(json.dumps(document(part), indent=2))}\n"
            f'aws iam create-policy --policy-name {name} --policy-document "$policy" ||\n'
            f'aws iam create-policy-version --policy-arn {arn} --policy-document "$policy" --set-as-default\n'
            f"aws iam attach-role-policy --role-name {role} --policy-arn {arn}"
        )


def policy(name: str, selectors: Sequence[Selector]) -> str:
    """Return what writes Vault's policy, for secrets of KV version 2 in mounts that are their paths' first parts."""
    below = [each for each in selectors if each.recursive]
    single = [each for each in selectors if not each.recursive]
    lines = [
        *_granted(selectors, "data", "read"),
        *_granted(below, "metadata", "read", "list"),
        *_granted(single, "metadata", "read"),
    ]
    if below:
        lines.append("# OpenBao can tell all versions in a folder at once, which is cheaper, with:")
        lines += [f"# {line}" for line in _granted(below, "detailed-metadata", "scan")]
    return "\n".join([f"bao policy write {name} - <<'END'", *lines, "END\n"])


def sign_in(step: PipelineStep, mount: str, role: str) -> str:
    """Return what lets Vault take the step's tokens, and makes the role, whose policy has its name.

    What is mounted there for another issuer is left alone: others sign in by it.
    """
    claims = {"repositoryUuid": step.repository_uuid, "deploymentEnvironmentUuid": step.environment_uuid}
    told = {
        "role_type": "jwt",
        "bound_audiences": [step.audiences[0]],
        "bound_claims": {claim: uuid for claim, uuid in claims.items() if uuid},
        "user_claim": "repositoryUuid",
        "token_policies": [role],
        "token_ttl": "15m",
        "token_max_ttl": "15m",
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in told.items())
    return (
        "# A mount that is there for another issuer is shown, and left alone.\n"
        f"issuer={shlex.quote(issuer_of(step))}\n"
        f"bao auth enable{'' if mount == 'jwt' else f' -path={mount}'} jwt ||\n"
        f'  ! bao read -field=bound_issuer auth/{mount}/config | grep -vxF "$issuer" &&\n'
        f'bao write auth/{mount}/config oidc_discovery_url="$issuer" bound_issuer="$issuer" &&\n'
        f"bao write auth/{mount}/role/{role} - <<'END'\n{{\n{lines}\n}}\nEND\n"
    )


def issuer_of(step: PipelineStep) -> str:
    """Return the issuer of the step's tokens, as its own token says it or else as Bitbucket is known to."""
    return step.claims.get("iss") or step.issuer


def pipeline(environment: str, image: str, actions: Mapping[str, Variables]) -> str:
    """Return the pipeline.

    Each action is a pipe of one step, since one sign-in serves all of them. A single one can be run by hand as another
    one, too. Beside a rotation stands the pipeline for a leaked key, so that nobody needs a commit on that day.
    """
    lines = ["pipelines:", "  custom:", "    keyturn:", *_keyturn(environment, image, actions)]
    if rotates := actions.keys() & {"rotate", "fleet"}:
        leak = {each: {"REVOKE": "$REVOKE", **actions[each]} for each in rotates}
        lines += ["    revoke-key:", *_asked("REVOKE", "'true'  # is refused: whoever runs it gives the key's id")]
        lines += _step("Switch off a leaked AWS access key", environment, image, leak)
    return "\n".join(lines) + "\n"


def _keyturn(environment: str, image: str, actions: Mapping[str, Variables]) -> Iterator[str]:
    dry_run = _asked("DRY_RUN", "'false'", "'false', 'true'")
    if len(actions) > 1:
        pipes = {each: {"DRY_RUN": "$DRY_RUN", **variables} for each, variables in actions.items()}
        yield from (*dry_run, *_step("Keyturn", environment, image, pipes))
        return
    ((action, variables),) = actions.items()
    yield from (*_asked("ACTION", action, f"setup, doctor, {action}, status"), *dry_run[1:])
    asked = {"DRY_RUN": "$DRY_RUN"}
    if action == "rotate":
        # A young key is rotated by hand, too, to try it.
        yield from _asked("FORCE", "'false'", "'false', 'true'")[1:]
        asked["FORCE"] = "$FORCE"
    yield from _step(STEPS.get(action, "Keyturn"), environment, image, {"$ACTION": {**asked, **variables}})


def _asked(name: str, default: str, allowed: str = "") -> list[str]:
    """Return a variable that whoever runs a pipeline by hand is asked for, below the word `variables`."""
    lines = ["      - variables:", f"          - name: {name}", f"            default: {default}"]
    return [*lines, f"            allowed-values: [{allowed}]"] if allowed else lines


def _granted(selectors: Sequence[Selector], view: str, *capabilities: str) -> list[str]:
    listed = ", ".join(f'"{each}"' for each in capabilities)
    paths = dict.fromkeys(_path(each, view) for each in selectors)
    return [f'path "{path}" {{ capabilities = [{listed}] }}' for path in paths]


def _path(selector: Selector, view: str) -> str:
    mount, _, place = selector.path.partition("/")
    # A path may be written as the API has it.
    parts = [mount, view, place.removeprefix("data/"), "*" if selector.recursive else ""]
    return "/".join(filter(None, parts))


def _command(what: str, options: Mapping[str, str]) -> str:
    return " \\\n".join([f"aws {what}", *(f"  --{name} {shlex.quote(value)}" for name, value in options.items())])


def _step(name: str, environment: str, image: str, actions: Mapping[str, Variables]) -> Iterator[str]:
    yield from ("      - step:", f"          name: {name}", "          oidc: true")
    if environment:
        yield f"          deployment: {_word(environment)}"
    yield from ("          concurrency-group: keyturn", "          script:")
    for action, variables in actions.items():
        yield from (f"            - pipe: {image}", "              variables:")
        yield from (f"                {line}" for line in _lines({"ACTION": action, **variables}))


def _lines(variables: Variables) -> Iterator[str]:
    for name, value in variables.items():
        if isinstance(value, str):
            yield f"{name}: {_word(value)}"
        else:
            yield f"{name}:"
            yield from (f"  - {_word(item)}" for item in value)


def _word(text: str) -> str:
    """Return a text as one word of YAML, which understands quoted texts of JSON."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
