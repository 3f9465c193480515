"""Where tests write: in memory, where there is room.

On a disk a test mostly waits for it, and ext4 takes an eighth of the processors where files come and go by the thousand: it
looks past each inode that was freed a moment ago. Nothing that is tested is about a disk; TMPDIR names one for who wants it.
"""

import os

FOLDER, ROOM = "/dev/shm", 2 << 30


def place():
    """The directory for what tests write."""
    if "TMPDIR" in os.environ:
        return os.environ["TMPDIR"]
    if not os.access(FOLDER, os.W_OK):
        return "/tmp"
    there = os.statvfs(FOLDER)
    # Programs lie in it as well.
    fits = there.f_bavail * there.f_frsize >= ROOM and not there.f_flag & os.ST_NOEXEC
    return FOLDER if fits else "/tmp"
