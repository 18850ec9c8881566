"""The sandbox's own API and page, below /_sandbox/ on Bitbucket's port: to look at the world and to steer it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from sandbox.fleet import add_site
from sandbox.moods import UnknownMood
from sandbox.overview import RUNS, runs, script
from sandbox.page import Look, page
from sandbox.snapshot import changes, snapshot
from sandbox.wire import KINDS, Environ, Fault, StartResponse, Wire, Wsgi
from sandbox.world import World

PREFIX = "/_sandbox/"

Answer = tuple[Any, int]

# Years that dates can be reckoned in with room to both sides.
_YEARS = range(1980, 9000)
# What a fault may be when it comes by HTTP: it cannot bring code to call.
_KINDS = frozenset(kind for kind in KINDS if not kind.startswith(("call", "change")))
# The page has nothing from elsewhere and sends to nowhere else.
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class WrongInput(Exception):
    """What was sent cannot be used; the message says why."""


class Control:
    """Answers what is below the prefix, unseen by the wires, and hands on everything else.

    A browser's form gets the page again where anybody else gets JSON.
    """

    def __init__(self, world: World, behind: Wsgi) -> None:
        self._world = world
        self._behind = behind
        self._look: Look | None = None
        self._answers: dict[tuple[str, str], Callable[[_Form], Answer]] = {
            ("GET", "state"): lambda _: (self._state(), 200),
            ("POST", "clock"): self._move_clock,
            ("POST", "faults"): self._spoil,
            ("DELETE", "faults"): self._mend,
            ("POST", "moods"): self._turn,
            ("DELETE", "moods"): self._calm,
            ("GET", "journal"): self._journal,
            ("POST", "reset"): self._reset,
            ("GET", "check"): self._check,
            **{("GET", f"run/{name}"): self._run(name) for name in RUNS},
        }

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        path = environ["PATH_INFO"]
        if path in {"/", PREFIX.rstrip("/")}:
            return redirect(PREFIX)(environ, start_response)
        if path.startswith(PREFIX):
            return self._serve(Request(environ))(environ, start_response)
        if self._look is None and self._world.company and path.startswith("/2.0/repositories/"):
            # A run begins: what it changes is told by what there was before.
            self._see()
        return self._behind(environ, start_response)

    def _serve(self, request: Request) -> Response:
        # A body that nobody reads would be taken for the connection's next request.
        request.get_data()
        name, fields = request.path.removeprefix(PREFIX), request.values.to_dict()
        by_form = request.method == "POST" and "text/html" in request.headers.get("Accept", "")
        if (request.method, name) == ("GET", ""):
            return self._page(unfolded=fields.get("show", ""))
        if by_form and self._world.company:
            self._see()
        body, status = self._answer(request.method, name, fields)
        if by_form:
            return (
                redirect(f"{PREFIX}#{name}", 303) if status < 400 else self._page(problem=body["error"], status=status)
            )
        if isinstance(body, str):
            return Response(body, status, mimetype="text/plain")
        return Response(json.dumps(body, indent=2) + "\n", status, mimetype="application/json")

    def _answer(self, method: str, name: str, fields: dict[str, str]) -> Answer:
        answer = self._answers.get((method, name))
        if answer is None:
            methods = [each for each, known in self._answers if known == name]
            if methods:
                return {"error": f"{PREFIX}{name} takes {' and '.join(methods)}"}, 405
            return {"error": "there is " + ", ".join(f"{each} {PREFIX}{known}" for each, known in self._answers)}, 404
        try:
            return answer(_Form(fields))
        except WrongInput as error:
            return {"error": str(error)}, 400

    def _page(self, *, status: int = 200, **shown: str) -> Response:
        return Response(page(self._world, self._see(), **shown), status, _PAGE_HEADERS, mimetype="text/html")

    def _see(self) -> Look:
        """Return what there is now; the look before it is the last one at which it was different."""
        last, now = self._look, Look(self._world.clock.now(), snapshot(self._world))
        if last is not None:
            before = Look(last.at, last.tables) if changes(last.tables, now.tables) else last.before
            now = replace(now, before=before)
        self._look = now
        return now

    def _run(self, name: str) -> Callable[[_Form], Answer]:
        """Return what answers with the command for one of the runs."""

        def answer(form: _Form) -> Answer:
            given = form.variables()
            if name not in runs(self._world):
                raise WrongInput("this world has no Vault")
            if (name.startswith("fleet") or "FLEET" in given) and form.get("image"):
                raise WrongInput("the fleet's file is in no image; run it from the checkout")
            return script(self._world, name, form.get("image"), given), 200

        return answer

    def _state(self) -> dict[str, Any]:
        world = self._world
        services = {"bitbucket": world.bitbucket_url, "aws": world.aws_url}
        if world.vault is not None:
            services["openbao"] = world.vault.url
        return {
            "clock": world.clock.now().isoformat(timespec="seconds"),
            "services": services,
            "requests": {name: len(wire.journal) for name, wire in self._wires.items()},
            "faults": {name: [_told(fault) for fault in wire.faults] for name, wire in self._wires.items()},
            "moods": list(world.moods),
        }

    def _move_clock(self, form: _Form) -> Answer:
        units = ("days", "hours", "minutes", "seconds")
        form.only(*units)
        try:
            step = timedelta(**{unit: form.number(unit) for unit in units})
            year = (self._world.clock.now() + step).year
        except OverflowError:
            year = 0
        if year not in _YEARS:
            raise WrongInput("that is further than dates reach")
        now = self._world.wait(step)
        return {"clock": now.isoformat(timespec="seconds")}, 200

    def _spoil(self, form: _Form) -> Answer:
        form.only("service", "operation", "kind", "nth", "times", "seconds")
        wire = self._wires[form.choice("service", self._wires)]
        fault = Fault(
            form.text("operation"),
            form.choice("kind", _KINDS),
            nth=form.count("nth", 1, least=1),
            times=form.count("times", 1),
            seconds=form.number("seconds", least=0),
        )
        wire.spoil(fault)
        return _told(fault), 201

    def _mend(self, form: _Form) -> Answer:
        form.only()
        for wire in self._wires.values():
            wire.mend()
        return {"faults": 0}, 200

    def _turn(self, form: _Form) -> Answer:
        form.only("mood")
        try:
            self._world.moods.turn(form.text("mood"))
        except UnknownMood as error:
            raise WrongInput(str(error)) from None
        return {"on": list(self._world.moods)}, 200

    def _calm(self, form: _Form) -> Answer:
        form.only()
        self._world.moods.clear()
        return {"on": list(self._world.moods)}, 200

    def _journal(self, form: _Form) -> Answer:
        form.only()
        seen = sorted((one for wire in self._wires.values() for one in list(wire.journal)), key=lambda one: one.at)
        return [
            {"service": one.service, "operation": one.operation, "occurrence": one.occurrence, "status": one.status}
            for one in seen
        ], 200

    def _reset(self, form: _Form) -> Answer:
        """Make the company anew, with new credentials, and set the clock right."""
        form.only()
        self._world.clock.shift = timedelta()
        self._world.seed()
        add_site(self._world)
        self._look = None
        return self._state(), 200

    def _check(self, form: _Form) -> Answer:
        """Tell of each environment's pair whether it signs; 409 if one does not."""
        form.only()
        pairs = self._world.consumers()
        signs = {
            name: {"key": pair.access_key_id, "signs": self._world.aws.signs(pair)} for name, pair in pairs.items()
        }
        return signs, 200 if all(pair["signs"] for pair in signs.values()) else 409

    @property
    def _wires(self) -> dict[str, Wire]:
        wires = {"bitbucket": self._world.bitbucket.wire, "aws": self._world.aws.wire}
        return wires if self._world.vault is None else {**wires, "vault": self._world.vault.wire}


