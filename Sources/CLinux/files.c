#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/membarrier.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif

int cl_look(int directory, const char *name, struct cl_file_facts *facts) {
  struct statx found;
  int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
  if (statx(directory, name, flags, STATX_BASIC_STATS | STATX_MNT_ID, &found) != 0) return -1;
  *facts = (struct cl_file_facts){
      .mode = found.stx_mode,
      .user = found.stx_uid,
      .group = found.stx_gid,
      .links = found.stx_nlink,
      .size = found.stx_size,
      .blocks_512 = found.stx_blocks,
      .inode = found.stx_ino,
      .device = makedev(found.stx_dev_major, found.stx_dev_minor),
      .mount = found.stx_mask & STATX_MNT_ID ? found.stx_mnt_id : 0,
      .modified_seconds = found.stx_mtime.tv_sec,
      .modified_nanoseconds = found.stx_mtime.tv_nsec,
      .device_major = found.stx_rdev_major,
      .device_minor = found.stx_rdev_minor,
  };
  return 0;
}

int cl_open_beneath(int directory, const char *path, int flags) {
  struct open_how how = {
      .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
  };
  return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

uint64_t cl_device(uint32_t major, uint32_t minor) { return makedev(major, minor); }

int cl_exchange(const char *first, const char *second) {
  return renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE);
}

int cl_rename_new(const char *from, const char *to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

void cl_wait_for_lookups(void) { syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0); }

ssize_t cl_read_entries(int directory, void *buffer, size_t size) {
  return syscall(SYS_getdents64, directory, buffer, size);
}

int cl_sync_file_system(int fd) { return syncfs(fd); }

static int copy_by_hand(int from, int to) {
  static _Thread_local char buffer[1 << 16];
  for (;;) {
    ssize_t count = read(from, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return (int)count;
    for (ssize_t done = 0; done < count;) {
      ssize_t step = write(to, buffer + done, (size_t)(count - done));
      if (step < 0 && errno == EINTR) continue;
      if (step < 0) return -1;
      done += step;
    }
  }
}

int cl_copy_contents(int from, int to) {
  if (ioctl(to, FICLONE, from) == 0) return 0;
  for (;;) {
    ssize_t count = copy_file_range(from, NULL, to, NULL, 1 << 30, 0);
    if (count == 0) return copy_by_hand(from, to);  // Files of /proc and the like say 0 though there is more.
    if (count > 0) continue;
    if (errno == EINTR) continue;
    if (errno == EXDEV || errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP || errno == EPERM) {
      return copy_by_hand(from, to);
    }
    return -1;
  }
}
