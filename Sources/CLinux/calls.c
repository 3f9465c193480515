#define _GNU_SOURCE
#include "CLinux.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

int cl_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int cl_reserve(int fd, int64_t size) { return fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size); }

void cl_share_heaps(int most) { mallopt(M_ARENA_MAX, most); }
void cl_give_heap_back(void) { malloc_trim(0); }

int cl_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

int cl_sealable_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING); }

enum { ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

int cl_seal(int fd) { return fcntl(fd, F_ADD_SEALS, ALL_SEALS); }

bool cl_is_sealed(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & ALL_SEALS) == ALL_SEALS;
}
