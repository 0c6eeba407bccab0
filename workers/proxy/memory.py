"""Answers that passed by, for when old ones are to be given: bounded, the oldest is forgotten first."""

from collections import OrderedDict

MOST_BYTES = 32 * 1024 * 1024
MOST_ANSWER_BYTES = 1024 * 1024
"""A larger answer is not remembered."""
MOST_KEPT_BYTES = 128 * 1024 * 1024
"""Of messages that are not whole yet, in all conversations; beyond that they pass unread and unremembered."""


class Memory:
    """Request -> its last answer. While `frozen`, a hold being in force, nothing new is learned.

    `kept_bytes`: what conversations keep of messages that are not whole yet.
    """

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0
        self.frozen = False
        self.kept_bytes = 0

    @property
    def has_room(self) -> bool:
        """Whether a conversation may keep more of a message."""
        return self.kept_bytes < MOST_KEPT_BYTES

    @property
    def count(self) -> int:
        """How many answers are remembered."""
        return len(self._answers)

    def learn(self, request: bytes, answer: bytes) -> None:
        """Remember what was answered."""
        if self.frozen or len(answer) > MOST_ANSWER_BYTES:
            return
        self._bytes += len(answer) - len(self._answers.pop(request, b""))
        self._answers[request] = answer
        while self._bytes > MOST_BYTES:
            _, gone = self._answers.popitem(last=False)
            self._bytes -= len(gone)

    def recall(self, request: bytes) -> bytes | None:
        """What was answered last; None where that is not known."""
        return self._answers.get(request)
