"""Whose token STS takes, in AWS's own words; `request` and `client_of` serve its other tests too."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import jwt
import pytest

from sandbox.aws import Pair
from sandbox.aws.trust import ANYBODY, trusting_steps
from sandbox.bitbucket import Workspace
from sandbox.issuer import Issuer
from test.sandbox.steps import REPOSITORY, Steps
from test.sandbox.test_aws import Bench, refusal, words

DENIED = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
NO_JWT = (
    "InvalidIdentityToken",
    "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
)
NO_KEY = (
    "InvalidIdentityToken",
    "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity "
    "documentation for requirements",
)
FORGED = ("InvalidIdentityToken", "Token signature invalid")
TOO_EARLY = ("InvalidIdentityToken", "Token not yet valid")
NOT_ITS_AUDIENCE = ("InvalidIdentityToken", "Incorrect token audience")


def request(bench: Bench, role: str, token: str, **more: Any) -> Any:
    """Return a call that asks for a session by a token."""
    call = bench.anonymous().assume_role_with_web_identity
    return lambda: call(**{"RoleArn": role, "RoleSessionName": "run", "WebIdentityToken": token} | more)


def client_of(bench: Bench, service: str, answer: Any) -> Any:
    given = answer["Credentials"]
    pair = Pair(given["AccessKeyId"], given["SecretAccessKey"])
    return bench.client(service, pair, token=given["SessionToken"])


def test_a_step_s_token_gets_a_session_that_works(bench: Bench, steps: Steps) -> None:
    role = bench.aws.add_role("pipe", trust=steps.trust, actions=["secretsmanager:ListSecrets"])
    answer = request(bench, role, steps.token())()
    arn = client_of(bench, "sts", answer).get_caller_identity()["Arn"]
    assert arn == "arn:aws:sts::123456789012:assumed-role/pipe/run"
    assert client_of(bench, "secretsmanager", answer).list_secrets()
    assert refusal(client_of(bench, "iam", answer).list_users) == ("AccessDenied", 403)


def test_another_workspace_s_issuer_is_nobody(bench: Bench, steps: Steps) -> None:
    other = Issuer(Workspace("umbrella"), steps.issuer.host)
    role = bench.aws.add_role("pipe", trust=ANYBODY)
    missing = f"No OpenIDConnect provider found in your account for {other.url}"
    assert words(request(bench, role, other.token(REPOSITORY))) == ("InvalidIdentityToken", missing)
    slash = steps.token(iss=steps.issuer.url + "/")
    assert words(request(bench, role, slash)) == ("InvalidIdentityToken", missing.replace("umbrella", "acme") + "/")


@pytest.mark.parametrize("token", ["", "rubbish", "a.b.c", "e30.e30.c2ln"])
def test_what_is_no_token_is_refused(bench: Bench, steps: Steps, token: str) -> None:
    role = bench.aws.add_role("pipe", trust=ANYBODY)
    assert words(request(bench, role, token)) == NO_JWT


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "exp", "iat"])
def test_a_claim_that_is_missing_is_named(bench: Bench, steps: Steps, claim: str) -> None:
    role = bench.aws.add_role("pipe", trust=ANYBODY)
    token = steps.token(**{claim: None})
    assert words(request(bench, role, token)) == ("InvalidIdentityToken", f"Missing a required claim: {claim}")


def test_a_token_holds_from_its_issue_to_its_end_by_the_sandbox_s_clock(bench: Bench, steps: Steps) -> None:
    role = bench.aws.add_role("pipe", trust=steps.trust)
    token = steps.token()
    claims = jwt.decode(token, options={"verify_signature": False})
    call = request(bench, role, token)
    bench.clock.move(minutes=-1)
    assert words(call) == TOO_EARLY
    bench.clock.move(minutes=60)
    assert call()
    bench.clock.move(minutes=2)
    code, text = words(call)
    assert code == "ExpiredTokenException"
    assert text.startswith("Token expired: current date/time ")
    assert text.endswith(f" must be before the expiration date/time {claims['exp']}")
    assert refusal(call) == ("ExpiredTokenException", 400)


def test_the_audience_is_one_that_the_provider_knows(bench: Bench, steps: Steps) -> None:
    role = bench.aws.add_role("pipe", trust=steps.trust)
    for audience in ("vault", ["vault", "gcp"]):
        assert words(request(bench, role, steps.token(audience=audience))) == NOT_ITS_AUDIENCE
    for several in ([steps.issuer.audience], ["vault", steps.issuer.audience]):
        assert request(bench, role, steps.token(audience=several))()


def test_the_trust_policy_is_asked_about_the_audience_that_the_provider_knows(bench: Bench, steps: Steps) -> None:
    iam = bench.client("iam")
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=steps.provider)
    iam.create_open_id_connect_provider(Url=steps.issuer.url, ClientIDList=[steps.issuer.audience, "aws"])
    role = bench.aws.add_role("pipe", trust=trusting_steps(steps.provider, "aws", "*"))
    assert request(bench, role, steps.token(audience=["vault", "aws"]))()
    assert words(request(bench, role, steps.token())) == DENIED


def test_a_token_that_was_tampered_with_is_refused(bench: Bench, steps: Steps) -> None:
    role = bench.aws.add_role("pipe", trust=ANYBODY)
    head, body, signature = steps.token().split(".")
    other = steps.token(sub="{another}:{step}").split(".")[1]
    assert words(request(bench, role, f"{head}.{other}.{signature}")) == FORGED
    flipped = bytearray(urlsafe_b64decode(signature + "=="))
    flipped[0] ^= 1
    assert words(request(bench, role, f"{head}.{body}.{urlsafe_b64encode(flipped).decode().rstrip('=')}")) == FORGED


def test_a_key_of_somebody_else_s_is_no_use(bench: Bench, steps: Steps) -> None:
    role = bench.aws.add_role("pipe", trust=ANYBODY)
    thief = Issuer(REPOSITORY.workspace, steps.issuer.host)
    thief.rotate()
    assert words(request(bench, role, thief.token(REPOSITORY))) == NO_KEY


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_algorithm_without_the_issuer_s_key_is_refused(bench: Bench, steps: Steps, algorithm: str) -> None:
    role = bench.aws.add_role("pipe", trust=ANYBODY)
    kid = jwt.get_unverified_header(steps.token())["kid"]
    secret = "" if algorithm == "none" else "a secret of thirty-two characters or more"
    claims = jwt.decode(steps.token(), options={"verify_signature": False})
    token = jwt.encode(claims, secret, algorithm=algorithm, headers={"kid": kid})
    assert words(request(bench, role, token)) == NO_JWT


def test_a_new_key_of_the_issuer_is_fetched_when_it_is_first_seen(bench: Bench, steps: Steps) -> None:
    role = bench.aws.add_role("pipe", trust=steps.trust)
    assert request(bench, role, steps.token())()
    before = steps.fetched
    assert request(bench, role, steps.token())()
    assert steps.fetched == before == 2
    old = steps.token()
    steps.issuer.rotate()
    assert request(bench, role, old)()
    assert steps.fetched == before
    assert request(bench, role, steps.token())()
    assert steps.fetched == 2 * before
    assert words(request(bench, role, old)) == NO_KEY


@pytest.mark.parametrize(("status", "code"), [(503, "IDPCommunicationError"), (404, "InvalidIdentityToken")])
def test_an_issuer_that_answers_wrongly_is_told(bench: Bench, steps: Steps, status: int, code: str) -> None:
    role = bench.aws.add_role("pipe", trust=steps.trust)
    steps.answers = status
    assert refusal(request(bench, role, steps.token())) == (code, 400)
    steps.answers = 200
    assert request(bench, role, steps.token())()


def test_only_steps_that_the_trust_policy_describes_are_admitted(bench: Bench, steps: Steps) -> None:
    role = bench.aws.add_role("pipe", trust=steps.trust)
    assert refusal(request(bench, role, steps.token(sub="{another}:{step}"))) == ("AccessDenied", 403)
    assert words(request(bench, role, steps.token(sub="{another}:{step}"))) == DENIED
    assert words(request(bench, role + "x", steps.token())) == DENIED
    by_default = bench.aws.add_role("other")
    assert words(request(bench, by_default, steps.token())) == DENIED
