#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results.h"

static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
static const char *const mode_names[] = {[MODE_NEW] = "new", [MODE_KEEPALIVE] = "keepalive", [MODE_BOTH] = "both"};

// Latencies of phases `from`…`to` in one mode, or in both; the caller frees.
static struct histogram *latency(int from, int to, enum mode mode) {
  struct histogram *sum = calloc(1, sizeof *sum);
  if (sum == NULL) fail(1, "no memory");
  for (int phase = from; phase <= to; phase++)
    for (int each = 0; each < MODES; each++)
      if ((mode == MODE_BOTH || (int)mode == each) && results.phases[phase].latency[each] != NULL)
        histogram_merge(sum, results.phases[phase].latency[each]);
  return sum;
}

static void print_latency(const char *name, struct histogram *of) {
  if (of->count > 0) {
    printf("  %-24.24s %9" PRIu64, name, of->count);
    for (int index = 0; index < 4; index++) printf(" %8.2f", (double)histogram_quantile(of, quantiles[index]) / 1000);
    printf(" %8.2f\n", (double)of->max / 1000);
  }
  free(of);
}

static void print_failures(void) {
  for (int failure = 0; failure < FAILURES; failure++)
    if (results.failures[failure] > 0) printf("  failed: %-22s %9" PRIu64 "\n", failure_names[failure], results.failures[failure]);
  for (int index = 0; index < results.sample_count; index++) {
    const struct sample *sample = &results.samples[index];
    printf("    at %.3f s, %s, phase %s: %s", sample->at_s, mode_names[sample->mode], results.phases[sample->phase].name,
           failure_names[sample->failure]);
    if (sample->failure == FAILED_STATUS) printf(" %d", sample->error);
    else if (sample->error != 0) printf(" (%s)", strerror(sample->error));
    putchar('\n');
  }
}

static void print_text(const struct run *run) {
  uint64_t sent = results_total_sent();
  int last = results.phase_count - 1;
  printf("%" PRIu64 " requests in %.2f s (%.1f/s), %" PRIu64 " failed%s%s\n", sent, run->seconds,
         (double)sent / run->seconds, results_total_failed() + run->unanswered, *run->ended_by != '\0' ? ", ended by " : "",
         run->ended_by);
  printf("  %-24s %9s %8s %8s %8s %8s %8s\n", "latency in ms", "answers", "p50", "p90", "p99", "p99.9", "max");
  print_latency("new connection", latency(0, last, MODE_NEW));
  print_latency("keep-alive", latency(0, last, MODE_KEEPALIVE));
  print_latency("all", latency(0, last, MODE_BOTH));
  for (int phase = 0; last > 0 && phase <= last; phase++)
    print_latency(results.phases[phase].name, latency(phase, phase, MODE_BOTH));
  print_failures();
  if (run->unanswered > 0) printf("  failed: %-22s %9" PRIu64 "\n", "unanswered at the end", run->unanswered);
  for (int index = 0; index < results.version_count; index++)
    printf("  answered by %-18s %9" PRIu64 "\n", results.versions[index].name, results.versions[index].answers);
  printf("  connections: %" PRIu64 " opened, %" PRIu64 " times used again, %" PRIu64 " closed by the server between requests\n",
         results.opened, results.reused, results.closed_idle);
  printf("  kernel: ListenOverflows +%" PRIu64 ", ListenDrops +%" PRIu64 ", OutRsts +%" PRIu64 ", EstabResets +%" PRIu64
         ", AttemptFails +%" PRIu64 "\n",
         run->kernel.listen_overflows, run->kernel.listen_drops, run->kernel.resets_sent, run->kernel.resets_established,
         run->kernel.attempts_failed);
  printf("  this program: %.0f %% of a core, late by %.2f ms at p99.9, %.2f at most\n", run->cpu_share * 100,
         (double)histogram_quantile(&results.lateness, 0.999) / 1000, (double)results.lateness.max / 1000);
}

// MARK: JSON

static void json_string(const char *text) {
  putchar('"');
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\') printf("\\%c", *text);
    else if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f) printf("\\u%04x", (unsigned char)*text);
    else putchar(*text);
  }
  putchar('"');
}

