"""Sends one arrival through the client and books what came of it: here a request's trouble ends."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from workers.contract.broker.names import ID_HEADER
from workers.contract.snapshot import UNSENT_GENERATOR
from workers.contract.spec import ShardTask
from workers.engine.arrival import NS, Arrival
from workers.engine.book import Book
from workers.engine.exchange import Exchange
from workers.engine.fence import Fence
from workers.engine.measure import OK, Measured, decode_s, gaps_s, lag_ns, per_token_s, tpot_s
from workers.engine.probe import Probe
from workers.engine.transport import Transport
from workers.engine.witness import Asked, Witness
from workers.protocols.contract import NO_TIMING, Answer, Request, TargetProtocol, Timing, settled

FLAG_SAMPLED = "01"
NEVER_SENT = frozenset({"unauthorised", "exhausted"})
"""Errors of an exchange that put nothing on the wire: such an arrival is booked by `ask` itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Everything that sending needs; `block` holds the header lines that all requests share."""

    task: ShardTask
    client: Transport
    protocol: TargetProtocol
    fence: Fence
    book: Book
    probe: Probe
    block: bytes
    id_header: bool
    listener: Callable[[], Callable[..., object] | None]
    witness: Witness | None = None

    def send(self, arrival: Arrival, request: Request) -> Answer:
        """Send, wait, read and book; where no answer came, a made-up one names the outcome."""
        asked = self.ask(arrival, request)
        if asked.exchange.error not in NEVER_SENT:
            self.book_answer(arrival, request, asked)
        return asked.answer

    def ask(self, arrival: Arrival, request: Request) -> Asked:
        """One try on the wire, not booked yet; what could not or might not be sent is booked as such."""
        task = self.task
        arrival.request_id = name = f"{task.activity}/{arrival.index}/{task.number}"
        exchange = self.client.send(
            request,
            self.block,
            own_lines=id_lines(name, campaign=task.campaign, id_header=self.id_header),
            authorised=partial(self._authorised, arrival),
            on_sent=partial(self.book.left, arrival),
        )
        if exchange.error and not exchange.sent_ns:
            self.book.unwritten()
        if exchange.error == "unauthorised":
            self.fence.close()  # an authorisation that comes too late must not send over the hole
            self.book.refused(arrival)
            return Asked(exchange, no_answer("unauthorised", exchange.text), NO_TIMING)
        if exchange.error == "exhausted":
            self.withhold(arrival, exchange.text)
            return Asked(exchange, no_answer(UNSENT_GENERATOR, exchange.text), NO_TIMING)
        answer, timing = self._read(exchange, request)
        return Asked(exchange, answer, timing)

    def withhold(self, arrival: Arrival, why: str) -> None:
        """Give an arrival up unsent, by this side's doing; not one of which an earlier try was sent."""
        if not arrival.sent_ns:
            self.book.unsent_generator(arrival)
            self._example(arrival, UNSENT_GENERATOR, why)

    def _authorised(self, arrival: Arrival) -> bool:
        if not self.fence.allows_now() or self.book.closed:
            return False
        self.book.writing(arrival)
        return True

    def _read(self, exchange: Exchange, request: Request) -> tuple[Answer, Timing]:
        if exchange.error:
            return no_answer(exchange.error, exchange.text), NO_TIMING
        if request.stream:
            answer, timing = self.protocol.parse_stream(exchange.status, exchange.headers, exchange.pieces)
            return settled(answer, request, truncated=exchange.truncated), timing
        answer = self.protocol.parse(exchange.status, exchange.headers, exchange.body)
        return settled(answer, request, truncated=False), NO_TIMING

    def book_answer(self, arrival: Arrival, request: Request, asked: Asked) -> None:
        """Count a request that is over, by its last try; tell Locust's listeners and the witness."""
        if arrival.ended or self.book.closed:
            return  # given up before its answer came
        exchange, answer = asked.exchange, asked.answer
        late_ns = self.probe.late_ns(exchange.last_ns)
        tokens = (answer.input_tokens, answer.output_tokens)
        fire = self.listener()
        if fire is None and self._is_plain(arrival, asked):
            self.book.ended_plain(arrival, exchange, late_ns=late_ns, tokens=tokens)
            return
        sample = measured(arrival, exchange, answer=answer, timing=asked.timing, late_ns=late_ns)
        self.book.ended(arrival, sample, at_ns=exchange.last_ns, tokens=tokens)
        if not answer.ok:
            self._example(arrival, answer.kind, answer.why)
        if fire is not None:
            fire(
                request_type="POST",
                name=self.task.activity,
                response_time=sample.latency * 1e3,
                response_length=len(exchange.body) or sum(len(piece) for _, piece in exchange.pieces),
                exception=None if answer.ok else RuntimeError(f"{answer.kind}: {answer.why}"),
                context={},
            )
        if self.witness is not None:
            self.witness.saw(arrival, request, asked=asked, sample=sample)

    def _is_plain(self, arrival: Arrival, asked: Asked) -> bool:
        """Whether it is like most: ok, without the times of a stream, and nobody wants to look at it."""
        if not asked.answer.ok or asked.timing.output_times_ns or not arrival.sent_ns:
            return False
        if asked.timing.first_non_reasoning_ns is not None or not asked.exchange.sent_ns:
            return False
        witness = self.witness
        return witness is None or (asked.exchange.last_ns - arrival.intended_ns) / NS <= witness.floor_s

    def _example(self, arrival: Arrival, outcome: str, text: str) -> None:
        self.book.recorder.example(
            outcome, text, request_id=arrival.request_id, intended_s=arrival.at_ns / NS
        )


