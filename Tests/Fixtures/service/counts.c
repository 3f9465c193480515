#include "counts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "say.h"

struct counts *counts_open(const char *path) {
  static struct counts alone;
  if (path == NULL) return &alone;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) fail(1, "count file %s: %s", path, strerror(errno));
  // Extending to the same length is harmless when another worker does it at the same time.
  if (ftruncate(fd, sizeof(struct counts)) != 0) fail(1, "count file %s: %s", path, strerror(errno));
  struct counts *counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (counts == MAP_FAILED) fail(1, "count file %s: %s", path, strerror(errno));
  close(fd);
  memcpy(counts->magic, "FIXCOUNT", sizeof counts->magic);
  atomic_fetch_add(&counts->starts, 1);
  return counts;
}

int counts_show(const char *path) {
  struct counts counts;
  FILE *file = fopen(path, "re");
  if (file == NULL) fail(1, "count file %s: %s", path, strerror(errno));
  size_t got = fread(&counts, sizeof counts, 1, file);
  fclose(file);
  if (got != 1 || memcmp(counts.magic, "FIXCOUNT", 8) != 0) fail(1, "count file %s: not one of ours", path);
  printf("{\"clients\": %" PRIu64 ", \"health\": %" PRIu64 ", \"probes\": %" PRIu64 ", \"connections\": %" PRIu64
         ", \"datagrams\": %" PRIu64 ", \"starts\": %" PRIu64 "}\n",
         counts.clients, counts.health, counts.probes, counts.connections, counts.datagrams, counts.starts);
  return 0;
}
