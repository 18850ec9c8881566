"""Every way to sign in, on a real OpenBao where it has it, else on a stand-in that checks as the real one does."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pipe.clients.vault_logins import Login, Token, by_app_role, by_aws, by_jwt, by_kubernetes, by_ldap, by_userpass
from pipe.errors import Denied, Missing, ServiceError
from pipe.redact import Secret
from test.clients.vault_bao import Bao
from test.clients.vault_front import Front, Reply, Request
from test.clients.vault_signing import refusal, signed_in, vault_at
from test.clients.vault_tls import authority

ISSUER = "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
AUDIENCE = "ari:cloud:bitbucket::workspace/1f6c6f4e-6b0e-4d6a-9d5e-4a9f4a0a7b11"
REPOSITORY = "{0a2b4c6d-1111-4222-8333-123456789abc}"
SIGNER = ec.generate_private_key(ec.SECP256R1())


def step_token(key: ec.EllipticCurvePrivateKey = SIGNER, **claims: Any) -> Secret:
    """Return a step's token as Bitbucket makes it."""
    whole = {
        "iss": ISSUER, "aud": [AUDIENCE], "sub": f"{REPOSITORY}:{{env}}:{{step}}", "repositoryUuid": REPOSITORY,
        "workspaceUuid": "{1f6c6f4e-6b0e-4d6a-9d5e-4a9f4a0a7b11}", "branchName": "main",
        "deploymentEnvironmentUuid": "{77aa77aa-2222-4333-8444-abcdefabcdef}",
        "exp": int(time.time()) + 600, "iat": int(time.time()), **claims,
    }  # fmt: skip
    return Secret(jwt.encode(whole, key, algorithm="ES256"))


@pytest.fixture(scope="module")
def issuer(bao: Bao) -> str:
    """Return where steps sign in with their tokens, as role `ci`."""
    path = bao.auth("jwt")
    public = SIGNER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    bao.write(f"auth/{path}/config", {"jwt_validation_pubkeys": [public], "bound_issuer": ISSUER})
    bao.write(
        f"auth/{path}/role/ci",
        {"role_type": "jwt", "user_claim": "repositoryUuid", "bound_audiences": [AUDIENCE],
         "bound_claims": {"repositoryUuid": REPOSITORY}, "token_ttl": "5m"},
    )  # fmt: skip
    return path


def test_a_step_signs_in_with_its_token(bao: Bao, issuer: str) -> None:
    assert signed_in(bao.url, by_jwt("ci", step_token(), issuer)) == f"auth/{issuer}/login"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [({"repositoryUuid": "{another}"}, "repositoryUuid"), ({"aud": "another"}, "audience"),
     ({"iss": "https://example.com"}, "iss"), ({"exp": 1_700_000_000}, "expired")],
)  # fmt: skip
def test_a_refused_step_sees_the_reason_and_its_claims_beside_what_binds_them(
    bao: Bao, issuer: str, claims: dict[str, Any], reason: str
) -> None:
    token = step_token(**claims)
    error = refusal(bao.url, by_jwt("ci", token, issuer))
    assert f"jwt at auth/{issuer} (400): " in error.what
    assert reason in error.what
    shown = jwt.decode(token.reveal(), options={"verify_signature": False})
    for name in ("iss", "repositoryUuid", "workspaceUuid", "deploymentEnvironmentUuid", "branchName"):
        assert f"{name} {shown[name]}" in error.check
    assert "sub {" in error.check
    assert f"aud {claims.get('aud', AUDIENCE)}" in error.check
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(shown["exp"]))
    assert f"exp {moment}" in error.check
    for setting in ("bound_issuer or oidc_discovery_url", "bound_audiences", "bound_claims"):
        assert setting in error.check
    assert not any(part in str(error) for part in token.reveal().split("."))


def test_a_token_of_another_key_or_none_at_all_is_refused_without_being_shown(bao: Bao, issuer: str) -> None:
    forged = step_token(ec.generate_private_key(ec.SECP256R1()))
    assert f"repositoryUuid {REPOSITORY}" in refusal(bao.url, by_jwt("ci", forged, issuer)).check
    for garbage in ("no-token-at-all", "a.b.c", "e30.W10.e30", "e30.bm90IGpzb24.e30"):
        error = refusal(bao.url, by_jwt("ci", Secret(garbage), issuer))
        assert "oidc: true" in error.check
        assert garbage not in str(error)


def test_a_token_may_lack_claims(bao: Bao, issuer: str) -> None:
    bare = Secret(jwt.encode({"exp": 99**99}, SIGNER, algorithm="ES256"))
    check = refusal(bao.url, by_jwt("ci", bare, issuer)).check
    assert "must fit a token without iss" in check


def test_an_unknown_role_mount_or_namespace_names_its_variable(bao: Bao, issuer: str) -> None:
    assert "VAULT_ROLE:" in refusal(bao.url, by_jwt("nix", step_token(), issuer)).check
    assert "VAULT_AUTH_PATH:" in refusal(bao.url, by_jwt("ci", step_token(), "nix")).check
    assert "VAULT_AUTH_PATH:" in refusal(bao.url, by_jwt("ci", step_token(), bao.auth("userpass")), ServiceError).check
    old = Front()
    old.reply("*", Reply(404, {"errors": ["no handler for route 'auth/jwt/login'"]}))
    assert "VAULT_AUTH_PATH:" in refusal(old.url, by_jwt("ci", step_token()), Missing).check
    old.close()
    with pytest.raises(Missing, match="namespace not found") as error:
        vault_at(bao.url, "nix").sign_in(by_jwt("ci", step_token(), issuer))
    assert "VAULT_NAMESPACE" in error.value.check


