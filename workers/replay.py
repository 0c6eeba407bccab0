"""`python -m workers.replay`: one request of a run sent once more; the order as JSON on stdin.

Exit codes: 0 answered as it should, 1 it was not, 2 it could not be made or sent.
"""

import json
import re
import sys
from typing import Any

import msgspec

from workers.contract.errors import ShakeoutWorkerError
from workers.contract.replay import ReplayOrder, decode_order
from workers.contract.samples import trace_id
from workers.contract.spec import ShardTask

MASKED = "[masked]"
MOST_SHOWN = 16 * 1024
"""Characters of a body that are printed."""
_LOUD = re.compile(r"[^\t\n\x20-\x7e\x85\xa0-\uffff\U00010000-\U0010ffff]")
OURS = frozenset({"host", "user-agent", "accept-encoding", "content-type", "accept", "content-length"})
"""Headers of a request that are ours, not the campaign's."""
SECRET = frozenset({"set-cookie", "authorization", "proxy-authorization", "www-authenticate"})
TIMES = ("latency_s", "service_time_s", "ttft_s")


def main() -> int:
    """Send, print, and return the exit code."""
    order = decode_order(sys.stdin.buffer.read())
    try:
        told = _told(order)
    except ShakeoutWorkerError as error:
        sys.stderr.write(f"shakeout: {order.request_id}: {error}\n")
        return 2
    sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n" if order.json else _words(told))
    return 0 if told["answer"]["outcome"] == "ok" else 1


def _told(order: ReplayOrder) -> dict[str, Any]:
    """Everything of it as JSON. Raises ShakeoutWorkerError."""
    from workers.engine.__main__ import import_locust  # noqa: PLC0415  # it patches: before all others

    import_locust()
    from workers.engine import wire  # noqa: PLC0415
    from workers.engine.again import AGAIN, send_again  # noqa: PLC0415
    from workers.engine.excerpts import Excerpts  # noqa: PLC0415
    from workers.guard import check_target, fill_target, secrets_of  # noqa: PLC0415
    from workers.settings import lone  # noqa: PLC0415

    settings = lone(order.allow_targets)
    target = fill_target(order.spec.target, settings)
    check_target(target.url, settings.allow_targets)
    task = ShardTask(
        campaign=order.campaign,
        activity=order.activity,
        shard=0,
        of=1,
        number=AGAIN,
        attempt="",
        worker="",
        incarnation="",
        spec_sha256="",
        kind="load",
        expires_s=0.0,
    )
    prepare = wire.Prepare(
        task=task,
        spec=b"",
        files=order.files,
        headers=target.headers,
        allow_targets=settings.allow_targets,
        watermark="",
    )
    again = send_again(
        msgspec.structs.replace(order, spec=msgspec.structs.replace(order.spec, target=target)), prepare
    )
    exchange, answer, sample = again.asked.exchange, again.asked.answer, again.sample
    excerpts = Excerpts(secrets_of(order.spec.target, settings))
    body = exchange.body or b"".join(piece for _, piece in exchange.pieces)
    times = {"latency_s": sample.latency, "service_time_s": sample.service_time, "ttft_s": sample.ttft}
    return {
        "request_id": order.request_id,
        "notes": list(order.notes),
        "request": {
            "id": again.request_id,
            "trace_id": trace_id(order.campaign, again.request_id),
            "method": again.request.method,
            "url": excerpts.masked(_origin(target.url) + again.request.path),
            "headers": [*_asked_headers(again.block, set(target.headers)), *map(list, again.request.headers)],
            "body": _text(again.request.body, excerpts),
        },
        "answer": {
            "outcome": answer.kind,
            "why": excerpts.masked(answer.why),
            "status": exchange.status or None,
            "headers": [
                [name, MASKED if name in SECRET else excerpts.masked(value)]
                for name, value in exchange.headers
            ],
            "body": _text(body, excerpts),
            "output_tokens": answer.output_tokens,
        },
        "times": {name: value for name, value in times.items() if value is not None},
        "recorded": msgspec.to_builtins(order.recorded) if order.recorded is not None else None,
    }


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _asked_headers(block: bytes, given: set[str]) -> list[list[str]]:
    """Header lines that all requests carry: of those that the campaign gives only the names are shown."""
    names = {name.lower() for name in given}
    lines = (line.partition(": ") for line in block.decode("latin-1").split("\r\n") if line)
    return [[name, MASKED if name in names or name not in OURS else value] for name, _, value in lines]


def _text(body: bytes, excerpts: Any) -> str:
    text = excerpts.of(body, most_chars=MOST_SHOWN)
    return str(text)


def _words(told: dict[str, Any]) -> str:
    """For people: the request, the answer, and its times beside those of the run."""
    request, answer = told["request"], told["answer"]
    again = f"sent once more as {request['id']}, trace {request['trace_id']}"
    lines = [f"{told['request_id']}, {again}", *told["notes"], ""]
    lines.append(f"> {request['method']} {request['url']}")
    lines += [f"> {name}: {value}" for name, value in request["headers"]]
    lines += ["", request["body"] or "(no body)", ""]
    status = f"status {answer['status']}, " if answer["status"] else ""
    lines.append(f"< {status}{answer['outcome']}{': ' + answer['why'] if answer['why'] else ''}")
    lines += [f"< {name}: {value}" for name, value in answer["headers"]]
    lines += ["", answer["body"] or "(no body)", ""]
    then = told["recorded"] or {}
    lines.append(f"{'':<14} {'now':>10} {'in the run':>12}")
    for name in TIMES:
        if name in told["times"] or then.get(name) is not None:
            lines.append(
                f"{name.removesuffix('_s').replace('_', ' '):<14} {_ms(told['times'].get(name)):>10} "
                f"{_ms(then.get(name)):>12}"
            )
    lines.append(f"{'outcome':<14} {answer['outcome']:>10} {then.get('outcome') or 'not kept':>12}")
    return _LOUD.sub("\ufffd", "\n".join(lines)) + "\n"


def _ms(seconds: float | None) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds is not None else "-"


if __name__ == "__main__":
    sys.exit(main())
