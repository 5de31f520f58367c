"""One frozen object with every setting, read from environment variables and `.env`.

`python config.py` prints `.env.example`: each setting with its default and what it does.
"""

import ipaddress
import logging
import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import ConfigError
from core.settings_text import environment_file, misspelt, problem_sentences

# Windows editors put a byte order mark at the start of a file: it is no part of the first name.
ENV_ENCODING = "utf-8-sig"

_DATABASE_SCHEMES = ("postgresql", "postgres", "sqlite")

SECTIONS = {
    "api_host": "The API",
    "data_dir": "Where data is kept",
    "prefect_port": "Prefect",
    "workers": "Workers",
    "http_allowed_hosts": "What nodes may do",
    "openai_api_key": "The language model",
    "max_body_bytes": "Limits",
}
"""The title of each section of `.env.example`, by the field that opens it."""


def _web_address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("does not begin with http:// or https://")
    return value


def _origins(value: str) -> str:
    for origin in _parts(value):
        if origin != "*" and not origin.startswith(("http://", "https://")):
            raise ValueError("has an origin that does not begin with http:// or https://")
    return value


def _database_address(value: SecretStr) -> SecretStr:
    scheme, found, _ = value.get_secret_value().partition("://")
    if not found or scheme.partition("+")[0] not in _DATABASE_SCHEMES:
        raise ValueError("does not begin with postgresql:// or sqlite:///")
    return value


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part for piece in text.split(",") if (part := piece.strip()))


WebAddress = Annotated[str, AfterValidator(_web_address)]


