"""Flower as this fleet's page of tasks: it reads Celery's events and shows them, and can do nothing else."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from celery import Celery
from flower import events as flower_events  # type: ignore[import-untyped]
from flower import inspector, urls
from flower.app import Flower  # type: ignore[import-untyped]
from flower.command import apply_env_options, extract_settings, setup_logging  # type: ignore[import-untyped]
from flower.options import options  # type: ignore[import-untyped]
from flower.views.monitor import Metrics  # type: ignore[import-untyped]
from tornado.ioloop import IOLoop

from orchestrator.errors import UsageError
from orchestrator.flower.listen import Listener
from orchestrator.flower.refresh import Refresh
from workers.contract.broker import names
from workers.contract.broker.connection import celery_settings

CONFIG = "flowerconfig.py"
ENVIRONMENT = "FLOWER_"
DEAF_AFTER_S = 30
"""A server that vanished without a word (a pulled plug) is noticed by TCP's keepalive within this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What `shakeout flower` was told. `port` 0: any; `url`: how people reach it, "" for address and port.

    `login`: USER:PASSWORD, for where Flower's own variables say no other way to log in.
    """

    broker: str
    address: str
    port: int
    url: str
    login: str = field(repr=False)


def serve(site: Site, *, opened: Callable[[str, bool], None]) -> None:
    """Serve until SIGTERM or SIGINT; `opened` is told the address that people open, once it can be opened.

    And whether it is `site.login` that lets them in.

    Raises UsageError where the address cannot be listened on or the settings cannot be found.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    _configure(site)
    _leave_out()
    signals = asyncio.new_event_loop()
    asyncio.set_event_loop(signals)
    app, loop = _app(site.broker), IOLoop.current()
    events = Listener(app, tasks=options.max_tasks, workers=options.max_workers, later=loop.add_callback)
    flower = Flower(
        capp=app, options=options, events=events, io_loop=loop, **urls.settings, transforms=[Refresh]
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signals.add_signal_handler(number, loop.stop)
    try:
        port = flower.start_http_server()
    except OSError as error:
        raise UsageError(
            f"Flower cannot listen on {site.address}:{site.port}: {error.strerror or error}; "
            "say another --address or --port"
        ) from error
    # as the loop's first step: from then on a signal ends it
    loop.add_callback(opened, site.url or _url(site.address, port), options.basic_auth == [site.login])
    try:
        flower.start()
    finally:
        flower.stop()


def _app(broker: str) -> Celery:
    """The fleet's events, by the exchange that its workers send them to."""
    app = Celery("shakeout")
    app.conf.update(celery_settings(broker), event_exchange=names.EVENTS, accept_content=["json"])
    app.conf.broker_transport_options |= {
        "socket_keepalive_options": {
            socket.TCP_KEEPIDLE: DEAF_AFTER_S // 3,
            socket.TCP_KEEPINTVL: DEAF_AFTER_S // 6,
            socket.TCP_KEEPCNT: 4,
        }
    }
    return app


def _configure(site: Site) -> None:
    """The shipped file first, then the environment's FLOWER_* variables, then what was said here."""
    options.parse_config_file(str(config_file()), final=False)
    try:
        apply_env_options()
    except ValueError as error:
        raise UsageError(f"a variable {ENVIRONMENT}* of the environment cannot be read: {error}") from error
    options.address, options.port = site.address, site.port
    if not (options.basic_auth or options.auth):
        options.basic_auth = [site.login]
    try:
        extract_settings()
    except SystemExit as error:  # it has said why
        raise UsageError(f"Flower cannot work with what the variables {ENVIRONMENT}* say") from error
    setup_logging()


def config_file() -> Path:
    """`deploy/flower/flowerconfig.py` of the checkout, or where the wheel put it. Raises UsageError."""
    here = Path(__file__).parents[2]
    # the checkout, `pip install --target`, any other installation
    places = [here / "deploy" / "flower" / CONFIG, here / "share" / "shakeout" / "flower" / CONFIG]
    places += [Path(str(file.locate())) for file in metadata.files("shakeout") or () if file.name == CONFIG]
    for place in places:
        if place.is_file():
            return place
    raise UsageError(f"{CONFIG} was not installed with Shakeout: install its wheel again")


def _leave_out() -> None:
    """Of Flower, what would ask workers that never answer, or grow and speak without a login."""
    inspector.Inspector.inspect_methods = ()  # remote control is off in every worker
    urls.handlers[:] = [one for one in urls.handlers if not (isinstance(one, tuple) and one[1] is Metrics)]
    flower_events.PROMETHEUS_METRICS = _Uncounted()


class _Uncounted:
    """Stands for Flower's Prometheus counters, where every shard of every campaign is a label for ever."""

    def observe_task(self, *_: Any) -> None:
        """Count nothing."""

    def observe_worker(self, *_: Any) -> None:
        """Count nothing."""

    def remove_workers(self, _: Any) -> int:
        """Nothing was there."""
        return 0


def _url(address: str, port: int) -> str:
    """The address as people open it; one that means every interface becomes this host's name."""
    scheme = "https" if "ssl_options" in urls.settings else "http"
    host = socket.gethostname() if address in ("", "0.0.0.0", "::") else address  # noqa: S104  # compared only
    prefix = (options.url_prefix or "").strip("/")
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{f'/{prefix}' if prefix else ''}"
