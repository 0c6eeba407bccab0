"""Signals to a command that follows a campaign: counted, so that the loop can end in order."""

import signal
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class Interrupts:
    """Signals so far. While `starting`, one raises KeyboardInterrupt: nothing runs yet to be ended in order.

    `passed_on`: the campaign was told of the first one.
    """

    count: int = 0
    name: str = ""
    number: int = 0
    starting: bool = True
    passed_on: bool = False

    def install(self) -> None:
        """Count SIGINT, SIGTERM and SIGHUP from now on."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup wants it ignored
                signal.signal(number, self._seen)

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was a signal: for loops, as Python may drop what a handler raises.

        Source: the Python language reference, object.__del__, of exceptions that are ignored.
        """
        if self.count:
            raise KeyboardInterrupt

    @property
    def exit_code(self) -> int:
        """As shells say it: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.number

    def _seen(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        self.number = self.number or number
        self.name = self.name or signal.Signals(number).name
        if self.starting:
            raise KeyboardInterrupt
