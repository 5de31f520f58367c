"""The configuration of the `http` node, checked when it is saved and again when it runs.

What a template comes to is only known at run time: `check_rendered` repeats the checks then.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from config import Settings, get_settings
from core.errors import NodeError
from core.expressions import is_template
from tasks.config_messages import config_error
from tasks.http_headers import (
    Fault,
    Headers,
    Scalar,
    header_faults,
    header_pairs,
    name_faults,
    value_faults,
)
from tasks.net_guard import allowed_hosts, check_url
from tasks.registry import NodeConfig

Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
IDEMPOTENT = METHODS - {"POST", "PATCH"}
"""RFC 9110, section 9.2.2: the same request twice does no more than once."""

BODILESS = frozenset({"GET", "HEAD"})

MAX_TIMEOUT = 3600
"""Seconds."""


class HttpAuth(NodeConfig):
    """How a request is authorized: `basic` with user name and password, `bearer` or `header`."""

    type: Literal["basic", "bearer", "header"]
    username: str = Field("", repr=False, validate_default=True)
    password: str = Field("", repr=False)
    token: str = Field("", repr=False, validate_default=True)
    name: str = Field("", validate_default=True)
    value: str = Field("", repr=False)

    @field_validator("username", "token", "name")
    @classmethod
    def _given(cls, text: str, info: ValidationInfo) -> str:
        needed = {"username": "basic", "token": "bearer", "name": "header"}[str(info.field_name)]
        if info.data.get("type") == needed and not text:
            raise config_error("required", f'"{info.field_name}" is required for "{needed}".')
        return text

    @field_validator("name")
    @classmethod
    def _sendable_name(cls, name: str) -> str:
        if name and not is_template(name):
            _refuse(name_faults(name))
        return name

    @field_validator("token", "value")
    @classmethod
    def _sendable(cls, text: str) -> str:
        _refuse(value_faults("Authorization", text))
        return text


class HttpConfig(NodeConfig):
    """What an `http` node sends, and how it reads the answer."""

    model_config = ConfigDict(json_schema_extra={"required": ["httpUrl"]})

    # The default is refused by the validator: a missing URL is a URL that is not valid.
    url: str = Field(
        "",
        alias="httpUrl",
        description="The address: http or https, public unless HTTP_ALLOWED_HOSTS opens it.",
        validate_default=True,
    )
    method: Method = Field("GET", alias="httpMethod", description="The method.")
    headers: Headers = Field(
        (),
        alias="httpHeaders",
        description="Headers: an object, or a list of {key, value}.",
        repr=False,
    )
    query: dict[str, Scalar | list[Scalar]] = Field(
        {},
        alias="httpQuery",
        description="Added to the address; a list repeats its name.",
        repr=False,
    )
    body_type: Literal["json", "text", "form"] | None = Field(
        None,
        alias="httpBodyType",
        description="How httpBody is written. Empty: text for a text, else JSON.",
    )
    body: Any = Field(
        None,
        alias="httpBody",
        description="The body. Empty: none, or the input (httpSendInput).",
        repr=False,
    )
    send_input: bool | None = Field(
        None,
        alias="httpSendInput",
        description="Send the input as the body. Empty: for POST, PUT and PATCH without one.",
    )
    auth: HttpAuth | None = Field(
        None, alias="httpAuth", description="Credentials: basic, bearer, or a header of your own."
    )
    timeout: float | None = Field(
        None,
        alias="httpTimeout",
        description="Seconds for everything, redirects and body included. Empty: HTTP_TIMEOUT.",
    )
    follow_redirects: bool = Field(
        True,
        alias="httpFollowRedirects",
        description="Follow redirects, each checked like the address itself.",
    )
    full_response: bool = Field(
        False,
        alias="httpFullResponse",
        description="Give {status, headers, body} instead of the body alone.",
    )
    fail_on_status: bool = Field(
        True,
        alias="httpFailOnStatus",
        description="Let the node fail when the status is 400 or above.",
    )

    @property
    def has_body(self) -> bool:
        """Tell whether the node has a body of its own; null and empty text are none."""
        return self.body is not None and self.body != ""

    @property
    def sends_input(self) -> bool:
        """Tell whether the node's input is the body."""
        if self.send_input is None:
            return self.method in {"POST", "PUT", "PATCH"} and not self.has_body
        return self.send_input

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        _refuse(check_url(url, allowed_hosts(get_settings().http_allowed_hosts)))
        return url

    @field_validator("method", mode="before")
    @classmethod
    def _check_method(cls, method: Any) -> Any:
        if not isinstance(method, str) or method not in METHODS:
            known = ", ".join(sorted(METHODS))
            raise config_error("method_invalid", f"The method must be one of {known}.")
        return method

    @field_validator("headers", mode="before")
    @classmethod
    def _check_headers(cls, given: Any) -> Headers:
        headers = tuple(header_pairs(given))
        _refuse(header_faults(headers, templates=True))
        return headers

    @field_validator("query", mode="before")
    @classmethod
    def _no_query(cls, query: Any) -> Any:
        return {} if query is None else query

    @field_validator("body")
    @classmethod
    def _check_body(cls, body: Any, info: ValidationInfo) -> Any:
        if body is None or body == "":
            return body
        method = info.data.get("method")
        if method in BODILESS:
            raise config_error("config_conflict", f"A {method} request has no body.")
        is_form = info.data.get("body_type") == "form"
        if is_form and not isinstance(body, Mapping):
            raise config_error("type_object_expected", "The body of a form must be an object.")
        return body

    @field_validator("send_input")
    @classmethod
    def _check_send_input(cls, send: bool | None, info: ValidationInfo) -> bool | None:
        method = info.data.get("method")
        if send and method in BODILESS:
            raise config_error("config_conflict", f"A {method} request cannot send the input.")
        if send and info.data.get("body") not in (None, ""):
            raise config_error("config_conflict", "Send either a body or the input, not both.")
        return send

    @field_validator("auth")
    @classmethod
    def _check_auth(cls, auth: HttpAuth | None, info: ValidationInfo) -> HttpAuth | None:
        if auth is not None:
            name = auth.name.lower() if auth.type == "header" else "authorization"
            given = {key.lower() for key, _ in info.data.get("headers", ())}
            if name in given and not is_template(name):
                message = f'The header "{name}" is set twice: by the headers and by httpAuth.'
                raise config_error("config_conflict", message)
        return auth

    @field_validator("timeout", mode="before")
    @classmethod
    def _check_timeout(cls, seconds: Any) -> Any:
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not is_number or not 0 < seconds <= MAX_TIMEOUT:
            message = f"The timeout must be a number of seconds above 0, at most {MAX_TIMEOUT}."
            raise config_error("number_range", message)
        return seconds


def check_rendered(config: HttpConfig, settings: Settings) -> None:
    """Repeat the checks of what may have come from a template. Raises `NodeError`.

    A URL that leads to a private address has the code `ssrf_blocked` here.
    """
    faults = check_url(config.url, allowed_hosts(settings.http_allowed_hosts))
    blocked = [fault.message for fault in faults if fault.code == "url_blocked"]
    if blocked:
        raise NodeError(blocked[0], code="ssrf_blocked")
    for code, message in (*faults, *header_faults(config.headers)):
        raise NodeError(message, code=code)


def _refuse(faults: Sequence[Fault] | Iterator[Fault]) -> None:
    for code, message in faults:
        raise config_error(code, message)
