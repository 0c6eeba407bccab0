"""The way between processes and Redis: how long it takes, what is lost on it, and what arrives too late.

A call gives up after a second as production's clients do; whether it was carried out nobody knows then, and
it may still be, later.
"""

from dataclasses import dataclass

import redis
from greenlet import getcurrent
from simulated.world import TIMED_OUT

GIVES_UP_S = 1.0
"""workers.contract.broker.connection.TIMEOUT_S."""
REFUSED_S = 0.002


@dataclass
class Weather:
    """How the network is now; shares of calls of which the request or the answer is lost, or much delayed."""

    lost: float = 0.0
    slow: float = 0.0
    slow_s: float = 0.6
    late: float = 0.0


class Answer:
    """The way back to the thread that asked."""

    __slots__ = ("ends_s", "network", "thread", "ticket", "travels_s")

    def __init__(self, network, thread, travels_s, ends_s):
        self.network, self.thread, self.ticket = network, thread, thread.ticket
        self.travels_s, self.ends_s = travels_s, ends_s

    def may_be_late(self):
        """Nobody knows when it comes: who asked gives up in time."""
        self.network.world.at(self.ends_s, self.thread.wake, self.ticket, TIMED_OUT)

    def give(self, value):
        """Send the value, or the error to raise, back to who asked; None: it is lost on its way."""
        if self.travels_s is not None:
            self.network.world.after(self.travels_s, self.thread.wake, self.ticket, (value,))

    def fail(self, error):
        """The connection broke."""
        self.network.world.after(REFUSED_S, self.thread.wake, self.ticket, (error,))


class Network:
    """Between all hosts and the one server. `stalls`: process -> share of its calls that it stops in."""

    def __init__(self, world, server):
        self.world, self.server = world, server
        self.weather = Weather()
        self.stalls = {}

    def call(self, do, *, waits_s=0.0):
        """Have the server do something and return what it answers, from a simulated thread.

        Raises redis.ConnectionError and TimeoutError as redis-py does. `waits_s`: the call blocks there.
        """
        thread = getcurrent()
        share = self.stalls.get(thread.process.name)
        if share and self.world.chance(share):
            self._stall(thread.process)
        there_s, back_s = self._ways(thread.process.host)
        answer = Answer(self, thread, back_s, self.world.now_s + GIVES_UP_S + waits_s)
        if there_s is not None:
            self.world.after(there_s, self.server.execute, do, answer, waits_s)
        if there_s is None or back_s is None or there_s + back_s > GIVES_UP_S / 2:
            answer.may_be_late()
        found = thread.wait()
        if found is TIMED_OUT:
            raise redis.TimeoutError("Timeout reading from socket")
        (value,) = found
        if isinstance(value, BaseException):
            raise value
        return value

    def _stall(self, process):
        """It stops right here, in the middle of what it does, with a call on its way."""
        lasts_s = self.world.dice.uniform(0.5, 8.0)
        self.world.tell(process.name, "stalls in a call for {:.1f} s", lasts_s)
        process.stop()
        self.world.after(lasts_s, process.cont)

    def _ways(self, host):
        """Seconds to the server and back; None where it never arrives."""
        dice, weather = self.world.dice, self.weather
        there_s, back_s = dice.uniform(0.0002, 0.002), dice.uniform(0.0002, 0.002)
        if host.cut == "both":
            return None, None
        if host.cut == "back":
            return there_s, None
        if host.slow_s:
            there_s += dice.uniform(0.0, host.slow_s)
        if weather.late and dice.random() < weather.late:
            there_s = dice.uniform(0.8, 5.0)
        if weather.slow and dice.random() < weather.slow:
            there_s += dice.uniform(0.0, weather.slow_s)
        if weather.lost and dice.random() < weather.lost:
            if dice.random() < 0.5:
                return None, None
            back_s = None
        return there_s, back_s
