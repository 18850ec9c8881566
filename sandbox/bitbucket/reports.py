"""Code Insights: a commit's reports and their annotations."""

from __future__ import annotations

from typing import Any

from flask import Flask, request

from sandbox.bitbucket import errors
from sandbox.bitbucket.auth import READ_REPOSITORY
from sandbox.bitbucket.gate import Gate, route
from sandbox.bitbucket.lists import page
from sandbox.bitbucket.state import braced
from sandbox.clock import Clock
from sandbox.moods import Moods

MOST_DATA, MOST_AT_ONCE, MOST_ANNOTATIONS = 10, 100, 1000

_REPORT = "/2.0/repositories/<workspace>/<repo>/commit/<commit>/reports/<name>"
_ANNOTATIONS = f"{_REPORT}/annotations"

_REPORT_WORDS = {"report_type": {"SECURITY", "COVERAGE", "TEST", "BUG"}, "result": {"PASSED", "FAILED", "PENDING"}}
_ANNOTATION_WORDS = {
    "annotation_type": {"VULNERABILITY", "CODE_SMELL", "BUG"},
    "result": {"PASSED", "FAILED", "SKIPPED", "IGNORED"},
    "severity": {"CRITICAL", "HIGH", "MEDIUM", "LOW"},
}
_DATA_TYPES = {"BOOLEAN", "DATE", "DURATION", "LINK", "NUMBER", "PERCENTAGE", "TEXT"}


class Reports:
    """The operations on reports; a report is known by the id that its reporter chose."""

    def __init__(self, gate: Gate, moods: Moods, clock: Clock) -> None:
        self._gate = gate
        self._moods = moods
        self._clock = clock

    def serve(self, app: Flask) -> None:
        """Add the operations to the application."""
        route(app, "PUT", _REPORT, self.put)
        route(app, "GET", _REPORT, self.get)
        route(app, "DELETE", _REPORT, self.delete)
        route(app, "POST", _ANNOTATIONS, self.annotate)
        route(app, "GET", _ANNOTATIONS, self.annotations)

    def put(self, name: str, **place: str) -> dict[str, Any]:
        """Make or replace a report; its annotations stay."""
        key = self._key(place, name)
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            raise errors.core(400, "Bad request")
        _check(body, ("title", "details", "report_type"), _REPORT_WORDS)
        _check_data(body.get("data", []))
        now = self._clock.now().isoformat()
        old = self._gate.store.reports.get(key, {"created_on": now, "annotations": {}})
        self._gate.store.reports[key] = report = {
            **body, "type": "report", "uuid": braced(" ".join(key)), "external_id": name,
            "created_on": old["created_on"], "updated_on": now, "annotations": old["annotations"],
        }  # fmt: skip
        return _shown(report)

    def get(self, name: str, **place: str) -> dict[str, Any]:
        """Answer with a report."""
        return _shown(self._report(place, name))

    def delete(self, name: str, **place: str) -> tuple[str, int]:
        """Take a report away, if it is there."""
        self._gate.store.reports.pop(self._key(place, name), None)
        return "", 204

    def annotate(self, name: str, **place: str) -> list[dict[str, Any]]:
        """Add annotations to a report, or replace those with the same id."""
        report = self._report(place, name)
        body = request.get_json(silent=True)
        if not (isinstance(body, list) and 1 <= len(body) <= MOST_AT_ONCE):
            raise errors.core(400, f"Between 1 and {MOST_AT_ONCE} annotations can be uploaded at once.")
        for annotation in body:
            if not isinstance(annotation, dict):
                raise errors.core(400, "Bad request")
            _check(annotation, ("external_id", "annotation_type", "summary"), _ANNOTATION_WORDS)
        now = self._clock.now().isoformat()
        added = {
            each["external_id"]: {
                **each, "type": "report_annotation", "uuid": braced(f"{report['uuid']} {each['external_id']}"),
                "created_on": now, "updated_on": now,
            }
            for each in body
        }  # fmt: skip
        if len(report["annotations"] | added) > MOST_ANNOTATIONS:
            raise errors.core(400, f"A report can have at most {MOST_ANNOTATIONS} annotations.")
        report["annotations"].update(added)
        return list(added.values())

    def annotations(self, name: str, **place: str) -> dict[str, Any]:
        """Answer with a report's annotations."""
        return page(list(self._report(place, name)["annotations"].values()), self._moods, core=True)

    def _key(self, place: dict[str, str], name: str) -> tuple[str, str]:
        repository = self._gate.repository(place["workspace"], place["repo"], READ_REPOSITORY)
        return repository.uuid, f"{place['commit']} {name}"

    def _report(self, place: dict[str, str], name: str) -> dict[str, Any]:
        report = self._gate.store.reports.get(self._key(place, name))
        if report is None:
            raise errors.core(404, f"No report with the id {name} exists.")
        return report


def _shown(report: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name != "annotations"}


def _check(body: dict[str, Any], required: tuple[str, ...], words: dict[str, set[str]]) -> None:
    """Refuse what lacks a field or has a word that the field does not know."""
    wrong = {
        name: ["This field is required."]
        for name in required
        if not (isinstance(body.get(name), str) and body[name])
    }  # fmt: skip
    for name, known in words.items():
        if name in body and body[name] not in known:
            wrong[name] = [f"Must be one of {', '.join(sorted(known))}."]
    if wrong:
        raise errors.core(400, "Bad request", fields=wrong)


def _check_data(data: object) -> None:
    """Refuse too many figures, and figures of a type that is not known."""
    if not (isinstance(data, list) and len(data) <= MOST_DATA):
        raise errors.core(400, "Bad request", fields={"data": [f"At most {MOST_DATA} fields are allowed."]})
    for each in data:
        if not (isinstance(each, dict) and each.get("type", "TEXT") in _DATA_TYPES and "value" in each):
            raise errors.core(400, "Bad request", fields={"data": ["A field is not valid."]})
