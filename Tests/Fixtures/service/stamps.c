#include "stamps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

static int file = -1;

uint64_t clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void append(const char *event, uint64_t at) {
  if (file < 0) return;
  const char *worker = getenv("BATON_WORKER"), *generation = getenv("BATON_GENERATION");
  char line[256];
  int length = snprintf(line, sizeof line, "%s %d %" PRIu64 " %s %s\n", event, getpid(), at,
                        worker != NULL ? worker : "-", generation != NULL ? generation : "-");
  if (length <= 0 || (size_t)length >= sizeof line) return;
  // O_APPEND and one write: lines of several processes do not mix.
  if (write(file, line, (size_t)length) != length) say("stamp %s: %s", event, strerror(errno));
}

void stamps_open(const char *path, uint64_t at) {
  if (path == NULL) return;
  file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) fail(1, "stamp file %s: %s", path, strerror(errno));
  append("exec", at);
}

void stamp(const char *event) {
  if (file >= 0) append(event, clock_ns());
}
