#include "timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "histogram.h"
#include "options.h"

static const uint64_t SLOT_NS = 100000000;

struct slot {
  uint64_t sent, ok, failed;
  struct histogram latency;
};

static FILE *file;
static struct slot *ring;
static uint64_t ring_count;  // more slots than a request may stay open
static uint64_t first, last;  // slots in the ring: first…last

static struct slot *slot(uint64_t number) { return &ring[number % ring_count]; }

static void write_first(void) {
  const struct slot *done = slot(first);
  fprintf(file, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", first * (SLOT_NS / 1000000), done->sent,
          done->ok, done->failed, histogram_quantile(&done->latency, 0.99));
  first++;
}

void timeline_open(const char *path, uint64_t timeout_ns) {
  if (path == NULL) return;
  file = fopen(path, "we");
  if (file == NULL) fail(1, "--timeline %s: %s", path, strerror(errno));
  setvbuf(file, NULL, _IOLBF, 0);
  ring_count = timeout_ns / SLOT_NS + 20;
  ring = calloc(ring_count, sizeof *ring);
  if (ring == NULL) fail(1, "no memory");
  fputs("ms,sent,ok,failed,p99_us\n", file);
}

void timeline_sent(uint64_t due_ns) {
  if (file == NULL) return;
  uint64_t number = due_ns / SLOT_NS;
  while (last < number) {
    last++;
    if (last - first >= ring_count) write_first();
    memset(slot(last), 0, sizeof *slot(last));
  }
  // In order, and only what is complete.
  while (first < last && slot(first)->ok + slot(first)->failed == slot(first)->sent) write_first();
  slot(number)->sent++;
}

void timeline_done(uint64_t due_ns, bool ok, uint64_t microseconds) {
  if (file == NULL || due_ns / SLOT_NS < first) return;
  struct slot *of = slot(due_ns / SLOT_NS);
  if (ok) of->ok++;
  else of->failed++;
  histogram_add(&of->latency, microseconds);
}

void timeline_close(void) {
  if (file == NULL) return;
  while (first <= last) write_first();
  if (fclose(file) != 0) fail(1, "--timeline: %s", strerror(errno));
}
