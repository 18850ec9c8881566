"""Makes the requests of a pull as a dozen plain lines would, and decides nothing: what a pull's time is held against.

It looks for the environment first and then follows its list page by page. The pipe asks for what it can side by side,
so that it may be under this where that outweighs its start.

`python -m bench.floor PLAN` gets the pull's own variables in its environment; the plan is JSON.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import requests
from requests.adapters import HTTPAdapter


class Vault:
    """Asks Vault what a plan says."""

    def __init__(self, plan: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self._plan = plan
        self._login = {"role": environ["VAULT_ROLE"], "jwt": environ["BITBUCKET_STEP_OIDC_TOKEN"]}
        self._api = f"{environ['VAULT_ADDR']}/v1"
        self._session = session(environ["VAULT_ADDR"], plan["in_flight"])

    def sign_in(self) -> None:
        """Sign in by the step's token."""
        answer = self._session.post(f"{self._api}/auth/jwt/login", json=self._login).json()
        self._session.headers["X-Vault-Token"] = answer["auth"]["client_token"]

    def look(self, pool: Executor) -> list[str]:
        """Return the names of the secrets, after a look at each that the plan has one at."""
        for verb, path in self._plan["ways"]:
            answer = self._session.request(verb, f"{self._api}/{path}")
        names = sorted(answer.json()["data"]["keys"])
        looks = names[: self._plan["looks"]]
        list(pool.map(lambda name: self._get(f"{self._plan['metadata']}/{name}"), looks))
        return names

    def read(self, pool: Executor, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the values of those secrets that the plan reads, by name."""
        read = names[: self._plan["reads"]]
        answers = pool.map(lambda name: self._get(f"{self._plan['data']}/{name}"), read)
        return {name: answer["data"]["data"] for name, answer in zip(read, answers, strict=True)}

    def sign_out(self) -> None:
        """Revoke the token."""
        self._session.post(f"{self._api}/auth/token/revoke-self").raise_for_status()

    def _get(self, path: str) -> Any:
        return self._session.get(f"{self._api}/{path}").json()


def main(plan: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Sign in and list variables side by side, look at the secrets, read some, write them, sign out."""
    vault = Vault(plan, environ)
    bitbucket = session(environ["BITBUCKET_API_URL"], plan["in_flight"])
    bitbucket.headers["Authorization"] = f"Bearer {environ['BITBUCKET_ACCESS_TOKEN']}"
    repository = f"{environ['BITBUCKET_API_URL']}{plan['repository']}"
    variables = f"{repository}/deployments_config/environments/{plan['environment']}/variables"

    def listed() -> dict[str, str]:
        """Return the variables' uuids by key, page by page."""
        known: dict[str, str] = {}
        url = f"{variables}?pagelen=100"
        while url:
            page = bitbucket.get(url).json()
            known |= {each["key"]: each["uuid"] for each in page["values"]}
            url = page.get("next", "")
        return known

    def look() -> dict[str, str]:
        bitbucket.get(f"{repository}/environments?pagelen=100").raise_for_status()
        return listed()

    def write(key: str, value: str, *, secured: bool = True) -> None:
        body = {"key": key, "value": value, "secured": secured}
        if key in known:
            bitbucket.put(f"{variables}/{known[key]}", json=body).raise_for_status()
        else:
            bitbucket.post(variables, json=body).raise_for_status()

    with ThreadPoolExecutor(plan["in_flight"]) as pool:
        looking = pool.submit(look)
        vault.sign_in()
        data = vault.read(pool, vault.look(pool))
        known = looking.result()
        variables_of = [(name.upper().replace("-", "_"), values["token"]) for name, values in data.items()]
        for start in range(0, len(data), plan["batch"]):
            batch = variables_of[start : start + plan["batch"]]
            list(pool.map(lambda each: write(*each), batch))
            # What is there has to be looked at again before it is written down what was done.
            known = listed()
            write("STATE", "x" * plan["state"], secured=False)
    vault.sign_out()


def session(url: str, in_flight: int) -> requests.Session:
    """Return a session that keeps as many connections as there are threads."""
    made = requests.Session()
    made.trust_env = False
    made.mount(url, HTTPAdapter(pool_maxsize=in_flight))
    return made


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), os.environ)
    # As the pipe does, to end at once.
    gc.freeze()