static void json_latency(int from, int to, const char *before) {
  static const char *const names[] = {"p50", "p90", "p99", "p999"};
  printf("%s\"latency_us\": {", before);
  for (int mode = 0; mode <= MODE_BOTH; mode++) {
    struct histogram *of = latency(from, to, mode);
    printf("%s\"%s\": {\"count\": %" PRIu64, mode > 0 ? ", " : "", mode_names[mode], of->count);
    for (int index = 0; index < 4; index++) printf(", \"%s\": %" PRIu64, names[index], histogram_quantile(of, quantiles[index]));
    printf(", \"max\": %" PRIu64 ", \"buckets\": [", of->max);
    bool first = true;
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
      if (of->buckets[bucket] == 0) continue;
      printf("%s[%" PRIu64 ", %" PRIu32 "]", first ? "" : ", ", histogram_upper_end(bucket), of->buckets[bucket]);
      first = false;
    }
    printf("]}");
    free(of);
  }
  putchar('}');
}

static void json_phases(void) {
  printf(",\n \"phases\": [");
  for (int phase = 0; phase < results.phase_count; phase++) {
    const struct phase *each = &results.phases[phase];
    printf("%s\n  {\"name\": ", phase > 0 ? "," : "");
    json_string(each->name);
    printf(", \"sent\": %" PRIu64 ", \"ok\": %" PRIu64 ", \"failed\": %" PRIu64, each->sent, each->ok, each->failed);
    json_latency(phase, phase, ", ");
    putchar('}');
  }
  putchar(']');
}

static void json_failures(uint64_t unanswered) {
  printf("\"failures\": {");
  for (int failure = 0; failure < FAILURES; failure++)
    printf("\"%s\": %" PRIu64 ", ", failure_names[failure], results.failures[failure]);
  printf("\"unanswered\": %" PRIu64 "}", unanswered);
}

static void json_kernel(const struct kernel_counters *kernel) {
  printf("\"kernel\": {\"ListenOverflows\": %" PRIu64 ", \"ListenDrops\": %" PRIu64 ", \"OutRsts\": %" PRIu64
         ", \"EstabResets\": %" PRIu64 ", \"AttemptFails\": %" PRIu64 "}",
         kernel->listen_overflows, kernel->listen_drops, kernel->resets_sent, kernel->resets_established,
         kernel->attempts_failed);
}

void report_tally(uint64_t unanswered, uint64_t oldest_ns, const struct kernel_counters *kernel) {
  printf("{\"sent\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"oldest_ms\": %" PRIu64 ", ", results_total_sent(),
         results_total_failed(), oldest_ns / 1000000);
  json_failures(unanswered);
  printf(", ");
  json_kernel(kernel);
  printf("}\n");
  fflush(stdout);
}

static void print_json(const struct run *run) {
  uint64_t ok = 0;
  for (int phase = 0; phase < results.phase_count; phase++) ok += results.phases[phase].ok;
  printf("{\"seconds\": %.6f, \"sent\": %" PRIu64 ", \"ok\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"ended_by\": ",
         run->seconds, results_total_sent(), ok, results_total_failed() + run->unanswered);
  json_string(run->ended_by);
  json_latency(0, results.phase_count - 1, ",\n ");
  printf(",\n ");
  json_failures(run->unanswered);
  printf(",\n \"versions\": {");
  for (int index = 0; index < results.version_count; index++) {
    if (index > 0) printf(", ");
    json_string(results.versions[index].name);
    printf(": %" PRIu64, results.versions[index].answers);
  }
  printf("},\n \"connections\": {\"opened\": %" PRIu64 ", \"reused\": %" PRIu64 ", \"closed_between\": %" PRIu64 "}",
         results.opened, results.reused, results.closed_idle);
  printf(",\n ");
  json_kernel(&run->kernel);
  printf(",\n \"cpu_share\": %.3f, \"late_us\": {\"p999\": %" PRIu64 ", \"max\": %" PRIu64 "}", run->cpu_share,
         histogram_quantile(&results.lateness, 0.999), results.lateness.max);
  json_phases();
  printf("}\n");
}

void report_print(const struct options *options, const struct run *run) {
  if (options->json) print_json(run);
  else print_text(run);
}
