"""Errors of sockets and of TLS in plain words, with what to do where the words alone do not say it."""

import os
from collections.abc import Mapping
from typing import Final

from gevent import socket, ssl

_TLS: Final[Mapping[str, str]] = {
    "WRONG_VERSION_NUMBER": "wrong version number: this port speaks no TLS; say http:// in its url",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the target wants a client's certificate: tls: {cert, key}",
    "TLSV1_ALERT_UNKNOWN_CA": "the target does not trust the authority of our certificate (tls: {cert})",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the target refuses our certificate (tls: {cert})",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our certificate has run out, says the target (tls: {cert})",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the target refuses the handshake: no version or cipher in common",
}
"""By OpenSSL's name of the reason."""


def words_of(error: Exception) -> str:
    """The system's words without Python's decoration: `connection refused`.

    An SSLError has an `errno` too, but it is OpenSSL's number and no error of the system.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLEOFError):
        return "TLS ended without a word, as where a client's certificate (tls: {cert, key}) is missed"
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or "")
        return _TLS.get(reason) or str(reason or error.strerror or error).lower().replace("_", " ")
    if isinstance(error, socket.gaierror):
        return str(error.strerror).lower()
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return str(error)
