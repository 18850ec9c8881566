"""What follows a run: its report and its page, Code Insights, and a notice; none of them changes how it has ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pipe.access.notify import read_notice_alone
from pipe.errors import KeyturnError, Unexpected
from pipe.notice import insight, notice
from pipe.output import write_file
from pipe.page import page
from pipe.redact import clean_json
from pipe.report import Ended
from pipe.retry import Deadline
from pipe.values import Build

log = logging.getLogger("keyturn")

# Seconds that Code Insights may take, and of the usual time for an answer so much: the run's end waits for it.
BUDGET, PACE = 10.0, 0.2


def follow_up(environ: Mapping[str, str], build: Build, ended: Ended, *, at_once: bool, offline: bool = False) -> None:
    """Write and send all that is wanted; `at_once` repeats no request, `offline` makes none.

    What cannot be done is said.
    """
    folder = environ.get("REPORT_DIR", "").strip()
    if folder:
        _try("The report could not be written to REPORT_DIR", lambda: _write(folder, build, ended))
    if offline:
        return
    _try("Code Insights could not be written", lambda: _show(environ, build, ended, at_once=at_once))
    _try("The notice could not be sent", lambda: _notify(environ, build, ended, at_once=at_once))


def _try(otherwise: str, attempt: Callable[[], None]) -> None:
    try:
        attempt()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no path"
        advice = " Let the image's user write there, or give its run --user."
        log.warning("%s: %s.%s", otherwise, why, advice if isinstance(error, PermissionError) else "")
    except KeyturnError as error:
        log.warning("%s: %s", otherwise, error)
    except Exception as error:  # noqa: BLE001 - the run has ended; its exit code is what became of it
        log.warning("%s: %s", otherwise, Unexpected(error).what)


def _write(folder: str, build: Build, ended: Ended) -> None:
    name = f"{build.action}-{ended.part}" if ended.part else build.action
    write_file(folder, f"keyturn-{name}.json", clean_json(ended.report) + "\n")
    if ended.seen is not None:
        write_file(folder, "keyturn.html", page(ended, build, datetime.now(UTC)))


def _show(environ: Mapping[str, str], build: Build, ended: Ended, *, at_once: bool) -> None:
    commit, api = (environ.get(f"BITBUCKET_{name}", "").strip() for name in ("COMMIT", "API_URL"))
    if not (build.link and commit):
        return
    # Only who is shown somewhere pays for what asks.
    from pipe.clients.insights import CodeInsights  # noqa: PLC0415

    shown = insight(ended, build)
    reports = CodeInsights(build.repository, commit, api, Deadline(0.0 if at_once else BUDGET, pace=PACE))
    reports.write(shown.name, shown.report, shown.annotations)


def _notify(environ: Mapping[str, str], build: Build, ended: Ended, *, at_once: bool) -> None:
    if not any(environ.get(name, "").strip() for name in ("SNS_TOPIC_ARN", "NOTIFY_URL", "NOTIFY_URL_FROM")):
        return
    settings = read_notice_alone(environ)
    if ended.is_worth(settings.when):
        from pipe.access.notify import send  # noqa: PLC0415 - a run without a notice does not pay for AWS's library

        send(settings, notice(ended, build), at_once=at_once)