def test_the_mount_is_the_methods_name_where_none_is_given() -> None:
    front = Front()
    front.rule("*", lambda _: Reply(200, {"auth": {"client_token": "s.a-token", "lease_duration": 60}}))
    logins: list[Login] = [
        by_jwt("r", step_token()), by_app_role("i", Secret("not-to-be-shown")),
        by_userpass("u", Secret("not-to-be-shown")),
        by_ldap("u", Secret("not-to-be-shown")), by_kubernetes("r", step_token()),
        by_aws("r", lambda: {"iam_request_url": "x"}),
    ]  # fmt: skip
    for login in logins:
        vault_at(front.url).sign_in(login)
    mounts = [request.operation.removeprefix("POST /v1/") for request in front.seen]
    assert mounts == [
        "auth/jwt/login", "auth/approle/login", "auth/userpass/login/u", "auth/ldap/login/u", "auth/kubernetes/login",
        "auth/aws/login",
    ]  # fmt: skip
    assert not [login for login in logins if "not-to-be-shown" in repr(login)]
    front.close()


def test_a_given_token_is_used_as_it_is(bao: Bao, front: Front) -> None:
    assert signed_in(front.url, Token(Secret(bao.token()))) == "auth/token/create"
    assert len(front.seen) == 1
    with pytest.raises(Denied, match=r"\(403\)"):
        signed_in(bao.url, Token(Secret("s.a-token-of-nobody")))


def test_a_user_signs_in_with_a_password(bao: Bao) -> None:
    path = bao.auth("userpass", "team/users")
    bao.write(f"auth/{path}/users/alice.b", {"password": "correct-horse-battery"})
    assert (
        signed_in(bao.url, by_userpass("alice.b", Secret("correct-horse-battery"), path))
        == f"auth/{path}/login/alice.b"
    )
    error = refusal(bao.url, by_userpass("alice.b", Secret("wrong-horse"), path))
    assert "invalid username or password" in error.what
    assert "VAULT_PASSWORD" in error.check
    assert "wrong-horse" not in str(error)


def test_a_directorys_user_signs_in() -> None:
    """OpenBao's program has no LDAP; this answers its path as the plugin does."""

    def login(request: Request) -> Reply:
        if request.json != {"password": "correct-horse-battery"}:
            return Reply(400, {"errors": ["ldap operation failed: failed to bind as user"]})
        return Reply(200, {"auth": {"client_token": "s.of-a-directory", "lease_duration": 60, "token_type": "service"}})

    front = Front()
    front.rule("POST /v1/auth/corp/ldap/login/alice%20b", login)
    front.rule("GET /v1/auth/token/lookup-self", lambda request: Reply(200, {"data": {"path": request.headers}}))
    assert "s.of-a-directory" in signed_in(front.url, by_ldap("alice b", Secret("correct-horse-battery"), "corp/ldap"))
    error = refusal(front.url, by_ldap("alice b", Secret("wrong-horse"), "corp/ldap"))
    assert "failed to bind as user" in error.what
    assert "VAULT_USERNAME" in error.check
    front.close()


@pytest.mark.parametrize("reason", ["password {0}… is wrong", "{0}: user is locked", "bad {1}", ["no {1}", "{0}"]])
def test_of_a_refused_log_in_nothing_is_repeated(reason: str | list[str]) -> None:
    password = "tr0ub4dor&3"
    said = [each.format(password[:6], password) for each in ([reason] if isinstance(reason, str) else reason)]
    front = Front()
    front.reply("*", Reply(400, {"errors": said if isinstance(reason, list) else said[0]}))
    error = refusal(front.url, by_userpass("alice", Secret(password)))
    assert password[:6] not in str(error)
    told = "user is locked" if "locked" in str(reason) else "no known reason"
    assert f"(400): {told}." in error.what
    front.close()


def test_a_service_account_signs_in(bao: Bao) -> None:
    """OpenBao asks a stand-in of Kubernetes' TokenReview whose token it is."""
    now = int(time.time())
    account = {"namespace": "ci", "serviceaccount": {"name": "runner", "uid": "u-1"}}
    claims = {"sub": "system:serviceaccount:ci:runner", "nbf": now, "exp": now + 600, "kubernetes.io": account}
    token = Secret(jwt.encode(claims, SIGNER, algorithm="ES256"))

    def review(request: Request) -> Reply:
        known = request.json["spec"]["token"] == token.reveal()
        user = {"username": "system:serviceaccount:ci:runner", "uid": "u-1", "groups": ["system:serviceaccounts"]}
        return Reply(201, {"kind": "TokenReview", "status": {"authenticated": known, "user": user if known else {}}})

    cluster = Front()
    cluster.rule("POST /apis/authentication.k8s.io/v1/tokenreviews", review)
    path = bao.auth("kubernetes")
    certificate, _ = authority()
    bao.write(
        f"auth/{path}/config",
        {"kubernetes_host": cluster.url, "token_reviewer_jwt": "reviewer", "kubernetes_ca_cert": certificate,
         "disable_local_ca_jwt": True},
    )  # fmt: skip
    for role, name in (("ci", "runner"), ("other", "somebody")):
        bao.write(
            f"auth/{path}/role/{role}",
            {"bound_service_account_names": name, "bound_service_account_namespaces": "ci"},
        )  # fmt: skip
    assert signed_in(bao.url, by_kubernetes("ci", token, path)) == f"auth/{path}/login"
    assert "VAULT_ROLE:" in refusal(bao.url, by_kubernetes("nix", token, path)).check
    assert "bound_service_account_names" in refusal(bao.url, by_kubernetes("other", token, path)).check
    cluster.close()
