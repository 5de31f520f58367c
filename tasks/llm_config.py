"""The configuration of the `llm` node."""

from typing import Any, Literal

from pydantic import AliasChoices, Field, ValidationInfo, field_validator

from config import get_settings
from core.expressions import TemplateError, compile_template
from tasks.config_messages import config_error
from tasks.llm_schema import check_schema
from tasks.net_guard import allowed_hosts, check_url
from tasks.registry import NodeConfig

OutputType = Literal["text", "number", "date", "enum", "json"]


class LlmConfig(NodeConfig):
    """The question, the kind of answer and the model that is asked."""

    prompt: str = Field(
        validation_alias=AliasChoices("llmPrompt", "prompt"),
        description="The question: a template. For each record its fields are names in it.",
        min_length=1,
        max_length=200_000,
        examples=["Is this message urgent? {{ text }}"],
    )
    system: str = Field(
        "",
        alias="llmSystem",
        description="What the model is to be and do: a template.",
        max_length=200_000,
    )
    context_entities: Any = Field(
        None,
        alias="llmContextEntities",
        description="More that the model should know; sent as JSON after the question.",
    )
    include_input: bool = Field(
        True, alias="llmIncludeInput", description="Send the input as JSON after the question."
    )
    mode: Literal["batch", "perRow"] = Field(
        "batch",
        validation_alias=AliasChoices("llmProcessingMode", "processingMode"),
        description="batch: one question; perRow: one for each record of a list.",
    )
    output_type: OutputType = Field(
        "text", alias="outputType", description="The kind of answer, which is checked."
    )
    options: list[str] = Field(
        default_factory=list,
        alias="enumOptions",
        description="For the output type enum: the possible answers.",
        max_length=200,
        examples=[["urgent", "normal"]],
        validate_default=True,
    )
    response_field: str = Field(
        "",
        alias="llmResponseField",
        description="Put each answer into this field of its record, and pass the records on.",
        max_length=200,
        examples=["urgency"],
    )
    answer_schema: dict[str, Any] | None = Field(
        None,
        alias="llmSchema",
        description="For the output type json: a JSON Schema that the answer must fit.",
    )
    model: str = Field(
        "",
        validation_alias=AliasChoices("llmModel", "model"),
        description="The model; empty: OPENAI_MODEL. offline/echo needs no network and no key.",
        max_length=200,
        examples=["gpt-4o-mini", "offline/echo"],
    )
    temperature: float | None = Field(
        None, alias="llmTemperature", description="How varied answers are.", ge=0, le=2
    )
    max_tokens: int | None = Field(
        None, alias="llmMaxTokens", description="The longest answer, in tokens.", ge=1, le=200_000
    )
    base_url: str = Field(
        "",
        alias="llmBaseUrl",
        description="Another server with the same interface. The service's key is not sent to it.",
        examples=["https://models.example.com/v1"],
    )

    @field_validator("prompt", "system")
    @classmethod
    def _template_compiles(cls, text: str) -> str:
        try:
            compile_template(text)
        except TemplateError as error:
            raise config_error(error.code, str(error), final=True) from None
        return text

    @field_validator("options")
    @classmethod
    def _options_are_given(cls, options: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("output_type") == "enum" and not any(o.strip() for o in options):
            raise config_error("required", '"enumOptions" must name the possible answers.')
        return [option for option in options if option.strip()]

    @field_validator("answer_schema")
    @classmethod
    def _schema_is_valid(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        problem = check_schema(schema) if schema is not None else None
        if problem:
            raise config_error("schema_invalid", problem)
        return schema

    @field_validator("base_url")
    @classmethod
    def _url_is_open(cls, url: str, info: ValidationInfo) -> str:
        """Refuse what the text alone tells; where a name leads is decided when connecting."""
        settings = get_settings()
        if url in ("", settings.openai_base_url):
            return url
        for problem in check_url(url, allowed_hosts(settings.http_allowed_hosts)):
            if problem.code != "url_blocked" or (info.context or {}).get("saved"):
                raise config_error(problem.code, problem.message)
        return url
