"""The job doctor: what is tried, and how it is told; all services are asked side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain

from pipe.access.aws import AwsAccess, WebIdentity
from pipe.access.bitbucket import BitbucketAccess
from pipe.access.notify import read_notice
from pipe.access.sign_ins import SignIns
from pipe.errors import KeyturnError, Problem, Refused
from pipe.jobs.doctor.assumptions import as_json, check_probe, plan
from pipe.jobs.doctor.aws import check_aws
from pipe.jobs.doctor.bitbucket import check_bitbucket
from pipe.jobs.doctor.diagnosis import Check, Diagnosis, bad, good
from pipe.jobs.doctor.oidc_token import check_token
from pipe.jobs.doctor.sources import check_vault
from pipe.jobs.doctor.write_probe import write_probe
from pipe.jobs.replicate.job import ReplicateJob
from pipe.jobs.rotate.job import RotateJob
from pipe.jobs.setup.job import Job, read_actions, read_meant, read_step
from pipe.pipeline_step import PipelineStep
from pipe.redact import Secret
from pipe.report import Ended
from pipe.retry import Deadline, side_by_side
from pipe.settings.reader import Reader
from pipe.settings.variables import STEP_TOKEN
from pipe.values import Needs, Run, listed

SETTINGS = "settings"

# Seconds for which it is worth while to wait for a service that does not answer.
BUDGET = 60.0
# And for which a write probe may wait, for lists above all.
PROBE_BUDGET = 180.0

# Ways to sign in to Vault for which no variable holds a secret.
_WITHOUT_SECRET = ("aws", "kubernetes")


@dataclass(frozen=True)
class DoctorJob:
    """What is tried: the jobs of the actions that are meant, and all that is wrong with the settings.

    With `probes`, writing is tried in the first target.
    """

    jobs: tuple[Job, ...]
    problems: tuple[Problem, ...]
    step: PipelineStep
    has_token: bool
    probes: bool = False

    @property
    def needs(self) -> Needs:
        """What all jobs need together."""
        needs = [job.needs for job in self.jobs]
        return Needs(
            targets=tuple(dict.fromkeys(chain.from_iterable(each.targets for each in needs))),
            states=tuple(dict.fromkeys(chain.from_iterable(each.states for each in needs))),
            secured=tuple(chain.from_iterable(each.secured for each in needs)),
            fail_on_missing=all(each.fail_on_missing for each in needs),
        )

    def start(self, run: Run, deadline: Deadline) -> Doctor:
        """Return the doctor; nothing has been asked yet."""
        deadline.shorten(PROBE_BUDGET if self.probes else BUDGET)
        return Doctor(self, run, deadline)


def read_job(reader: Reader) -> DoctorJob:
    """Return what is tried; a problem with the settings is a finding like another, not a reason to refuse."""
    jobs = tuple(read_meant(reader, action) for action in read_actions(reader))
    read_notice(reader)
    step, probes = read_step(reader), reader.switch("WRITE_PROBE")
    if probes and not any(job.needs.targets for job in jobs) and not reader.complained("TARGETS"):
        reader.problem("TARGETS", "WRITE_PROBE tries writing in the first of them, and there is none")
    return DoctorJob(jobs, reader.taken(), step, bool(reader.plain(STEP_TOKEN)), probes)


class Doctor:
    """Tries what some jobs need; what is not needed, or cannot be asked for want of settings, is left out."""

    def __init__(self, job: DoctorJob, run: Run, deadline: Deadline, sign_ins: SignIns | None = None) -> None:
        self._job = job
        self._run = run
        self._deadline = deadline
        self._sign_ins = sign_ins or SignIns(run.session_name, deadline, kept=True)
        access = next((each.targets.access for each in job.jobs if not isinstance(each, ReplicateJob)), None)
        self._credentials = access.variables if access else ""
        self._bitbucket = self._sign_ins.bitbucket(access) if access and _is_given(access) else None

    def run(self) -> Ended:
        """Return what was found, area by area; nothing is written anywhere, unless by the probe."""
        try:
            return self.diagnose().view()
        finally:
            # Not before all is known: Bitbucket's token may be fetched by Vault's sign-in.
            self._sign_ins.close()

    def diagnose(self) -> Diagnosis:
        """Return what was found; the sign-ins stay open."""
        job, actions = self._job, tuple(each.action for each in self._job.jobs)
        # Cut and cleaned as those of any other job.
        problems = Refused(job.problems).problems if job.problems else ()
        checks = [bad(SETTINGS, each.variable, each.what, each.advice) for each in problems]
        checks = checks or [good(SETTINGS, "variables", f"all that {listed(actions)} must know is given")]
        probed = None
        for found in side_by_side(self._looks()):
            if isinstance(found, KeyturnError):
                raise found
            checks += found
        if job.probes and not self._run.dry_run and self._bitbucket and job.needs.targets:
            # Alone, so that nothing else is in the way of what it measures.
            probed = write_probe(self._bitbucket, job.needs.targets[0], self._deadline)
            checks += check_probe(probed)
        planned = plan() if job.probes and self._run.dry_run else None
        return Diagnosis(actions, tuple(checks), as_json(probed) if probed else None, planned)

    def _looks(self) -> list[Callable[[], list[Check]]]:
        job, needs, sign_ins = self._job, self._job.needs, self._sign_ins
        looks: list[Iterable[Check]] = [check_token(job.step, self._deadline)] if job.has_token else []
        for aws in dict.fromkeys(each.aws for each in job.jobs):
            if aws and _can_sign_in(aws):
                here = [each for each in job.jobs if each.aws == aws]
                looks.append(check_aws(sign_ins.aws(aws), here, self._bitbucket, self._run, self._deadline))
        reading = [each for each in job.jobs if not isinstance(each, RotateJob)]
        for vault in dict.fromkeys(each.vault for each in reading):
            if vault and vault.address and (vault.secret or vault.method in _WITHOUT_SECRET):
                wanted = chain.from_iterable(each.needs.selectors for each in reading if each.vault == vault)
                # Each once, whatever the variables are called.
                selectors = tuple({(each.path, each.recursive): each for each in wanted}.values())
                looks.append(check_vault(sign_ins.vault(vault), selectors, fail_on_missing=needs.fail_on_missing))
        if self._bitbucket and needs.targets:
            looks.append(check_bitbucket(self._bitbucket, needs, self._credentials))
        return [partial(list, look) for look in looks]


def _can_sign_in(access: AwsAccess) -> bool:
    return access.way is not None and not (isinstance(access.way, WebIdentity) and not access.way.token.reveal())


def _is_given(access: BitbucketAccess) -> bool:
    return bool(access.url) and not {"", Secret("")} & set(access.credential)