def measured(
    arrival: Arrival, exchange: Exchange, *, answer: Answer, timing: Timing, late_ns: int
) -> Measured:
    """METRICS.md section 1 from one request's stamps; `late_ns`: of the loop, before the last byte."""
    intended_ns, sent_ns, last_ns = arrival.intended_ns, exchange.sent_ns, exchange.last_ns
    lag = 0
    if sent_ns:
        lag = lag_ns(
            sent_ns=sent_ns, intended_ns=intended_ns, wait_ns=arrival.wait_ns, connect_ns=exchange.connect_ns
        )
    outputs = timing.output_times_ns if answer.ok else ()
    spoken_ns = timing.first_non_reasoning_ns if answer.ok else None
    return Measured(
        outcome=OK if answer.ok else answer.kind,
        latency=(last_ns - intended_ns) / NS,
        service_time=(last_ns - sent_ns) / NS if sent_ns else 0.0,
        wait=arrival.wait_ns / NS,
        connect=exchange.connect_ns / NS,
        lag=lag / NS,
        ttft=(outputs[0] - intended_ns) / NS if outputs else None,
        ttft_sent=(outputs[0] - sent_ns) / NS if outputs else None,
        ttfot=(spoken_ns - intended_ns) / NS if spoken_ns is not None else None,
        tpot=tpot_s(outputs, answer.output_tokens),
        itl=gaps_s(outputs),
        own_delay=(max(lag, 0) + late_ns) / NS,
        decode=decode_s(outputs, answer.output_tokens, last_ns=last_ns),
        per_token=per_token_s(outputs, answer.output_tokens, sent_ns=sent_ns, last_ns=last_ns),
    )


def id_lines(name: str, *, campaign: str, id_header: bool) -> bytes:
    """Header lines that tell this request from others: its id, and a W3C trace context made of it."""
    digest = sha256(f"{campaign}/{name}".encode()).hexdigest()
    trace = f"traceparent: 00-{digest[:32]}-{digest[32:48]}-{FLAG_SAMPLED}\r\n"
    return f"{ID_HEADER}: {name}\r\n{trace}".encode() if id_header else trace.encode()


def no_answer(outcome: str, why: str) -> Answer:
    """The answer of a request that got none."""
    return Answer(fields={}, output_tokens=None, input_tokens=None, ok=False, kind=outcome, why=why)
