"""`/docs`: Swagger UI over `/openapi.json`, from files of our own, so that it works offline."""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

from core.errors import NotFound

_POLICY = (
    "default-src 'none'; connect-src 'self'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
)
"""Swagger UI sets styles on its elements; scripts come from files alone."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Cauce: API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
});
"""

_KINDS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def page() -> Response:
    """The page."""
    return _answer(_PAGE, "text/html")


@router.get("/docs/{name}")
async def file(name: str) -> Response:
    """What the page is made of. Raises `NotFound` for any other name."""
    if name == "start.js":
        return _answer(_START, "text/javascript")
    if name not in _KINDS:
        raise NotFound
    return _answer(_text(name), _KINDS[name])


def _text(name: str) -> str:
    return files("fastapi_swagger").joinpath("resources", name).read_text("utf-8")


def _answer(text: str, kind: str) -> Response:
    return Response(text, media_type=kind, headers={"Content-Security-Policy": _POLICY})
