#define _GNU_SOURCE
#include "CLinux.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int cl_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int cl_reserve(int fd, int64_t size) { return fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size); }

int cl_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
