"""Prints what has to exist, filled in, as one script that can be pasted or saved as it is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from textwrap import wrap
from typing import TYPE_CHECKING

from pipe import __version__
from pipe.access.vault import VaultAccess
from pipe.jobs.setup import commands
from pipe.permissions import READ_SCOPES, WRITE_SCOPES, Statement
from pipe.report import Ended
from pipe.selectors import Selector
from pipe.settings.variables import BY_NAME
from pipe.values import listed

if TYPE_CHECKING:
    from pipe.jobs.setup.job import SetupJob

# The version of the report's shape; it changes when a field changes its meaning or goes.
SCHEMA = "keyturn/setup/1"

# Comments are wrapped so that they fit into a terminal's usual 80 columns.
WIDTH = 77

# What the role in AWS and the one in Vault are called where nothing else is given.
ROLE = "keyturn"
IMAGE = f"docker://your-account/keyturn:{__version__}"

_OWN = "Bitbucket hands it to every step; see Repository settings, OpenID Connect."
_GAP = re.compile(r"<[\w-]+>")


@dataclass(frozen=True)
class SetUp:
    """One set-up: the policies of each role, by the role's ARN and by name, and the secrets that each Vault gives."""

    job: SetupJob
    grants: Mapping[str, Mapping[str, Sequence[Statement]]]
    vaults: Mapping[VaultAccess, Iterable[Selector]]

    def run(self) -> Ended:
        """Return the script, the pipeline as a comment, and what has to be filled in."""
        script = "\n".join([*starmap(self._aws, self.grants.items()), *starmap(self._vault, self.vaults.items())])
        step = commands.pipeline(self.job.step.environment, IMAGE, self.job.variables)
        used = set(_GAP.findall(script + step))
        missing = {name: stands for name, stands in self.job.gaps.items() if used & {*_GAP.findall(stands)}}
        report = {
            "schema": SCHEMA,
            "actions": list(self.job.variables),
            "text": script,
            "pipeline": step,
            "to_fill_in": [
                {"variable": name, "stands": stands, "meaning": _meaning(name)} for name, stands in missing.items()
            ],
        }
        parts = (self._before(), script, _as_comment(f"bitbucket-pipelines.yml:\n\n{step}"), _told(missing))
        left = f"fill in what is in angle brackets ({len(missing)}, see above), run it" if missing else "run it"
        sentence = f"setup for {listed([*self.job.variables])}: {left}, then try it with ACTION: doctor"
        return Ended(0, sentence, ("\n".join(filter(None, parts)),), (), report)

    def _before(self) -> str:
        token = (
            "",
            f"In Bitbucket: an access token with the scopes {READ_SCOPES[0]} and {WRITE_SCOPES[0]}, kept as a secured "
            f"variable or where …_FROM says. A user's API token has {READ_SCOPES[1]} and {WRITE_SCOPES[1]} instead.",
        )
        doing = "run the fleet" if "fleet" in self.job.variables else listed([*self.job.variables])
        return _comment(
            f"What has to exist for Keyturn to {doing}.",
            "Commands for a POSIX shell. Running them again does no harm: where AWS says that something is there "
            "already, the next command updates it.",
            *self._signed_in(),
            *(token if any(each.action != "replicate" for each in self.job.jobs.values()) else ()),
            *(f"WARNING: {doubt}" for doubt in self.job.doubts),
        )

    def _signed_in(self) -> Iterator[str]:
        """Yield who has to be signed in when the commands are run: a login that asks for a token would read them."""
        if self.grants:
            yield "Sign in to AWS before, as somebody who may make identity providers, roles and their policies in IAM."
        for vault in self.vaults:
            where = f"-address={vault.address}" + (f" -namespace={vault.namespace}" if vault.namespace else "")
            jwt = f", auth/{vault.path}/* (with read) and with sudo sys/auth/{vault.path}"
            yield (
                f"Sign in to Vault before, by bao login {where} (or vault login), as somebody who may create and "
                f"update sys/policies/acl/{_role(vault)}{jwt if vault.method == 'jwt' else ''}."
            )

    def _aws(self, role_arn: str, grants: Mapping[str, Sequence[Statement]]) -> str:
        return _comment(
            f"In AWS: the provider of Bitbucket's tokens, and the role {role_arn.rpartition('/')[2]}, which "
            f"trusts {self._trusted_steps()}.",
            "A role of that name gets this trust: for another repository, give another AWS_OIDC_ROLE_ARN.",
        ) + commands.aws(self.job.step, role_arn, grants)

    def _vault(self, vault: VaultAccess, selectors: Iterable[Selector]) -> str:
        role, wanted = _role(vault), list(selectors)
        trusted = f"a policy, which whoever VAULT_AUTH_METHOD {vault.method} signs in as has to get."
        sign_in = ""
        if vault.method == "jwt":
            trusted = f"a policy, and the role {role}, which trusts {self._trusted_steps()}."
            sign_in = "\n" + commands.sign_in(self.job.step, vault.path, role)
        mounts = ", ".join(sorted({each.path.partition("/")[0] for each in wanted}))
        told = {"BAO_ADDR": vault.address, "BAO_NAMESPACE": vault.namespace}
        return (
            _comment(
                f"In Vault or OpenBao (vault takes the same commands as bao): {trusted}",
                "What is there by that name is replaced: for another repository, give another VAULT_ROLE.",
                f"The first part of each path is taken for the mount: {mounts}. Where a mount has a slash in it, put "
                "data/ and metadata/ behind it.",
            )
            + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in told.items() if value)
            + f"\n{commands.policy(role, wanted)}{sign_in}"
        )

    def _trusted_steps(self) -> str:
        if self.job.step.environment_uuid:
            return "the steps that deploy to one environment of one repository"
        return "all steps of one repository"


def _role(vault: VaultAccess) -> str:
    """Return what the role in a Vault is called, and its policy."""
    return vault.role or ROLE


def _meaning(name: str) -> str:
    variable = BY_NAME.get(name)
    return re.sub(r" \(\d\)|`", "", variable.meaning) if variable else _OWN


def _told(gaps: Mapping[str, str]) -> str:
    lines = ["To be filled in; setup does it where these variables are given:"] if gaps else []
    for name, stands in gaps.items():
        here = "" if stands == f"<{name}>" else f", here {stands}"
        lines += wrap(f"{name}{here}: {_meaning(name)}", WIDTH, initial_indent="  ", subsequent_indent="    ")
    return _as_comment("\n".join(lines))


def _comment(*texts: str) -> str:
    return _as_comment("\n".join(line for text in texts for line in wrap(text, WIDTH) or [""]))


def _as_comment(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())
