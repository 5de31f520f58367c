"""What is taken out of a text before it is stored or shown."""

import re

from pydantic import SecretStr

from config import Settings

LONGEST = 500
"""Characters of a message that are kept."""

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]{1,200}@")


def redacted(text: str, settings: Settings, longest: int = LONGEST) -> str:
    """Return a text without the service's secrets and without credentials in URLs, cut short."""
    for secret in _secrets(settings):
        text = text.replace(secret, "[redacted]")
    text = _CREDENTIALS.sub("[redacted]@", text[: 4 * longest])
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _secrets(settings: Settings) -> list[str]:
    values = (getattr(settings, name) for name in type(settings).model_fields)
    return [
        value.get_secret_value()
        for value in values
        if isinstance(value, SecretStr) and value.get_secret_value()
    ]
