"""Errors, as the server answers them."""

from __future__ import annotations

from typing import Any

from lstmgen.errors import OptionError
from lstmgen.escaping import printable


class Failure(Exception):
    """An error that the server answers.

    status: the status of HTTP.
    message: what is wrong, and what to do.
    param: the wrong parameter, as the client wrote it, or None.
    code: a word for programs, or None.

    >>> Failure(404, "no such model", "model", "model_not_found").body()["error"]["code"]
    'model_not_found'
    """

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, printable(message), code
        self.param = None if param is None else printable(param)

    def body(self) -> dict[str, Any]:
        """Return the body of the answer, as in OpenAI's API.

        >>> Failure(400, "n: expected at least 1, found 0", "n").body()["error"]["type"]
        'invalid_request_error'
        """
        kind = "invalid_request_error" if self.status < 500 and self.status != 429 else "server_error"
        kind = "rate_limit_error" if self.status == 429 else kind
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def failure_of(error: Exception, names: dict[str, str]) -> Failure:
    """Return the answer to an error of the library.

    names: for each option of the library, the name that the client wrote.

    >>> failure_of(OptionError("length", "at least 0", -1), {"length": "max_tokens"}).param
    'max_tokens'
    """
    param = names.get(error.option, error.option) if isinstance(error, OptionError) else None
    return Failure(400, str(error), param)
