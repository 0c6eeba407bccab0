"""`json_schema`: the expected value is a JSON Schema that the answer must satisfy.

A text answer is read as JSON, unless the schema asks for text. References out of the schema are not fetched.
"""

from typing import Any, ClassVar, cast

import msgspec

from workers.contract.json_text import decode
from workers.regression.contract import shown
from workers.regression.cpu_limit import MAX_MATCH_S, CpuLimitError, cpu_limit


class JsonSchemaOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set; the schema's `$schema` names its draft, 2020-12 where it has none."""


class JsonSchema:
    """The answer satisfies the schema."""

    Options: ClassVar[type[JsonSchemaOptions]] = JsonSchemaOptions

    @staticmethod
    def check(expected: object, options: JsonSchemaOptions) -> str | None:  # noqa: ARG004  # all kinds alike
        """The schema must itself be a valid one."""
        import jsonschema  # noqa: PLC0415  # 60 ms; only where a schema is used

        if not isinstance(expected, dict | bool):
            return f"json_schema needs a schema (a mapping), but {shown(expected)} is expected"
        kind = jsonschema.validators.validator_for(expected, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(cast("dict[str, Any]", expected))
        except jsonschema.SchemaError as error:
            return f"the schema is broken at {error.json_path}: {error.message}"
        return None

    @staticmethod
    def compare(expected: object, answer: object, options: JsonSchemaOptions) -> str | None:
        """The first violation, with its place."""
        problem = JsonSchema.check(expected, options)
        if problem or not isinstance(expected, dict | bool):
            return problem
        if isinstance(answer, str) and not _wants_text(expected):
            try:
                answer = decode(answer)
            except ValueError as error:
                return f"expected JSON, got a text that is {error}: {shown(answer)}"
        try:
            with cpu_limit(MAX_MATCH_S):
                return _first_violation(expected, answer)
        except CpuLimitError:
            return f"the schema took over {MAX_MATCH_S:g} s of CPU; make its patterns backtrack less"


def _first_violation(schema: Any, answer: Any) -> str | None:
    import jsonschema  # noqa: PLC0415
    import referencing  # noqa: PLC0415
    import referencing.exceptions  # noqa: PLC0415

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    nothing_fetched: referencing.Registry[Any] = referencing.Registry()
    try:
        error = jsonschema.exceptions.best_match(kind(schema, registry=nothing_fetched).iter_errors(answer))
    except referencing.exceptions.Unresolvable as unresolvable:
        return f"the schema refers to {shown(unresolvable.ref)}, which is not inside it"
    except RecursionError:
        return "the schema or the answer is nested too deeply"
    return None if error is None else f"at {error.json_path}: {error.message}"


def _wants_text(schema: object) -> bool:
    wanted = schema.get("type") if isinstance(schema, dict) else None
    return wanted == "string" or (isinstance(wanted, list) and "string" in wanted)
