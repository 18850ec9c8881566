"""Makes the requests of a pull and decides nothing: the time that no pull with these requests can be under.

`python -m bench.floor PLAN` gets the pull's own variables in its environment; the plan is `Requests` as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from requests.adapters import HTTPAdapter


def main(plan: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Sign in and list variables side by side, look at the secrets, read some, write them, sign out."""
    vault = session(environ["VAULT_ADDR"], plan["in_flight"])
    bitbucket = session(environ["BITBUCKET_API_URL"], plan["in_flight"])
    bitbucket.headers["Authorization"] = f"Bearer {environ['BITBUCKET_ACCESS_TOKEN']}"
    api, repository = f"{environ['VAULT_ADDR']}/v1", f"{environ['BITBUCKET_API_URL']}{plan['repository']}"
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
        login = {"role": environ["VAULT_ROLE"], "jwt": environ["BITBUCKET_STEP_OIDC_TOKEN"]}
        vault.headers["X-Vault-Token"] = vault.post(f"{api}/auth/jwt/login", json=login).json()["auth"]["client_token"]
        for verb, path in plan["ways"]:
            answer = vault.request(verb, f"{api}/{path}")
        names = sorted(answer.json()["data"]["keys"])
        seen = [*pool.map(lambda name: vault.get(f"{api}/{plan['metadata']}/{name}").json(), names[: plan["looks"]])]
        read = names[: plan["reads"]]
        data = [*pool.map(lambda name: vault.get(f"{api}/{plan['data']}/{name}").json()["data"]["data"], read)]
        known = looking.result()
        assert len(seen) == plan["looks"]
        variable_of = dict(zip((each.upper().replace("-", "_") for each in read), data, strict=True))
        for start in range(0, len(read), plan["batch"]):
            batch = [*variable_of.items()][start : start + plan["batch"]]
            list(pool.map(lambda each: write(each[0], each[1]["token"]), batch))
            # What is there has to be looked at again before it is written down what was done.
            known = listed()
            write("STATE", "x" * plan["state"], secured=False)
    vault.post(f"{api}/auth/token/revoke-self").raise_for_status()


def session(url: str, in_flight: int) -> requests.Session:
    """Return a session that keeps as many connections as there are threads."""
    made = requests.Session()
    made.trust_env = False
    made.mount(url, HTTPAdapter(pool_maxsize=in_flight))
    return made


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), os.environ)
