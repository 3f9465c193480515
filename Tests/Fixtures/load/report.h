// The report at the end: a table for people, or JSON.
#pragma once

#include "kernel.h"
#include "options.h"

struct run {
  double seconds;
  double cpu_share;  // of one core, by this program
  const char *ended_by;
  uint64_t unanswered;
  struct kernel_counters kernel;
};

// One line of JSON: what came of the requests so far, and for how long the oldest one waits.
void report_tally(uint64_t unanswered, uint64_t oldest_ns, const struct kernel_counters *kernel);

void report_print(const struct options *options, const struct run *run);
