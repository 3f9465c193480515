// What came of the requests: figures by phase and mode, failures by kind, answers by version.
#pragma once

#include <stdint.h>

#include "histogram.h"
#include "options.h"

enum failure {
  FAILED_REFUSED,    // no connection: refused
  FAILED_CONNECT,    // no connection: any other reason
  FAILED_RESET,      // reset, before or in the middle of an answer
  FAILED_TIMEOUT,    // no whole answer in time, counted from when the request was due
  FAILED_CLOSED,     // closed before the first byte of an answer
  FAILED_CUT,        // closed in the middle of an answer
  FAILED_STATUS,     // another status than expected
  FAILED_BODY,       // another body than expected
  FAILED_MALFORMED,  // not HTTP/1.x as we read it
  FAILURES,
};

extern const char *const failure_names[FAILURES];

enum { PHASES_MAX = 512, VERSIONS_MAX = 512, SAMPLES_MAX = 8 };

struct phase {
  char name[64];
  uint64_t sent, ok, failed;
  struct histogram *latency[MODES];  // of answered requests, right or wrong; NULL until the first
};

struct version {
  char name[64];
  uint64_t answers;
};

struct sample {  // of the first failures
  double at_s;
  enum failure failure;
  enum mode mode;
  int error;  // errno, or the HTTP status of a wrong one
  uint32_t phase;
};

struct results {
  struct phase phases[PHASES_MAX];
  int phase_count;
  uint64_t failures[FAILURES];
  struct version versions[VERSIONS_MAX];
  int version_count;
  struct sample samples[SAMPLES_MAX];
  int sample_count;
  uint64_t opened, reused, closed_idle;
  struct histogram lateness;  // how long after its time a request was begun: the generator's own doing
};

extern struct results results;

// The index of the phase of that name, made when there is none yet; with all phases used it is the last one's.
int results_mark(const char *name);
void results_sent(int phase);
void results_latency(int phase, enum mode mode, uint64_t microseconds);

// A whole answer came, right or wrong; its body begins with the version that gave it.
void results_answer(const char *body, size_t length);
void results_ok(int phase);
void results_failed(int phase, enum mode mode, enum failure failure, double at_s, int error);

uint64_t results_total_sent(void);
uint64_t results_total_failed(void);
