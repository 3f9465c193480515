#include "results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct results results;

const char *const failure_names[FAILURES] = {
    [FAILED_REFUSED] = "refused",     [FAILED_CONNECT] = "not-connected", [FAILED_RESET] = "reset",
    [FAILED_TIMEOUT] = "timeout",     [FAILED_CLOSED] = "closed-before-answer", [FAILED_CUT] = "cut-in-answer",
    [FAILED_STATUS] = "wrong-status", [FAILED_BODY] = "wrong-body",       [FAILED_MALFORMED] = "malformed",
};

int results_mark(const char *name) {
  for (int phase = 0; phase < results.phase_count; phase++)
    if (strcmp(results.phases[phase].name, name) == 0) return phase;
  if (results.phase_count == PHASES_MAX) return PHASES_MAX - 1;
  struct phase *phase = &results.phases[results.phase_count];
  snprintf(phase->name, sizeof phase->name, "%s", name);
  return results.phase_count++;
}

void results_sent(int phase) { results.phases[phase].sent++; }

void results_latency(int phase, enum mode mode, uint64_t microseconds) {
  struct histogram **latency = &results.phases[phase].latency[mode];
  if (*latency == NULL) *latency = calloc(1, sizeof **latency);
  if (*latency == NULL) fail(1, "no memory");
  histogram_add(*latency, microseconds);
}

// The version is the first word of the body; too many different ones are counted together.
static struct version *find_version(const char *body, size_t length) {
  char name[sizeof results.versions[0].name];
  size_t size = 0;
  while (size < length && size + 1 < sizeof name && body[size] > ' ' && body[size] < 0x7f) size++;
  memcpy(name, body, size);
  name[size] = '\0';
  for (int index = results.version_count - 1; index >= 0; index--)
    if (strcmp(results.versions[index].name, name) == 0) return &results.versions[index];
  if (results.version_count == VERSIONS_MAX) return &results.versions[VERSIONS_MAX - 1];
  struct version *version = &results.versions[results.version_count++];
  strcpy(version->name, results.version_count == VERSIONS_MAX ? "(others)" : name);
  return version;
}

void results_answer(const char *body, size_t length) { find_version(body, length)->answers++; }

void results_ok(int phase) { results.phases[phase].ok++; }

void results_failed(int phase, enum mode mode, enum failure failure, double at_s, int error) {
  results.phases[phase].failed++;
  results.failures[failure]++;
  if (results.sample_count < SAMPLES_MAX)
    results.samples[results.sample_count++] = (struct sample){at_s, failure, mode, error, (uint32_t)phase};
}

uint64_t results_total_sent(void) {
  uint64_t total = 0;
  for (int phase = 0; phase < results.phase_count; phase++) total += results.phases[phase].sent;
  return total;
}

uint64_t results_total_failed(void) {
  uint64_t total = 0;
  for (int phase = 0; phase < results.phase_count; phase++) total += results.phases[phase].failed;
  return total;
}
