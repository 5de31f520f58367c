"""Runs every bomb in a process of its own, under a limit of memory, and prints what came of it.

`python tests/unit/template_bombs.py` prints a JSON list of [template, outcome, seconds], then
the growth of the process's memory in bytes. It is a program for `test_expression_safety.py`.
"""

import json
import resource
import time
from typing import Any

from core.expressions import TemplateError, compile_template

MEMORY_LIMIT = 700 * 2**20

SCOPE: dict[str, Any] = {
    "x": "a" * 900_000,
    "words": "a b " * 200_000,
    "emoji": "\N{GRINNING FACE}" * 500_000,
    "big": "b" * 5_000_000,
    "numbers": list(range(200_000)),
    "many": list(range(1_000)),
    "lines": ["l" * 1_000] * 5_000,
    "rows": [{"id": n, "name": f"n{n}"} for n in range(100_000)],
    "deep": json.loads("[" * 900 + "]" * 900),
    "json": "[" + "[]," * 300_000 + "[]]",
    "nested_json": "[" * 400_000,
}

FIXED = [
    "{{ 'a'*10**9 }}",
    "{{ 'a'|center(10**9) }}",
    "{{ '%1000000000d'%1 }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ [0]*10**9 }}",
    "{{ x|indent(10**6) }}",
    "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
    "{{ lipsum(n=200000) }}",
    "{{ [1]|slice(10**8)|list }}",
    "{{ ('a'*10**6)|wordwrap(1) }}",
    "{{ " + "(" * 3_000 + "1" + ")" * 3_000 + " }}",
    "{{ " + "[" * 3_000 + "]" * 3_000 + " }}",
    "{{ " + "{'a':" * 3_000 + "1" + "}" * 3_000 + " }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% block b %}{{ self.b() }}{% endblock %}",
]
GROWING = [
    "{{ 9**9**9 }}",
    "{{ 9**9**9**9 }}",
    "{{ 10**400 }}",
    "{{ 2**63 }}",
    "{{ 2.0**5000 }}",
    "{{ 1e308*10 }}",
    "{{ 1e999 }}",
    "{{ " + "9" * 16_000 + " + 1 }}",
    "{{ 0x" + "f" * 16_000 + " + 1 }}",
    "{{ " + " * ".join(["9999999999"] * 90) + " }}",
    "{{ x ~ x }}",
    "{{ x + x }}",
    "{{ big|upper }}",
    "{{ x }}{{ x }}",
    "{{ " + " ~ ".join(["x"] * 3_000) + " }}",
    "{{ [" + ",".join(["x ~ 'a'"] * 1_000) + "] }}",
    "{{ [" + ",".join(["x|lower"] * 1_000) + "]|length }}",
    "{{ x|replace('a', 'aaaaaaaaaa') }}",
    "{{ x|replace('', x) }}",
    "{{ numbers|join(x) }}",
    "{{ lines|join }}",
    "{{ [" + ",".join(["numbers|sort"] * 1_000) + "]|length }}",
    "{{ [" + ",".join(["rows|sort(attribute='name')"] * 400) + "]|length }}",
    "{{ [" + ",".join(["rows|map(attribute='id')|list"] * 400) + "]|length }}",
    "{{ [" + ",".join(["rows == rows"] * 1_000) + "] }}",
    "{{ [" + ",".join(["big == (big|list)"] * 900) + "] }}",
    "{{ [" + ",".join(["'b' * 2 in x"] * 10) + "] }}",
    "{{ [" + ",".join(["('a' ~ x[:80] ~ 'b') in x[:29000]"] * 400) + "] }}",
    "{{ [" + ",".join(["x in lines"] * 1_000) + "] }}",
    "{{ " + "+".join(["numbers"] * 90) + " }}",
    "{{ [" + ",".join(["numbers + numbers"] * 900) + "] }}",
    "{{ [" + ",".join(["json|fromjson"] * 900) + "] }}",
    "{{ nested_json|fromjson }}",
    "{{ rows|tojson ~ rows|tojson }}",
    "{{ rows|tojson(indent=8) }}",
    "{{ rows|unique|list|tojson }}",
    "{{ emoji|urlencode }}",
    "{{ words|title|title|title|title|title }}",
    "{{ [" + ",".join(["words|split"] * 900) + "] }}",
    "{{ [" + ",".join(["big[::-1]"] * 900) + "] }}",
    "{{ rows|map(attribute='a.' ~ x)|list }}",
    "{{ numbers|map('string')|map('upper')|map('lower')|map('title')|list }}",
    "{{ numbers|select('in', numbers)|list }}",
    "{{ 1.5|round(10**9) }}",
    "{{ 5|round(-10**9) }}",
    "{{ x|truncate(10**12) }}",
    "{{ 1|tojson(indent=10**9) }}",
    "{{ '2024-01-01'|date('%999999999d') }}",
    "{{ '2024-01-01'|date('%Y'|replace('Y', '_999999999Y')) }}",
    "{{ x|int + x|float + (x|replace('a', '9'))|int('') }}",
    "{% for i in numbers %}{{ i }}{% endfor %}",
    "{% for i in many %}{% for j in many %}{{ j }}{% endfor %}{% endfor %}",
    "{% for i in many %}{{ words|title }}{% endfor %}",
    "{% for i in many %}{{ x }}{% endfor %}",
    "{% for i in many %}" + "{{ i + 1 }}" * 900 + "{% endfor %}",
    "{% for a in many %}{% for b in many %}{% for c in many %}{% endfor %}{% endfor %}{% endfor %}",
    "{{ " + "not " * 4_000 + "1 }}",
    "{{ " + "-" * 16_000 + "1 }}",
    "{{ 1 " + "+ 1 " * 4_000 + "}}",
    "{{ x" + "|lower" * 2_500 + " }}",
    "{{ x" + ".a" * 8_000 + " }}",
    "{{ 1 " + "if 1 else 1 " * 1_300 + "}}",
    "{% if 1 %}" * 1_500,
    "{% if 1 %}" * 600 + "{% endif %}" * 600,
    "{% if 0 %}" + "{% elif 0 %}" * 1_200 + "{% endif %}{{ missing }}",
    "{{" * 8_000,
    "{%" * 8_000,
    "{{ " + "a b-c." * 2_700 + " }}",
    "{{ x }" * 2_700,
    "{{ a b }}" * 1_800,
    "x" * 16_384 + "{{ 1 }}",
]


def outcome(template: str) -> str:
    """Return the code of the error, or `rendered`."""
    try:
        compile_template(template).render(SCOPE)
    except TemplateError as error:
        return error.code
    return "rendered"


def main() -> None:
    """Run all bombs."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    results = []
    for template in FIXED + GROWING:
        started = time.process_time()
        code = outcome(template)
        results.append([template[:60], code, time.process_time() - started])
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"results": results, "grown": (after - before) * 1024}))  # noqa: T201


if __name__ == "__main__":
    main()
