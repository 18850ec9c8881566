"""AWS Systems Manager Parameter Store: which parameters there are in which versions, and what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from pipe.clients.answer import Fields
from pipe.clients.aws import Aws
from pipe.errors import Denied, KeyturnError
from pipe.redact import learn, learn_all
from pipe.retry import side_by_side
from pipe.secrets import Body, Content, Version

# What AWS takes: parameters in a page of the list, values of a filter, names in a request that reads.
PAGE = 50
MOST_VALUES = 50
BATCH = 10

CHECK = "Check AWS_DEFAULT_REGION and the policies of the identity."
CHECK_READ = "The identity needs ssm:GetParameters on the parameter, and kms:Decrypt on its key if that is your own."

# What is in each of the parameters, or why that cannot be told, by name.
Read = dict[str, Content | KeyturnError]


class ParameterStore:
    """The parameters of an account in a region. Every method raises ServiceError."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._client = aws.client("ssm")

    def versions(self, names: Iterable[str], folders: Iterable[str]) -> dict[str, Version]:
        """Return the versions of these parameters and of all below these folders, by name, without reading any."""
        paths = {f"{folder}/" for folder in folders}
        outermost = sorted(path for path in paths if not any(path.startswith(other) for other in paths - {path}))
        others = sorted({name for name in names if not name.startswith(tuple(outermost))})
        filters = [
            *({"Key": "Name", "Option": "Equals", "Values": some} for some in _batches(others, MOST_VALUES)),
            *({"Key": "Path", "Option": "Recursive", "Values": [path.rstrip("/")]} for path in outermost),
        ]
        found: dict[str, Version] = {}
        for answer in side_by_side(partial(self._list, each) for each in filters):
            if isinstance(answer, KeyturnError):
                raise answer
            found |= answer
        return found

    def read(self, names: Iterable[str]) -> Read:
        """Return what is in parameters, decrypted and from now on hidden from what is printed."""
        batches = _batches([*dict.fromkeys(names)], BATCH)
        read: Read = {}
        alone: list[str] = []
        for batch, answer in zip(batches, side_by_side(partial(self._get, some) for some in batches), strict=True):
            if isinstance(answer, Denied) and len(batch) > 1:
                # One parameter that is denied denies the whole request.
                alone += batch
            else:
                read |= dict.fromkeys(batch, answer) if isinstance(answer, KeyturnError) else answer
        for name, answer in zip(alone, side_by_side(partial(self._get, [name]) for name in alone), strict=True):
            read[name] = answer if isinstance(answer, KeyturnError) else answer[name]
        return read

    def _list(self, narrowing: Mapping[str, Any]) -> dict[str, Version]:
        given: dict[str, Any] = {"ParameterFilters": [narrowing], "MaxResults": PAGE}
        pages = self._aws.pages("ssm:DescribeParameters", self._client.describe_parameters, CHECK, **given)
        return {each.name("Name"): _version(each) for page in pages for each in page.objects("Parameters")}

    def _get(self, names: Sequence[str]) -> dict[str, Content]:
        """Return what one request tells; of a parameter that is not there any more, that it is deleted."""
        call = partial(self._client.get_parameters, Names=list(names), WithDecryption=True)
        answer = self._aws.ask("ssm:GetParameters", call, CHECK_READ)
        found = {each.text("Name"): _content(each) for each in answer.objects("Parameters")}
        gone = dict.fromkeys(answer.optional_texts("InvalidParameters") or (), Content(None))
        if found.keys() | gone.keys() != set(names):
            raise answer.wrong("Parameters", "not about what was asked for")
        return found | gone


def _version(answer: Fields) -> Version:
    """Return a parameter's version; one that is deleted and made anew has number 1 again, but was changed later."""
    return Version(answer.number("Version"), str(int(answer.moment("LastModifiedDate").timestamp())))


def _content(answer: Fields) -> Content:
    """Return what a parameter holds: the fields of its JSON object, if it is one, and its text."""
    text = answer.text("Value")
    fields = Body("", text).fields
    learn(text)
    learn_all(fields)
    return Content(fields or {}, _version(answer), whole=text, plain=fields is None)


def _batches(names: Sequence[str], size: int) -> list[Sequence[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]
