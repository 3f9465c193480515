// Calls on files and trees that glibc declares only under _GNU_SOURCE, or not at all.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// What statx(2) says of a name, links not followed.
struct cl_file_facts {
  /// Type and permissions, as st_mode.
  uint32_t mode;
  uint32_t user, group, links;
  uint64_t size, blocks_512, inode, device;
  /// Where it is mounted; 0 before Linux 5.8.
  uint64_t mount;
  int64_t modified_seconds;
  uint32_t modified_nanoseconds;
  uint32_t device_major, device_minor;
};

/// Looks at `name` in the directory `directory` (AT_FDCWD works too); an empty name is the descriptor itself.
int cl_look(int directory, const char *name, struct cl_file_facts *facts);
/// openat2(2), close-on-exec: no link is followed on the way, and nothing outside `directory` is reached.
int cl_open_beneath(int directory, const char *path, int flags);
/// makedev(3).
uint64_t cl_device(uint32_t major, uint32_t minor);
/// renameat2(2), RENAME_EXCHANGE: both names are there at every instant.
int cl_exchange(const char *first, const char *second);
/// renameat2(2), RENAME_NOREPLACE: EEXIST instead of losing what is there.
int cl_rename_new(const char *from, const char *to);
/// Waits until every path that is being resolved in the kernel without locks is resolved, and every packet that is on its
/// way to a socket has arrived: a grace period of RCU, had by MEMBARRIER_CMD_GLOBAL of membarrier(2). Where that cannot be
/// had, nothing.
void cl_wait_for_lookups(void);
/// getdents64(2); 0 at the end. An entry: u64 inode, i64 offset, u16 length, u8 type, the name with its NUL.
ssize_t cl_read_entries(int directory, void *buffer, size_t size);
/// syncfs(2): all that is written to this file system; errors of it are reported since Linux 5.8.
int cl_sync_file_system(int fd);
/// Copies from the offsets both have up to the end of `from`: shared extents where the file system can, in the kernel
/// where not, by hand where not even that. Returns -1 and errno.
int cl_copy_contents(int from, int to);
