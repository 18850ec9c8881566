"""Ports on loopback: one that was asked for and is free, or any."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


class PortTaken(Exception):
    """Somebody else listens on a port that was asked for."""


def free_port(wanted: int = 0) -> int:
    """Return the wanted port if nobody has it, or any free one for 0; raises PortTaken."""
    with socket.socket() as probe:
        # As servers do it: a port whose last connections are still fading away counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except (OSError, OverflowError) as error:
            reason = (
                error.strerror.lower() if isinstance(error, OSError) and error.strerror else "there is no such port"
            )
            raise PortTaken(f"port {wanted} cannot be used: {reason}") from None
        return int(probe.getsockname()[1])
