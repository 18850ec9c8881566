"""What the survey of a Vault finds, and what it costs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipe.errors import Busy, Denied, Invalid, Missing, Stopped
from pipe.secrets import Mount, State
from test.sources.asking import addresses, seen, survey
from test.sources.conftest import CI
from test.sources.fake import ALL, NOW, USUAL, FakeVault

BELOW = [("secret/ci/cache", "cache"), ("secret/ci/db", "db"), ("secret/ci/eu/db", "eu/db")]
BELOW += [("secret/ci/eu/live/db", "eu/live/db")]


@pytest.mark.parametrize(
    ("allowed", "asked"),
    [
        (ALL, {"scan": 1}),
        (ALL - {"metadata"}, {"scan": 1}),
        (ALL - {"scan"}, {"scan": 1, "detailed": 3}),
        (USUAL, {"scan": 1, "detailed": 1, "names": 3, "metadata": 4}),
    ],
)
@pytest.mark.parametrize("unknown_to_the_server", [False, True])
def test_everything_below_a_folder(
    vault: FakeVault, allowed: frozenset[str], asked: dict[str, int], unknown_to_the_server: bool
) -> None:
    if unknown_to_the_server:
        vault.knows = allowed
    else:
        vault.allowed = {"": allowed}
    (looked,) = survey(vault, "secret/ci/** *")
    assert seen(looked) == [(address, below, 1, False) for address, below in BELOW]
    assert vault.counted() == asked


def test_the_whole_mount_in_the_form_of_cli_and_api(vault: FakeVault) -> None:
    cli, api = survey(vault, "secret/** *; secret/data/** *")
    assert addresses(cli) == addresses(api) == sorted([*CI, "secret/other", "secret/cicero/db"])
    assert [found.below for found in cli.found] == [found.below for found in api.found]
    assert cli.found[0].below == "ci/cache"
    assert vault.counted() == {"scan": 1}


def test_on_the_first_run_the_data_tells_the_version_too(vault: FakeVault) -> None:
    vault.allowed = {"": USUAL}
    found = survey(vault, "secret/ci/** *", known=["secret/ci/db"])
    assert seen(found[0]) == [(address, below, 1, below != "db") for address, below in BELOW]
    assert vault.counted() == {"mount": 1, "scan": 1, "detailed": 1, "names": 3, "metadata": 1, "data": 3}


def test_where_a_cheaper_way_is_allowed_here_and_not_there(vault: FakeVault) -> None:
    vault.allowed = {"secret/ci": frozenset({"scan", "data"}), "secret/cicero": USUAL}
    one, other = "secret/ci/** *", "secret/cicero/** *"
    for text, counts in ((f"{one}; {other}", [4, 1]), (f"{other}; {one}", [1, 4])):
        assert [len(looked.found) for looked in survey(vault, text)] == counts
        assert vault.counted() == {"scan": 2, "detailed": 1, "names": 1, "metadata": 1}


def test_nothing_below_a_folder_is_missing(vault: FakeVault) -> None:
    found = survey(vault, "secret/cy/** *; secret/ci/** *")[0]
    assert (found.found, found.failed, found.problem) == ((), {}, None)
    vault.allowed = {"": frozenset({"scan"})}
    assert survey(vault, "secret/cy/** *")[0].problem is None
    vault.allowed = {"": USUAL}
    assert survey(vault, "secret/cy/** *")[0].problem is None


def test_a_server_that_knows_only_names_and_says_nothing_is_there_is_not_believed(vault: FakeVault) -> None:
    class Vague(FakeVault):
        def _below(self, mount: Mount, folder: str) -> list[str]:
            return [] if self.asked[-1][0] in ("scan", "detailed") else list(super()._below(mount, folder))

    vague = Vague()
    vague.put(*CI)
    found = survey(vague, "secret/ci/** *")
    assert addresses(found[0]) == list(CI)


def test_refused_lists_are_a_problem_of_their_selector_alone(vault: FakeVault) -> None:
    vault.allowed = {"secret/ci": frozenset({"data"}), "secret/cicero": ALL}
    refused, good = survey(vault, "secret/ci/** *; secret/cicero/** *")
    assert isinstance(refused.problem, Denied)
    assert refused.problem.what == "names on secret/ci"
    assert addresses(good) == ["secret/cicero/db"]


def test_a_folder_within_that_cannot_be_listed_leaves_open_what_there_is(vault: FakeVault) -> None:
    vault.allowed = {"": USUAL, "secret/ci/eu": frozenset()}
    looked = survey(vault, "secret/ci/** *")[0]
    assert addresses(looked) == ["secret/ci/cache", "secret/ci/db"]
    assert isinstance(looked.problem, Denied)


def test_a_busy_server_is_no_refusal(vault: FakeVault) -> None:
    vault.errors[("scan", "secret/ci")] = Busy("sealed", "Check it.")
    found = survey(vault, "secret/ci/** *")
    assert isinstance(found[0].problem, Busy)
    assert vault.counted() == {"scan": 1}


@pytest.mark.parametrize("kind", ["mount", "scan", "metadata"])
def test_a_run_that_is_told_to_stop_stops(vault: FakeVault, kind: str) -> None:
    for address in ("secret/ci/db", "secret/ci"):
        vault.errors[(kind, address)] = Stopped("told to")
    if kind == "metadata":
        vault.allowed = {"": USUAL}
    texts = {"mount": "secret/ci/db k; secret/none k", "metadata": "secret/ci/db k"}
    with pytest.raises(Stopped):
        survey(vault, texts.get(kind, "secret/other k; secret/ci/** *; secret/ci/db k"))


def test_single_secrets_by_metadata_where_known_and_else_by_data(vault: FakeVault) -> None:
    vault.allowed = {"": USUAL}
    found = survey(vault, "secret/ci/db *; secret/data/ci/cache password; secret/no k", known=["secret/ci/db"])
    assert [seen(looked) for looked in found] == [
        [("secret/ci/db", "", 1, False)], [("secret/ci/cache", "", 1, True)], [],
    ]  # fmt: skip
    assert (found[2].failed, found[2].problem) == ({}, None)
    assert vault.counted() == {"mount": 1, "metadata": 1, "data": 2}


def test_several_selectors_on_one_secret_cost_one_request(vault: FakeVault) -> None:
    text = "secret/ci/db a; secret/ci/db b | B; secret/data/ci/db *"
    assert [addresses(looked) for looked in survey(vault, text)] == [["secret/ci/db"]] * 3
    assert vault.counted() == {"metadata": 1}
    survey(vault, f"secret/ci/** *; secret/ci/** a; {text}")
    assert vault.counted() == {"scan": 1}, "a folder's list tells the versions of single secrets as well"
    vault.allowed = {"": USUAL}
    survey(vault, f"secret/ci/** *; {text}")
    assert vault.counted() == {"scan": 1, "detailed": 1, "names": 3, "metadata": 4}


def test_where_metadata_is_refused_and_data_is_not_the_data_is_read(vault: FakeVault) -> None:
    vault.allowed = {"": frozenset({"data"})}
    found = survey(vault, "secret/ci/db *; secret/ci/cache *; secret/other *")
    assert [seen(looked)[0][2:] for looked in found] == [(1, True)] * 3
    assert vault.counted() == {"metadata": 3, "scan": 2, "detailed": 2, "data": 3}, "each folder is asked for once"


@pytest.mark.parametrize("listing", ["scan", "detailed"])
def test_where_metadata_is_refused_and_a_folder_s_list_is_not_nothing_is_read(vault: FakeVault, listing: str) -> None:
    vault.allowed = {"": frozenset({listing, "data"})}
    found = survey(vault, "secret/ci/db *; secret/ci/cache *")
    assert [seen(looked)[0][2:] for looked in found] == [(1, False)] * 2
    assert vault.counted() == {"metadata": 2, "scan": 1, **({"detailed": 1} if listing == "detailed" else {})}


def test_a_secret_of_which_all_is_refused_says_nothing_about_the_others(vault: FakeVault) -> None:
    vault.allowed = {"": USUAL, "secret/ci/db": frozenset()}
    db, cache, other = survey(vault, "secret/ci/db *; secret/ci/cache *; secret/other *")
    assert [type(error) for error in db.failed.values()] == [Denied]
    assert [seen(looked)[0][2:] for looked in (cache, other)] == [(1, False)] * 2


def test_deleted_destroyed_and_empty_secrets_are_found_as_what_they_are(vault: FakeVault) -> None:
    vault.change("secret/ci/cache", deleted_at=NOW)
    vault.change("secret/ci/db", destroyed=True)
    vault.change("secret/ci/eu/db", number=0)
    vault.change("secret/ci/eu/live/db", deleted_at=NOW + timedelta(seconds=1))
    for allowed, known in [(ALL, True), (USUAL, True), (USUAL, False)]:
        vault.allowed = {"": allowed}
        found = survey(vault, "secret/ci/** *", known=known)[0].found
        states = [each.version.state(NOW) for each in found if each.version]
        assert states == [State.DELETED, State.DESTROYED, State.EMPTY, State.LIVE]


def test_one_secret_that_fails_does_not_stop_the_others(vault: FakeVault) -> None:
    vault.allowed = {"": USUAL}
    vault.errors[("metadata", "secret/ci/db")] = Busy("too many", "Check it.")
    vault.allowed["secret/ci/cache"] = frozenset()
    tree, single, other = survey(vault, "secret/ci/** *; secret/ci/db *; secret/other *")
    assert addresses(tree) == ["secret/ci/eu/db", "secret/ci/eu/live/db"]
    assert {address: type(error) for address, error in tree.failed.items()} == {
        "secret/ci/db": Busy, "secret/ci/cache": Denied,
    }  # fmt: skip
    assert list(single.failed) == ["secret/ci/db"]
    assert addresses(other) == ["secret/other"]


def test_where_a_path_in_the_apis_form_was_looked_for_is_told(vault: FakeVault) -> None:
    for text, address in [
        ("secret/data/nix k", "secret/nix"), ("secret/data/nix/** *", "secret/nix/**"), ("secret/nix k", ""),
        ("secret/data/data/nix k", "secret/data/nix"),
    ]:  # fmt: skip
        looked = survey(vault, text)[0]
        assert looked.missing == f"nothing is there{'; it was looked for at ' if address else ''}{address}"
        assert looked.warning == ""


def test_a_folder_called_data_is_warned_of_where_everything_is_listed(vault: FakeVault) -> None:
    text = "secret/data/** *; secret/data/ci/db k; secret/data/data/** *; secret/ci/db k"
    assert [looked.warning for looked in survey(vault, text)] == [""] * 4
    vault.put("secret/data/app")
    whole, one, meant, other = (looked.warning for looked in survey(vault, text))
    assert "secret/data/data/** is to be written" in whole
    assert "it means secret/ci/db" in one
    assert "secret/data/data/ci/db is to be written" in one
    assert (meant, other) == ("", "")
    assert addresses(survey(vault, "secret/data/data/** *")[0]) == ["secret/data/app"]


@pytest.mark.parametrize("allowed", [USUAL, USUAL | {"detailed"}], ids=["names", "versions"])
def test_a_folder_that_its_parent_lists_and_that_shows_nothing_leaves_open_what_there_is(
    vault: FakeVault, allowed: frozenset[str]
) -> None:
    vault.allowed = {"": allowed}
    vault.hollow = frozenset({"secret/ci/eu/live"})
    looked = survey(vault, "secret/ci/** *")[0]
    assert addresses(looked) == ["secret/ci/cache", "secret/ci/db", "secret/ci/eu/db"]
    assert "secret/ci/eu/live" in str(looked.problem)
    assert "the folder above lists it" in str(looked.problem)


def test_a_secret_that_its_folder_lists_and_that_is_not_there_is_a_failure(vault: FakeVault) -> None:
    vault.allowed = {"": USUAL}
    vault.errors[("metadata", "secret/ci/db")] = Missing("gone", "Check it.")
    tree, single = survey(vault, "secret/ci/** *; secret/other *")
    assert "secret/ci/db" not in addresses(tree)
    assert list(tree.failed) == ["secret/ci/db"]
    assert "the folder above lists it" in str(tree.failed["secret/ci/db"])
    vault.errors[("metadata", "secret/other")] = Missing("gone", "Check it.")
    single = survey(vault, "secret/other *")[0]
    assert (single.found, single.failed, single.problem) == ((), {}, None)


def test_a_mount_is_no_secret(vault: FakeVault) -> None:
    looked = survey(vault, "secret *; secret/ci/db *")
    assert isinstance(looked[0].problem, Invalid)
    assert "write secret/** for everything" in str(looked[0].problem)
    assert addresses(looked[1]) == ["secret/ci/db"]
    assert looked[0].found == ()


@pytest.mark.parametrize("allowed", [ALL, ALL - {"scan"}, USUAL])
@pytest.mark.parametrize(
    ("away", "left"),
    [
        ("!secret/ci/db", ["secret/ci/cache", "secret/ci/eu/db", "secret/ci/eu/live/db"]),
        ("!secret/data/ci/db", ["secret/ci/cache", "secret/ci/eu/db", "secret/ci/eu/live/db"]),
        ("!secret/ci/eu/**", ["secret/ci/cache", "secret/ci/db"]),
        ("!secret/ci/eu/live/**; !secret/ci/cache", ["secret/ci/db", "secret/ci/eu/db"]),
        ("!secret/**", []),
    ],
)
def test_what_is_taken_away_is_neither_found_nor_asked_for(
    vault: FakeVault, allowed: frozenset[str], away: str, left: list[str]
) -> None:
    # What is taken away may be what the policy denies.
    vault.allowed = {"": allowed}
    if away == "!secret/ci/eu/**" and allowed != ALL:
        vault.allowed["secret/ci/eu"] = frozenset()
    (looked,) = survey(vault, f"secret/ci/** *; {away}")
    assert addresses(looked) == left
    assert (looked.problem, looked.failed) == (None, {})
    assert [each.text for each in looked.met] == away.replace("!", "").split("; ")
    if "eu/**" in away and allowed != ALL:
        assert not any("secret/ci/eu" in address for _, address in vault.asked)
    if not left:
        assert looked.missing == "nothing is there but what “!” takes away"


def test_what_takes_nothing_away_is_told_apart(vault: FakeVault) -> None:
    (looked,) = survey(vault, "secret/ci/** *; !secret/ci/gone; !secret/ci/eu; !other/x")
    assert (looked.met, len(looked.found)) == ((), 4)
