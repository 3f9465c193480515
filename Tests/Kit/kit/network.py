"""A network of a test's own: only its loopback, with settings nobody else has."""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import socket
import struct
import unittest

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


# Whether what the kernel counts here is this process's and that of what it starts, and nobody else's.
is_own = False


def try_own_network():
    """As enter_own_network, and nothing where that cannot be had: then nobody can say whose drops were counted."""
    if os.geteuid() == 0:
        with contextlib.suppress(unittest.SkipTest):
            enter_own_network()


def enter_own_network(**settings):
    """Moves this process, and what it starts from now on, into a new network namespace with loopback up.

    `settings`: of net.ipv4, tcp_migrate_req=1. A test runs in a process of its own, so nothing has to be undone.
    """
    if os.geteuid() != 0:
        raise unittest.SkipTest("a network of its own needs root")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise unittest.SkipTest(f"no network of its own: {os.strerror(ctypes.get_errno())}")
    global is_own
    is_own = True
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh", b"lo", 0).ljust(40, b"\0")
        flags = struct.unpack("16sh", fcntl.ioctl(control, SIOCGIFFLAGS, request)[:18])[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP).ljust(40, b"\0"))
    for name, value in settings.items():
        pathlib.Path(f"/proc/sys/net/ipv4/{name}").write_text(str(value))
