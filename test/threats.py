"""The threat model: assets, threats, and controls, each with the test that fails where it is taken out.

`python -m test.threats` writes docs/threats.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pipe import permissions
from pipe.permissions import Home, Permission
from pipe.selectors import Selector
from test.support import ROOT

PAGE = ROOT / "docs" / "threats.md"

ASSETS = {
    "keys": "The secrets of access keys, above all of one that was just made, which Bitbucket does not mask yet.",
    "secrets": "What is pulled or replicated: the values of Vault, Secrets Manager and Parameter Store.",
    "credentials": "What Keyturn signs in with: Bitbucket's tokens, Vault's tokens, AWS's sessions, the step's token.",
    "consumers": "The pipelines that read the variables: each must hold a pair that works at any moment.",
    "others": "What is not Keyturn's: other people's keys, secrets and variables.",
    "word": "The last line, the exit code and the reports, by which people and monitors act.",
}

THREATS = {
    "leak": "A value gets into a log, a report, an error, or to another host.",
    "steal": "Whoever stands in the network's way reads or changes what is sent.",
    "widen": "A right over one thing becomes a right over another, by a forged proof, a name or a wide policy.",
    "destroy": "Something is deleted or switched off that is in use, or is somebody else's.",
    "break": "A consumer gets a pair that does not work, or loses the one that does.",
    "deceive": "A server, a proxy or a stale list says what is not so, and Keyturn believes it.",
    "hang": "An answer without an end, or a huge one, keeps a run from its end, or kills it half-way.",
}


class Control(NamedTuple):
    """What stands against a threat: where it is in the source, what takes it out, and the test that notices."""

    name: str
    assets: str
    threats: str
    file: str
    stands: str
    without: str
    test: str


CONTROLS = (
    Control(
        "A secret shows itself in no repr and no text.",
        "keys secrets credentials",
        "leak",
        "pipe/redact.py",
        '        return "Secret(…)"\n',
        "        return self._value\n",
        "test/test_redact.py::test_a_secret_shows_itself_nowhere",
    ),
    Control(
        "A secret can be written to no file by mistake.",
        "keys secrets credentials",
        "leak",
        "pipe/redact.py",
        '    def __reduce__(self) -> NoReturn:\n        raise TypeError("a Secret cannot be pickled")\n',
        "",
        "test/test_redact.py::test_a_secret_can_be_neither_pickled_nor_written_as_json",
    ),
    Control(
        "A value is hidden in whatever encoding it stands.",
        "keys secrets credentials",
        "leak",
        "pipe/redact.py",
        "any(self._holds(reading) for reading in decodings(text))",
        "self._holds(text)",
        "test/test_redact.py::test_a_text_with_a_value_in_any_form_is_hidden",
    ),
    Control(
        "A part of a value is hidden, too.",
        "keys secrets credentials",
        "leak",
        "pipe/redact.py",
        "        if self._grams.isdisjoint([text[at : at + _GRAM] for at in range(len(text))]):\n",
        "        if self._grams is not None:\n",
        "test/test_redact.py::test_a_value_that_is_cut_is_hidden",
    ),
    Control(
        "What steers a terminal is escaped.",
        "word",
        "deceive",
        "pipe/redact.py",
        '    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)\n',
        "    return text\n",
        "test/test_redact.py::test_what_steers_a_terminal_is_escaped",
    ),
    Control(
        "No redirect is followed, so that no token goes to another host.",
        "credentials",
        "leak steal",
        "pipe/clients/http.py",
        "retries=False, redirect=False, ",
        "redirect=True, ",
        "test/clients/test_http.py::test_an_answer_of_any_status_is_an_answer_and_leads_nowhere",
    ),
    Control(
        "Nothing is asked that is not below the service's own address, wherever an answer's link leads.",
        "credentials",
        "leak deceive",
        "pipe/clients/http.py",
        "        self._see_below_root(url, what)\n",
        "",
        "test/clients/test_http.py::test_nothing_is_asked_that_is_not_below_the_root",
    ),
    Control(
        "TLS 1.2 is the oldest that is spoken, whatever the machine allows.",
        "credentials secrets",
        "steal",
        "pipe/clients/http.py",
        "    trust.minimum_version = ssl.TLSVersion.TLSv1_2\n",
        "    trust.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED\n",
        "test/clients/test_http.py::test_no_older_tls_is_spoken_whatever_the_machine_allows",
    ),
    Control(
        "An authority that is given replaces all others that are trusted.",
        "credentials secrets",
        "steal",
        "pipe/clients/http.py",
        "ssl.create_default_context(cadata=ca) if ca else ssl",
        "ssl",
        "test/clients/test_http.py::test_authorities_that_are_none_are_refused",
    ),
    Control(
        "A header with line breaks is refused.",
        "credentials",
        "widen",
        "pipe/clients/http.py",
        "if _CONTROL.search(value):",
        "if False:",
        "test/clients/test_http.py::test_a_header_that_none_can_be_is_refused_without_being_shown",
    ),
    Control(
        "Answers of more than 8 MiB are not read.",
        "consumers",
        "hang",
        "pipe/clients/http.py",
        "if len(answer.body) > LARGEST:",
        "if False:",
        "test/clients/test_http.py::test_no_answer_is_read_that_is_larger_than_any_of_the_service_s",
    ),
    Control(
        "No request outlives the run, which ends before another one may take its work over.",
        "consumers",
        "hang break",
        "pipe/retry.py",
        "        if now >= self._last:",
        "        if False:",
        "test/clients/test_http.py::test_after_the_end_of_a_run_nothing_is_asked",
    ),
    Control(
        "JSON that is nested too deeply is none of the service's.",
        "word",
        "deceive hang",
        "pipe/clients/answer.py",
        "    if too_deep:\n",
        "    if False:\n",
        "test/clients/test_answer.py::test_json_that_is_too_deep_is_no_answer",
    ),
    Control(
        "A field of another type than the service's is an error, and is not made to fit.",
        "word",
        "deceive",
        "pipe/clients/answer.py",
        "if value is None or isinstance(value, kind):",
        "if True:",
        "test/clients/test_answer.py::test_a_field_of_a_wrong_type_is_named_and_not_shown",
    ),
    Control(
        "A number that cannot be is an error.",
        "word",
        "deceive",
        "pipe/clients/answer.py",
        "if not 0 <= value <= 2**53:",
        "if False:",
        "test/clients/test_answer.py::test_a_field_of_a_wrong_type_is_named_and_not_shown",
    ),
    Control(
        "Services are spoken to by https; http is for the machine itself alone.",
        "credentials secrets",
        "steal",
        "pipe/settings/rules.py",
        "        return ipaddress.ip_address(host).is_loopback\n",
        "        return True\n",
        "test/test_settings_pull.py::test_all_problems_at_once",
    ),
    Control(
        "A policy for a user's keys is for that very user.",
        "others",
        "widen",
        "pipe/permissions.py",
        'home.iam(f"user/*/{user}"))',
        'home.iam("user/*"))',
        "test/test_policies.py::test_a_user_is_meant_with_any_path",
    ),
    Control(
        "A policy for a secret is for that very name, and for none that begins so.",
        "others",
        "widen",
        "pipe/permissions.py",
        'name if name.endswith("*") else name + SUFFIX',
        'name + "*"',
        "test/test_policies.py::test_the_secrets_that_a_name_is_for",
    ),
    Control(
        "Only a run with PRUNE may delete secrets of AWS.",
        "others",
        "destroy",
        "pipe/permissions.py",
        '("DeleteSecret",) if prune else ()',
        '("DeleteSecret",)',
        "test/test_policies.py::test_only_pruning_deletes_replicas",
    ),
    Control(
        "Keys that Keyturn cannot prove to be its own stay as they are.",
        "others",
        "destroy",
        "pipe/jobs/rotate/plan_old_keys.py",
        "        elif not ours:\n            continue\n",
        "",
        "test/rotate/test_decide.py::test_the_date_of_the_next_rotation_is_said",
    ),
    Control(
        "A key that is in use stays active.",
        "consumers",
        "break",
        "pipe/jobs/rotate/plan_old_keys.py",
        "elif use.at is not None and facts.now - use.at < QUIET:",
        "elif False:",
        "test/rotate/test_decide.py::test_an_old_key_that_is_active",
    ),
    Control(
        "A key whose last use is not known stays active.",
        "consumers",
        "break deceive",
        "pipe/jobs/rotate/plan_old_keys.py",
        "    elif use is None:\n",
        "    elif use is None and facts.now is None:\n",
        "test/rotate/test_decide.py::test_an_old_key_that_is_active",
    ),
    Control(
        "A replaced key stays active through its grace period.",
        "consumers",
        "break",
        "pipe/jobs/rotate/plan_old_keys.py",
        "elif fresh or not grace_is_over(facts, policy, key):",
        "elif fresh:",
        "test/rotate/test_decide.py::test_an_old_key_that_is_active",
    ),
    Control(
        "The key that signs the run stays active.",
        "consumers",
        "break",
        "pipe/jobs/rotate/plan_old_keys.py",
        "if key.id == facts.caller.key_id:",
        "if False:",
        "test/rotate/test_decide.py::test_the_key_that_signs_the_run_stays",
    ),
    Control(
        "A place outside of TARGETS that holds the old key postpones its end.",
        "consumers",
        "break",
        "pipe/jobs/rotate/plan_old_keys.py",
        "elif ways := in_the_way(facts, policy):",
        "elif ways := ():",
        "test/rotate/test_decide.py::test_a_place_outside_of_the_targets_keeps_a_key_from_being_switched_off",
    ),
    Control(
        "A key that existed before an announcement is no leftover of it.",
        "others",
        "destroy",
        "pipe/jobs/rotate/facts.py",
        " or key.id in intent.keys:",
        ":",
        "test/rotate/test_decide_repair.py::test_a_key_that_is_not_proven_to_be_ours_is_never_removed",
    ),
    Control(
        "A key that somebody has used is no leftover.",
        "consumers",
        "destroy",
        "pipe/jobs/rotate/facts.py",
        "return use.at is None or",
        "return True or",
        "test/rotate/test_decide_repair.py::test_a_key_without_a_stored_secret_is_lost_also_after_its_own_verification_and_after_nothing_else",
    ),
    Control(
        "A key that a target holds is no leftover.",
        "consumers",
        "destroy break",
        "pipe/jobs/rotate/facts.py",
        "if self.held_by(key.id) or any(holder.key_id == key.id for holder in self.holders):",
        "if False:",
        "test/rotate/test_decide_repair.py::test_a_key_that_is_not_proven_to_be_ours_is_never_removed",
    ),
    Control(
        "A pair is seen to be the right user's before anybody gets it.",
        "consumers",
        "break deceive",
        "pipe/jobs/rotate/verify.py",
        "    if (identity.account, identity.user) != (facts.caller.account, facts.user):",
        "    if False:",
        "test/rotate/test_verify.py::test_a_key_of_somebody_else_never_counts",
    ),
    Control(
        "A new key has to be right three times in a row.",
        "consumers",
        "break",
        "pipe/jobs/rotate/verify.py",
        "            in_a_row = 0\n",
        "",
        "test/rotate/test_verify.py::test_a_refusal_in_between_makes_the_successes_before_it_count_no_more",
    ),
    Control(
        "No secret becomes a variable of Bitbucket's own, or of Keyturn's.",
        "consumers credentials",
        "widen",
        "pipe/jobs/pull/resolve.py",
        "    whose = reserved(name)\n",
        '    whose = ""\n',
        "test/pull/test_resolve.py::test_names_that_cannot_be",
    ),
    Control(
        "Nothing is pruned where nothing at all was found.",
        "secrets",
        "destroy deceive",
        "pipe/jobs/prune.py",
        "    if not looked.found:\n        return",
        "    if looked.found is None:\n        return",
        "test/sources/test_inventory.py::test_what_nothing_was_found_of_needs_a_person",
    ),
    Control(
        "Nothing is pruned where something could not be looked at.",
        "secrets",
        "destroy deceive",
        "pipe/jobs/prune.py",
        "    if looked.problem is not None or looked.failed:\n        return",
        "    if False:\n        return",
        "test/sources/test_inventory.py::test_nothing_goes_where_not_all_could_be_looked_at",
    ),
    Control(
        "More than five and more than a fifth are not pruned in one run.",
        "secrets",
        "destroy",
        "pipe/jobs/prune.py",
        "if orphaned > FEW and orphaned > SHARE * owned:",
        "if False:",
        "test/sources/test_inventory.py::test_more_than_five_and_more_than_a_fifth_go_only_by_their_number",
    ),
    Control(
        "An error that nobody has thought of is told by its kind, and not by its words.",
        "secrets keys",
        "leak",
        "pipe/errors.py",
        'f"An unexpected {type(cause).__name__} ended the run."',
        'f"An unexpected {cause} ended the run."',
        "test/test_apply.py::test_an_error_that_nobody_has_thought_of_ends_the_run_as_a_failure_and_what_comes_last_is_still_noted",
    ),
    Control(
        "Another AWS account than those allowed is refused before anything is asked there.",
        "others",
        "widen",
        "pipe/access/aws_session.py",
        "caller.account not in access.allowed_accounts",
        "False",
        "test/rotate/test_bad_world.py::test_an_account_that_is_not_allowed_ends_the_run_before_bitbucket_is_asked",
    ),
    Control(
        "A name that programs of a step obey comes by no wildcard.",
        "consumers credentials",
        "widen",
        "pipe/jobs/pull/resolve.py",
        "obeyed = OBEYED if live.found.selector.wild else frozenset()",
        "obeyed: frozenset[str] = frozenset()",
        "test/pull/test_decide.py::test_a_wildcard_does_not_bring_a_name_that_programs_obey",
    ),
    Control(
        "An announcement from the future keeps no run away.",
        "consumers",
        "deceive",
        "pipe/jobs/rotate/facts.py",
        "self.open and -SKEW <= now - self.at < INTENT_LASTS",
        "self.open and now - self.at < INTENT_LASTS",
        "test/rotate/test_green_runs.py::test_an_announcement_from_the_future_keeps_nobody_away",
    ),
    Control(
        "What a list lacks is asked for by itself before it is pruned.",
        "secrets",
        "destroy deceive",
        "pipe/jobs/pull/observe.py",
        "    if policy.prune:\n        looked = tuple(",
        "    if False:\n        looked = tuple(",
        "test/pull/test_absence.py::test_a_secret_of_secrets_manager_that_an_old_list_lacks_is_asked_for",
    ),
    Control(
        "A list of Bitbucket's that shows fewer than it tells of is not believed.",
        "consumers",
        "deceive break",
        "pipe/clients/bitbucket_lists.py",
        "            if len(found) >= told:\n",
        "            if True:\n",
        "test/clients/test_bitbucket_answers.py::test_a_list_that_shows_less_than_it_tells_of_is_not_believed",
    ),
    Control(
        "A write probe deletes variables alone that have its proof.",
        "others",
        "destroy",
        "pipe/jobs/doctor/assumptions.py",
        "found is not None and found[2].lower() == _proof(found[1].lower())",
        "found is not None",
        "test/doctor/test_write_probe.py::test_only_what_has_a_probe_s_proof_is_deleted",
    ),
    Control(
        "A report is written through no link.",
        "others",
        "widen",
        "pipe/output.py",
        "opened = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)\n",
        "beside = place / name; opened = os.open(beside, os.O_WRONLY | os.O_CREAT, 0o666)\n",
        "test/test_bad_surroundings.py::test_a_link_in_the_place_of_a_report_is_replaced_and_not_followed",
    ),
)

# Why each action of AWS is asked for.
REASONS = {
    "iam:ListAccessKeys": "To see the user's keys, their ages and whether they are active.",
    "iam:CreateAccessKey": "To make the next key.",
    "iam:UpdateAccessKey": "To make a replaced key inactive, and active again where something has failed.",
    "iam:DeleteAccessKey": "To delete a replaced key when its time of recovery is over.",
    "iam:GetAccessKeyLastUsed": "To see that nobody uses a key any more before it is switched off.",
    "secretsmanager:CreateSecret": "To make the secret where it is not there yet.",
    "secretsmanager:DescribeSecret": "To see which versions there are, without reading any.",
    "secretsmanager:ListSecretVersionIds": "To see versions without a label: whose secret is stored.",
    "secretsmanager:GetSecretValue": "To read the pair, or what is pulled.",
    "secretsmanager:PutSecretValue": "To store a pair or a replica before anybody depends on it.",
    "secretsmanager:UpdateSecretVersionStage": "To move labels: which version is current.",
    "secretsmanager:ListSecrets": "To see which secrets there are, and in which versions.",
    "secretsmanager:BatchGetSecretValue": "To read twenty secrets by one request.",
    "secretsmanager:TagResource": "To say which source a replica is of.",
    "secretsmanager:RestoreSecret": "To take a replica back from its deletion where its source is there again.",
    "secretsmanager:DeleteSecret": "To schedule the deletion of a replica; only with PRUNE.",
}

_HEAD = """# Threat model

