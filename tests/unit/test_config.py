"""Every setting is explained, and a wrong one stops the start with a sentence."""

import logging
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from config import SECTIONS, Settings, example_file, get_settings, load_settings
from core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
SECRET = "correct-horse-battery"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("CAUCE_SUPERVISED", raising=False)
    monkeypatch.chdir(tmp_path)


def problems(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    """The sentences that these environment variables are refused with."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as refused:
        load_settings()
    return str(refused.value).split("\n")


# R003-27
def test_the_names_and_defaults_that_users_know() -> None:
    settings = load_settings()
    assert (settings.api_host, settings.api_port) == ("127.0.0.1", 8000)
    assert (settings.prefect_port, settings.data_dir) == (4200, Path("data"))
    assert settings.database_path is None
    assert settings.openai_api_key is None


# R003-27
def test_values_come_from_the_environment_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(
        "API_PORT=8100\nWORKERS=3\nDATABASE_PATH=../database.sqlite\nOPENAI_API_KEY=sk-1\n"
    )
    monkeypatch.setenv("API_PORT", "8200")
    settings = load_settings()
    assert (settings.api_port, settings.workers) == (8200, 3)
    assert settings.database_path == Path("../database.sqlite")
    assert settings.openai_api_key == SecretStr("sk-1")


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("API_PORT", "80a", '"80a" is not a whole number. Example: API_PORT=8000'),
        ("API_PORT", "8e3", '"8e3" is not a whole number. Example: API_PORT=8000'),
        ("API_PORT", "0", '"0" is too small: the least is 1. Example: API_PORT=8000'),
        ("API_PORT", "65536", '"65536" is too large: the most is 65535. Example: API_PORT=8000'),
        ("LEASE_SECONDS", "soon", '"soon" is not a number. Example: LEASE_SECONDS=6'),
        ("LEASE_SECONDS", "nan", '"nan" is not a finite number. Example: LEASE_SECONDS=6'),
        ("LEASE_SECONDS", "0", '"0" is too small: it must be more than 0.0. '),
        ("ALLOW_ANONYMOUS", "maybe", '"maybe" is neither true nor false. '),
        ("DATABASE_SYNCHRONOUS", "OFF", "\"OFF\" is not one of 'FULL' or 'NORMAL'. "),
        ("PREFECT_API_URL", "localhost:4200", "does not begin with http:// or https://. "),
        ("CORS_ORIGINS", "example.com", "has an origin that does not begin with http:// "),
    ],
)
def test_a_wrong_value_is_named_with_an_example(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    (text,) = problems(monkeypatch, **{variable: value})
    assert text.startswith(f"{variable}: ")
    assert sentence in text
    assert f"Example: {variable}=" in text


def test_every_problem_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = problems(monkeypatch, API_PORT="x", WORKERS="-1", HTTP_TIMEOUT="x")
    assert [text.partition(":")[0] for text in sentences] == ["API_PORT", "WORKERS", "HTTP_TIMEOUT"]


def test_a_long_value_is_cut_and_control_characters_are_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (text,) = problems(monkeypatch, API_PORT="\x1b[2J" + "9" * 5000 + "x")
    assert len(text) < 200
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", f"mysql://cauce:{SECRET}@localhost/cauce"),
        ("DATABASE_URL", SECRET),
        ("PREFECT_API_URL", f"ftp://me:{SECRET}@example.com"),
        ("OPENAI_BASE_URL", f"me:{SECRET}@example.com"),
    ],
)
def test_a_secret_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    (text,) = problems(monkeypatch, **{variable: value})
    assert text.startswith(f"{variable}: the value does not begin with ")
    assert SECRET not in text


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:p@h/d", "postgres://h/d", "postgresql+asyncpg://h/d", "sqlite:///data/x.db"],
)
def test_database_urls_that_are_known(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    settings = load_settings()
    assert settings.database_url == SecretStr(url)
    assert url not in repr(settings)


@pytest.mark.parametrize("value", ["", "  ", "\t"])
@pytest.mark.parametrize("variable", ["API_PORT", "API_HOST", "API_KEY", "DATABASE_URL"])
def test_an_empty_value_counts_as_not_set(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    default = getattr(Settings(_env_file=None), variable.lower())
    monkeypatch.setenv(variable, value)
    assert getattr(load_settings(), variable.lower()) == default


# S-48
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "my-server"])
@pytest.mark.parametrize("key", [None, "", "  "])
def test_other_machines_are_not_let_in_without_a_key(
    monkeypatch: pytest.MonkeyPatch, host: str, key: str | None
) -> None:
    if key is not None:
        monkeypatch.setenv("API_KEY", key)
    (text,) = problems(monkeypatch, API_HOST=host)
    assert text.startswith(f'API_HOST: "{host}" lets other machines run workflows')
    assert "Example: API_KEY=" in text


# S-48
@pytest.mark.parametrize(
    "variables",
    [
        {"API_HOST": "0.0.0.0", "API_KEY": SECRET},
        {"API_HOST": "0.0.0.0", "ALLOW_ANONYMOUS": "true"},
        {"API_HOST": "localhost"},
        {"API_HOST": "127.0.0.2"},
        {"API_HOST": "::1"},
        {"API_HOST": "[::1]"},
    ],
)
def test_hosts_that_are_let_in(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert load_settings().api_host == variables["API_HOST"]


def test_a_misspelt_setting_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    Path(".env").write_text("API_PROT=8100\nWORKER=2\nSOMEBODY_ELSES=1\napi_host=localhost\n")
    with caplog.at_level(logging.WARNING, logger="cauce.config"):
        assert load_settings().api_port == 8000
    assert [record.getMessage() for record in caplog.records] == [
        ".env: API_PROT is not a setting, and was ignored. Is API_PORT meant?",
        ".env: WORKER is not a setting, and was ignored. Is WORKERS meant?",
    ]


def test_a_file_of_a_windows_editor_is_read() -> None:
    Path(".env").write_bytes("\ufeffAPI_PORT=8100\r\nWORKERS=2\r\n".encode())
    settings = load_settings()
    assert (settings.api_port, settings.workers) == (8100, 2)


def test_a_file_that_is_no_text_is_refused() -> None:
    Path(".env").write_bytes(b"API_KEY=\xff\xfe\n")
    with pytest.raises(ConfigError, match=r"^\.env: cannot be read as UTF-8 text"):
        load_settings()


def test_lists_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_ALLOWED_HOSTS", " localhost:9000, 10.0.0.5 ,,")
    monkeypatch.setenv("CORS_ORIGINS", "http://localhost:5173")
    settings = load_settings()
    assert settings.http_allowed_host_list == ("localhost:9000", "10.0.0.5")
    assert settings.cors_origin_list == ("http://localhost:5173",)


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    get_settings.cache_clear()
    first = get_settings()
    monkeypatch.setenv("API_PORT", "8123")
    assert get_settings() is first
    get_settings.cache_clear()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_and_has_an_example(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.description
    assert field.description.endswith(".")
    assert field.examples or field.default not in (None, "", PydanticUndefined)


def test_the_example_file_is_up_to_date() -> None:
    assert set(SECTIONS) <= set(Settings.model_fields)
    assert (ROOT / ".env.example").read_text("utf-8") == example_file(), (
        "run: python config.py > .env.example"
    )


def test_the_example_file_means_the_defaults() -> None:
    lines = example_file().splitlines()
    taken = [line[1:] for line in lines if line.startswith("#") and line[1:2].isupper()]
    Path(".env").write_text("\n".join(taken))
    assert len(taken) == len(Settings.model_fields)
    assert load_settings() == Settings(_env_file=None)