class _Form:
    """What came with a request, as names and text; its readers raise WrongInput."""

    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = fields

    def only(self, *names: str) -> None:
        """Refuse what is not among these names."""
        strange = sorted(set(self._fields) - set(names))
        if strange:
            raise WrongInput(f"{strange[0]} is unknown; there is {', '.join(names) or 'nothing to give'}")

    def variables(self) -> dict[str, str]:
        """Return the pipe's variables, which are in capitals; beside them there is an image."""
        given = {name: text for name, text in self._fields.items() if re.fullmatch(r"[A-Z][A-Z0-9_]*", name)}
        self.only("image", *given)
        return given

    def get(self, name: str) -> str:
        """Return a text that may be absent."""
        return self._fields.get(name, "")

    def text(self, name: str) -> str:
        """Return a text that is needed."""
        if not self.get(name):
            raise WrongInput(f"{name} is needed")
        return self.get(name)

    def choice(self, name: str, choices: Iterable[str]) -> str:
        """Return one of several words."""
        if self.text(name) not in choices:
            raise WrongInput(f"{name} must be one of {', '.join(sorted(choices))}")
        return self.get(name)

    def number(self, name: str, default: float = 0, *, least: float = -math.inf) -> float:
        """Return a finite number."""
        try:
            value = float(self._fields.get(name, default))
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < least:
            raise WrongInput(f"{name} must be a number" + ("" if least == -math.inf else f", {least:g} at least"))
        return value

    def count(self, name: str, default: int, *, least: int = 0) -> int:
        """Return a whole number."""
        value = self.number(name, default, least=least)
        if not value.is_integer():
            raise WrongInput(f"{name} must be a whole number")
        return int(value)


def _told(fault: Fault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in ("operation", "kind", "nth", "times", "seconds")}
