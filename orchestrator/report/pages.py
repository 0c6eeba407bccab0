"""The page's templates, loaded once; every value is escaped, unless a template made it."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from orchestrator.report import formats


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("orchestrator.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        {
            "duration": formats.duration,
            "share": formats.share,
            "rate": formats.rate,
            "number": formats.number,
            "size": formats.size,
            "moment": formats.moment,
            "after": formats.after,
            "clock": formats.clock,
        }
    )
    return environment


def template(name: str) -> Template:
    """A template of this package by its file name."""
    return _environment().get_template(name)


def source(name: str) -> str:
    """A style sheet or script of this package, as it stands."""
    environment = _environment()
    assert environment.loader is not None  # noqa: S101  # set above
    return environment.loader.get_source(environment, name)[0]