<!-- made by `python -m test.threats`; do not edit -->

What is worth protecting, what may happen to it, and what stands against that. Each control is taken out by a test,
which sees that the test named beside it fails. What the model does not cover is in
[the security model](security.md).
"""


def granted() -> dict[str, list[Permission]]:
    """Return all permissions that the actions need, by action, on the names of the examples."""
    home = Home("aws", "123456789012", "eu-central-1")
    return {
        "rotate": list(permissions.needed_to_rotate(home, "deploy-bot", "ci/deploy-bot")),
        "pull": list(permissions.needed_to_pull(home, [Selector("ci", "*", recursive=True)])),
        "replicate": list(permissions.needed_to_replicate(home, "vault/", prune=True)),
    }


def page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_tables()]) + "\n"


def _tables() -> Iterator[str]:
    yield "## Assets\n\n| Asset | What it is |\n| --- | --- |"
    yield from (f"| {name} | {what} |" for name, what in ASSETS.items())
    yield "\n## Threats\n\n| Threat | What happens |\n| --- | --- |"
    yield from (f"| {name} | {what} |" for name, what in THREATS.items())
    yield "\n## Controls\n\n| Control | Protects | Against | In | Test |\n| --- | --- | --- | --- | --- |"
    for each in CONTROLS:
        assets, threats = ", ".join(each.assets.split()), ", ".join(each.threats.split())
        yield f"| {each.name} | {assets} | {threats} | `{each.file}` | `{each.test}` |"
    yield "\n## Permissions\n\nWhat each action needs of AWS, and why.\n\n| Action | Permission | On | Why |"
    yield "| --- | --- | --- | --- |"
    for action, needed in granted().items():
        for permission in needed:
            on = "<br>".join(f"`{resource}`" for resource in permission.resources)
            spare = f" Without it {permission.without}." if permission.without else ""
            yield f"| `{action}` | `{permission.action}` | {on} | {REASONS[permission.action]}{spare} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
