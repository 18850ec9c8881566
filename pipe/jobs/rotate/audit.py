"""Holds keys against the rule that auditors have: no active access key older than 90 days."""

from __future__ import annotations

from datetime import timedelta

from pipe.jobs.rotate.facts import Rotation, RotationFacts

ALLOWED = timedelta(days=90)

RULE = "AWS Config's access-keys-rotated wants no active key older than 90 days"

ADVICE = "DEACTIVATE_AFTER_DAYS 90 or less keeps to it: ROTATE_AFTER_DAYS 75 alone makes it 85."


def breach_of(facts: RotationFacts, policy: Rotation) -> str:
    """Say which keys are active longer than the rule allows, or would be by the settings; nothing where none."""
    old = [key for key in facts.keys if key.active and facts.now - key.created > ALLOWED]
    breaches = [f"{key.name} has been active for {key.age_days(facts.now)} days" for key in old]
    if policy.deactivate_after > ALLOWED:
        breaches.append(f"by these settings a key stays active for {policy.deactivate_after.days} days or more")
    return f"{RULE}; {'; '.join(breaches)}" if breaches else ""
