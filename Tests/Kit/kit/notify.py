"""A mock of systemd's notification socket: records what a supervisor says of itself."""

import os
import socket
import struct

from kit.waiting import wait_until

SCM_CREDENTIALS = 2


class Message:
    """One datagram: its lines as a dictionary, the sender's pid, and names of descriptors that came with it."""

    def __init__(self, text, pid, descriptors):
        self.text, self.pid, self.descriptors = text, pid, descriptors
        self.fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def __contains__(self, key):
        return key in self.fields

    def __getitem__(self, key):
        return self.fields[key]

    def __repr__(self):
        return f"<{self.text!r} from {self.pid}, {len(self.descriptors)} fds>"


class NotifySocket:
    """Bound to a path; keeps every message in order, and the descriptors stored by FDSTORE=1 under their names."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.all = []
        self.stored = []
        # False: as systemd with FileDescriptorStoreMax=0.
        self.keeps = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        for _, descriptor in self.stored:
            os.close(descriptor)

    def messages(self):
        """Everything said so far."""
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(65536, 65536)
            except BlockingIOError:
                return self.all
            pid, descriptors = None, []
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == SCM_CREDENTIALS:
                    pid = struct.unpack("3i", content[:12])[0]
                elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    descriptors = list(struct.unpack(f"{len(content) // 4}i", content))
            message = Message(data.decode(errors="replace"), pid, descriptors)
            self._keep(message)
            self.all.append(message)

    def _keep(self, message):
        name = message.fields.get("FDNAME", "stored")
        if "FDSTORE" in message and self.keeps:
            for descriptor in message.descriptors:
                self._store(name, descriptor)
        else:
            for descriptor in message.descriptors:
                os.close(descriptor)  # a BARRIER=1 ends when its descriptor is closed
        if "FDSTOREREMOVE" in message:
            for entry in [entry for entry in self.stored if entry[0] == name]:
                os.close(entry[1])
                self.stored.remove(entry)

    def _store(self, name, descriptor):
        """As systemd, which leaves one that it keeps already under the name it has."""
        if any(os.path.sameopenfile(each, descriptor) for _, each in self.stored):
            os.close(descriptor)
        else:
            self.stored.append((name, descriptor))

    def wait_for(self, key, value=None, after=0, within=20):
        """The first message from index `after` on that has the key (with that value)."""
        return wait_until(
            lambda: next(
                (each for each in self.messages()[after:] if key in each and value in (None, each[key])), None
            ),
            within,
            lambda: f"{key}={value if value is not None else '…'}; heard {self.all[after:]}",
        )