class Settings(BaseSettings):
    """Every environment variable of the service, in upper case (`API_PORT`, `DATA_DIR`, …).

    A value that is empty, or only spaces, counts as not set.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding=ENV_ENCODING,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    api_host: str = Field(
        "127.0.0.1",
        description="Address to listen on. Any address but this machine's own needs API_KEY.",
    )
    api_port: int = Field(8000, ge=1, le=65535, description="Port of the API.")
    api_key: SecretStr | None = Field(
        None,
        examples=["a-long-random-text"],
        description="When set, every request needs it: Authorization: Bearer <key>, or X-API-Key.",
    )
    allow_anonymous: bool = Field(
        False, description="Let other machines in without a key: for trusted networks only."
    )
    cors_origins: Annotated[str, AfterValidator(_origins)] = Field(
        "",
        examples=["http://localhost:5173,https://app.example.com"],
        description="Origins, separated by commas, whose pages may call the API from a browser.",
    )

    data_dir: Path = Field(
        Path("data"), description="Folder of the databases, the process ids and stored files."
    )
    database_path: Path | None = Field(
        None,
        examples=["../database.sqlite"],
        description="SQLite file of the executions. Default: cauce.db in DATA_DIR.",
    )
    database_url: Annotated[SecretStr, AfterValidator(_database_address)] | None = Field(
        None,
        examples=["postgresql://user:password@localhost:5432/cauce"],
        description="Database of the executions, instead of DATABASE_PATH.",
    )
    database_synchronous: Literal["FULL", "NORMAL"] = Field(
        "FULL",
        description="SQLite only. FULL: what was acknowledged survives a power cut. "
        "NORMAL: it survives the death of any process, and each write costs less.",
    )

    retention_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days that finished executions are kept; 0: for ever. A workflow may say "
        "otherwise (settings.retentionDays).",
    )

    prefect_port: int = Field(
        4200, ge=1, le=65535, description="Port of the Prefect server that is started with us."
    )
    prefect_api_url: WebAddress | None = Field(
        None,
        examples=["http://prefect.example.com:4200/api"],
        description="A Prefect server of your own. When set, none is started.",
    )
    prefect_task_runs: Literal["all", "effects"] = Field(
        "all",
        description="Which nodes show as task runs in Prefect: all, or only those that touch the "
        "outside (faster).",
    )
    prefect_event_feed: bool = Field(
        True, description="Keep Prefect's event feed and automations; false is faster."
    )
    orchestrator: Literal["prefect", "direct"] = Field(
        "prefect",
        description="Run executions as Prefect flows, or directly: faster, not shown in Prefect.",
    )

    workers: int = Field(1, ge=0, le=64, description="Worker processes started on this machine.")
    worker_concurrency: int = Field(
        32, ge=1, le=1000, description="Executions that one worker runs at once."
    )
    worker_name: str = Field("worker-1", description="Name of a worker that is started by itself.")
    lease_seconds: float = Field(
        6.0,
        gt=0,
        le=600,
        description="Seconds after which the executions of a silent worker go to another one.",
    )
    poll_seconds: float = Field(
        0.5, gt=0, le=60, description="Seconds between two looks for work, when nothing wakes us."
    )
    max_parallel: int = Field(
        16, ge=1, le=1000, description="Nodes of one execution that run at once."
    )
    blocking_processes: int = Field(
        2, ge=1, le=64, description="Child processes of a worker for code that blocks."
    )
    stop_seconds: float = Field(
        10.0,
        ge=1,
        le=3600,
        description="Seconds in which everything has stopped after Ctrl+C; then it is killed.",
    )

    http_allowed_hosts: str = Field(
        "",
        examples=["localhost:9000,10.0.0.5"],
        description="Hosts, separated by commas, that nodes may call although they are private.",
    )
    http_timeout: float = Field(
        10.0, gt=0, le=3600, description="Seconds for an HTTP node that sets no time-out."
    )
    http_max_bytes: int = Field(
        10 * 1024 * 1024, ge=1024, description="Largest answer that an HTTP node accepts, in bytes."
    )

    openai_api_key: SecretStr | None = Field(
        None, examples=["sk-..."], description="Key for LLM nodes."
    )
    openai_base_url: WebAddress = Field(
        "https://api.openai.com/v1",
        description="Address of the language model: OpenAI's, or any service that speaks the same.",
    )
    openai_model: str = Field("gpt-4o-mini", description="Model of LLM nodes that name none.")
    llm_timeout: float = Field(
        30.0, gt=0, le=3600, description="Seconds for an LLM node that sets no time-out."
    )

    max_body_bytes: int = Field(
        10 * 1024 * 1024, ge=1024, description="Largest request body, in bytes."
    )
    max_queued: int = Field(
        10_000,
        ge=0,
        description="Executions that may wait for a worker; one more is refused. 0: no limit.",
    )
    max_nodes: int = Field(5000, ge=1, description="Most nodes in one workflow.")
    max_edges: int = Field(50_000, ge=0, description="Most connections in one workflow.")
    max_output_bytes: int = Field(
        10 * 1024 * 1024, ge=1024, description="Largest output of one node, in bytes."
    )
    lenient_node_types: bool = Field(
        False, description="Accept workflows with unknown node types; such a node fails when run."
    )

    @property
    def cors_origin_list(self) -> tuple[str, ...]:
        """The parts of `cors_origins`."""
        return _parts(self.cors_origins)

    @property
    def http_allowed_host_list(self) -> tuple[str, ...]:
        """The parts of `http_allowed_hosts`."""
        return _parts(self.http_allowed_hosts)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        stripped = {k: v.strip() if isinstance(v, str) else v for k, v in values.items()}
        return {name: value for name, value in stripped.items() if value != ""}

    @model_validator(mode="after")
    def _others_need_a_key(self) -> Self:
        if self.api_key or self.allow_anonymous or _is_own_address(self.api_host):
            return self
        raise ValueError(
            f'API_HOST: "{self.api_host}" lets other machines run workflows, and no API key is '
            "set; set API_KEY to a long random text, or API_HOST=127.0.0.1, or, in a trusted "
            "network only, ALLOW_ANONYMOUS=true. Example: API_KEY=a-long-random-text"
        )


def _is_own_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings from the environment and from `env_file` (`None`: environment only).

    Raises `ConfigError` with one sentence per wrong value, joined by newlines. A line of the
    file that looks like a misspelt setting is logged as a warning.
    """
    try:
        settings = Settings(_env_file=env_file)
        names = dotenv_values(env_file, encoding=ENV_ENCODING) if env_file else {}
    except ValidationError as error:
        sentences = problem_sentences(error.errors(), Settings.model_fields)
        raise ConfigError("\n".join(sentences)) from None
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{env_file}: cannot be read as UTF-8 text ({_reason(error)}).") from None
    # A supervised process has the warnings of the one that started it.
    if os.environ.get("CAUCE_SUPERVISED") != "1":
        for name, meant in misspelt(names, Settings.model_fields).items():
            message = "%s: %s is not a setting, and was ignored. Is %s meant?"
            logging.getLogger("cauce.config").warning(message, env_file, name, meant)
    return settings


def _reason(error: OSError | UnicodeError) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else str(error)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings of this process, read once. Raises `ConfigError`."""
    return load_settings()


def example_file() -> str:
    """Return the text of `.env.example`."""
    return environment_file(Settings.model_fields, SECTIONS)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(example_file())
