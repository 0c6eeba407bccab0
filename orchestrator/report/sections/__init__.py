"""The sections of the page in their order; a new one is a module, a template NAME.html.j2 and one line here.

Each function takes (report, outcome) and returns what its template needs, None where there is nothing to say.
"""

from collections.abc import Mapping
from typing import Final

TABLE: Final[Mapping[str, str]] = {
    "verdict": "verdict:verdict",
    "objectives": "objectives:objectives",
    "phases": "phases:phases",
    "clients": "clients:clients",
    "requests": "requests:requests",
    "faults": "faults:faults",
    "resilience": "resilience:resilience",
    "regression": "regression:regression",
    "fleet": "fleet:fleet",
    "timeline": "timeline:timeline",
    "definitions": "definitions:definitions",
    "reproduce": "reproduce:reproduce",
}
