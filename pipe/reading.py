"""Reads single variables from the environment and collects what is wrong with them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from pipe.naming import NAME, reserved
from pipe.redact import learn
from pipe.values import Target, TargetKind
from pipe.variables import BY_NAME, STEP_SECRETS, VARIABLES

_SWITCH = {"true": True, "false": False}
_TARGET = re.compile(
    r"(?:(?P<workspace>[^/:\s]+)/(?P<repository>[^/:\s]+):)?(?P<place>deployment:.+|repository|workspace)"
)


def learn_secrets(environ: Mapping[str, str]) -> None:
    """Hide every secret that the environment holds from all that is printed."""
    for name in (*(variable.name for variable in VARIABLES if variable.secret), *STEP_SECRETS):
        learn(environ.get(name, ""))


class Reader:
    """The environment, variable by variable; a value that may be secret is never repeated in a problem."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def problem(self, text: str) -> None:
        """Note what is wrong; the text begins with the variable's name."""
        self.problems.append(text)

    def complained(self, name: str) -> bool:
        """Tell whether a problem with this variable was noted already."""
        return any(text.startswith(f"{name}:") for text in self.problems)

    def taken(self) -> tuple[str, ...]:
        """Return what was noted so far, each once, and forget it."""
        problems, self.problems = tuple(dict.fromkeys(self.problems)), []
        return problems

    def plain(self, name: str) -> str:
        """Return what Bitbucket hands to the step, or an empty string."""
        return self._environ.get(name, "").strip()

    def text(self, name: str) -> str:
        """Return a variable's value, or its default where it is empty."""
        return self.plain(name) or BY_NAME[name].default

    def matching(self, name: str, pattern: str, what: str) -> str:
        """Return a value that fits a pattern, or an empty string."""
        value = self.text(name)
        if value and not re.fullmatch(pattern, value, re.ASCII):
            self.problem(f"{name}: must be {what}.")
            return ""
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Return one of several words."""
        value = self.text(name)
        if value not in choices:
            self.problem(f"{name}: must be {' or '.join(filter(None, choices))}.")
        return value

    def switch(self, name: str) -> bool:
        """Return what `true` or `false` says."""
        value = _SWITCH.get(self.text(name).lower())
        if value is None:
            self.problem(f"{name}: must be true or false.")
        return bool(value)

    def days(self, name: str) -> int | None:
        """Return a positive whole number of days."""
        value = self.text(name)
        if not re.fullmatch(r"[0-9]{1,4}", value) or int(value) < 1:
            self.problem(f"{name}: must be a whole number of days, from 1 to 9999.")
            return None
        return int(value)

    def listed(self, name: str) -> tuple[str, ...]:
        """Return a list, given as NAME_COUNT, NAME_0, … or as one string with commas or line breaks."""
        count = self.plain(f"{name}_COUNT")
        if not count:
            items = re.split(r"[,\n]", self.text(name))
        elif re.fullmatch(r"[0-9]{1,4}", count):
            items = [self.plain(f"{name}_{index}") for index in range(int(count))]
        else:
            self.problem(f"{name}: {name}_COUNT must be a whole number.")
            items = []
        return tuple(dict.fromkeys(item.strip() for item in items if item.strip()))

    def lines(self, name: str) -> str:
        """Return a text of several lines, given as NAME_COUNT, NAME_0, … or as one string."""
        return "\n".join(self.listed(name)) if self.plain(f"{name}_COUNT") else self.text(name)

    def accounts(self) -> tuple[str, ...]:
        """Return the accounts that are allowed; none where all are."""
        accounts = self.listed("ALLOWED_AWS_ACCOUNT_IDS")
        if not all(re.fullmatch(r"[0-9]{12}", account) for account in accounts):
            self.problem("ALLOWED_AWS_ACCOUNT_IDS: must be a list of account ids of twelve digits.")
        return accounts

    def url(self, name: str) -> str | None:
        """Return an address: https, or http on this machine."""
        value = self.text(name)
        if not value:
            return None
        try:
            parts = urlsplit(value)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            parts, host, port = urlsplit(""), "", None
        if not host or port == 0 or parts.username or parts.password or parts.query or parts.fragment:
            self.problem(f"{name}: must be an address such as https://host/path, without user, query or fragment.")
        elif parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
            self.problem(f"{name}: must begin with https://; http:// is for this machine only.")
        return value

    def variable_name(self, name: str) -> str:
        """Return the name of a variable in Bitbucket, or an empty string."""
        value = self.text(name)
        if value and not NAME.fullmatch(value):
            self.problem(f"{name}: no variable can have that name; use letters, digits and _, and no digit first.")
        elif reserved(value):
            self.problem(f"{name}: that name is reserved by Bitbucket.")
        return value

    def distinct(self, names: Mapping[str, str]) -> None:
        """Note where several settings give one name."""
        used: dict[str, str] = {}
        for setting, name in names.items():
            if name and name in used:
                self.problem(f"{setting}: must differ from {used[name]}.")
            used.setdefault(name, setting)

    def targets(self) -> tuple[Target, ...]:
        """Return where to write; by default the step's own deployment environment."""
        workspace, repository = self.plain("BITBUCKET_WORKSPACE"), self.plain("BITBUCKET_REPO_SLUG")
        listed = self.listed("TARGETS")
        if not listed and not self.complained("TARGETS"):
            own = self.plain("BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID") or self.plain("BITBUCKET_DEPLOYMENT_ENVIRONMENT")
            if not own:
                self.problem(
                    "TARGETS: needed, since the step has no deployment environment of its own; "
                    "e.g. deployment:production."
                )
                return ()
            listed = (f"deployment:{own}",)
        targets = [self._target(text, workspace, repository) for text in listed]
        return tuple(dict.fromkeys(target for target in targets if target))

    def _target(self, text: str, workspace: str, repository: str) -> Target | None:
        found = _TARGET.fullmatch(text)
        if not found or (found["place"] == "workspace" and found["workspace"]):
            self.problem(
                f"TARGETS: “{text}” is not of the form [workspace/repository:]deployment:<environment>, "
                "[workspace/repository:]repository or workspace."
            )
            return None
        workspace, repository = found["workspace"] or workspace, found["repository"] or repository
        kind, _, environment = found["place"].partition(":")
        if not workspace or (kind != "workspace" and not repository):
            self.problem(
                f"TARGETS: “{text}” does not say which repository; write workspace/repository:{text}, or give "
                "BITBUCKET_WORKSPACE and BITBUCKET_REPO_SLUG."
            )
            return None
        return Target(
            TargetKind(kind), workspace, "" if kind == "workspace" else repository, environment.strip()
        )  # fmt: skip

    def session_name(self) -> str:
        """Return the name that AWS's own log shows; braces and slashes do not pass there."""
        name = f"keyturn-{self.plain('BITBUCKET_REPO_SLUG')}-{self.plain('BITBUCKET_BUILD_NUMBER')}"
        return re.sub(r"[^\w+=,.@-]", "-", name, flags=re.ASCII).strip("-")[:64]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
