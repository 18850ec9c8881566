"""A certificate's time, and which refusal points where."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipe.clients.certificate import Facts, Grant, all_to_check, first_to_check, renewal, validity

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
FACTS = Facts("runner-1", "Acme Machines", 0x4D2, NOW - timedelta(days=300), NOW + timedelta(days=65))
GRANT = Grant("arn:aws:rolesanywhere:eu-central-1:1:trust-anchor/a", "arn:aws:rolesanywhere:eu-central-1:1:profile/p",
              "arn:aws:iam::1:role/r")  # fmt: skip


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (timedelta(days=31), ""),
        (timedelta(days=30, hours=23), "expires on 2026-12-29, in 30 days: renew it."),
        (timedelta(days=1, hours=1), "expires on 2026-11-29, in 1 day: renew it."),
        (timedelta(minutes=1), "expires on 2026-11-28, in less than a day: renew it."),
        (timedelta(seconds=-1), ""),
    ],
)
def test_a_certificate_is_to_be_renewed_in_its_last_thirty_days(left: timedelta, text: str) -> None:
    assert renewal(replace(FACTS, until=NOW + left), NOW).removeprefix("AWS_ROLESANYWHERE_CERTIFICATE ") == text


def test_a_certificate_is_valid_from_its_first_to_its_last_second() -> None:
    for now in (FACTS.since, NOW, FACTS.until):
        assert validity(FACTS, now) == ""
    before, after = FACTS.since - timedelta(seconds=1), FACTS.until + timedelta(seconds=1)
    assert validity(FACTS, before) == "the certificate is not valid before 2026-02-01 12:00 UTC"
    assert validity(FACTS, after) == "the certificate expired on 2027-02-01 12:00 UTC"
    assert renewal(FACTS, before) == ""


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("AccessDeniedException Untrusted Signing Certificate", "AWS_ROLESANYWHERE_CHAIN"),
        ("AccessDeniedException Unable to assume role for arn:aws:iam::1:role/r", "AWS_ROLESANYWHERE_ROLE_ARN"),
        ("AccessDeniedException Unable to assume role for arn:aws:iam::1:role/r. Some attributes failed to be mapped "
         "into session tags", "A tag takes"),
        ("AccessDeniedException The request signature does not match", "AWS_ROLESANYWHERE_PRIVATE_KEY"),
        ("AccessDeniedException Certificate revoked", "A CRL of the trust anchor"),
        ("ResourceNotFoundException Profile not found", "AWS_ROLESANYWHERE_PROFILE_ARN"),
        ("ResourceNotFoundException Trust anchor not found", "AWS_ROLESANYWHERE_TRUST_ANCHOR_ARN"),
        ("AccessDeniedException no reason given", "shown above"),
    ],
)  # fmt: skip
def test_a_refusal_s_words_point_at_what_to_check(said: str, named: str) -> None:
    assert named in first_to_check(said, FACTS, NOW)


def test_an_expired_certificate_is_the_cause_whatever_the_words() -> None:
    late = FACTS.until + timedelta(hours=1)
    said = first_to_check("AccessDeniedException Untrusted", FACTS, late)
    assert said == "The certificate expired on 2027-02-01 12:00 UTC: renew AWS_ROLESANYWHERE_CERTIFICATE."


def test_names_stay_on_their_line() -> None:
    odd = replace(FACTS, subject="runner\n\x1b[31mroot", issuer="")
    lines = all_to_check(odd, GRANT).splitlines()
    assert lines[0].startswith("The certificate: subject CN “runner \\x1b[31mroot”, issuer CN “”, serial number 4d2, ")
    assert "x509Issuer" not in "".join(lines)
