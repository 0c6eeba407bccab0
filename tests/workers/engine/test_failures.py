import errno
import socket
import ssl

import pytest

from workers.engine.failures import words_of


def tls(reason: str, number: int = 1) -> ssl.SSLError:
    """An error as OpenSSL makes it: its number is no error of the system."""
    error = ssl.SSLError(number, f"[SSL: {reason}] some words (_ssl.c:1)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "connection refused"),
        (ConnectionResetError(errno.ECONNRESET, "x"), "connection reset by peer"),
        (TimeoutError("no answer within 1 s"), "no answer within 1 s"),
        (socket.gaierror(-2, "Name or service not known"), "name or service not known"),
        (
            tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"),
            "the target wants a client's certificate: tls: {cert, key}",
        ),
        (tls("UNSUPPORTED_PROTOCOL"), "unsupported protocol"),
        (UnicodeError("label empty or too long"), "label empty or too long"),
    ],
)
def test_an_error_is_told_in_plain_words(error, words):
    assert words_of(error) == words


@pytest.mark.parametrize("number", [1, 8])
def test_openssls_numbers_are_not_taken_for_the_systems(number):
    for error in (tls("SOMETHING_ELSE", number), ssl.SSLEOFError(number, "EOF occurred")):
        assert "operation not permitted" not in words_of(error)
        assert "exec format" not in words_of(error)


def test_a_certificate_that_is_not_trusted_says_why():
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    assert words_of(error) == "certificate refused: certificate has expired"
