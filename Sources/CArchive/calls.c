#define _GNU_SOURCE
#include "CArchive.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

int ca_open_beneath(int directory, const char *path) {
  struct open_how how = {
      .flags = O_PATH | O_CLOEXEC,
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
  };
  return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

void ca_begin_sync(int file, off_t offset, off_t length) {
  sync_file_range(file, offset, length, SYNC_FILE_RANGE_WRITE);
}
