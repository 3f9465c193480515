// Latencies in microseconds, each kept to within 1.6 %.
#pragma once

#include <stdint.h>

enum { SUB_BUCKETS = 64, OCTAVES = 26, BUCKETS = SUB_BUCKETS * (OCTAVES + 1) };

struct histogram {
  uint64_t count;
  uint64_t max;
  uint32_t buckets[BUCKETS];
};

// The longest latency that falls into a bucket, in microseconds.
uint64_t histogram_upper_end(int bucket);

void histogram_add(struct histogram *histogram, uint64_t microseconds);
void histogram_merge(struct histogram *into, const struct histogram *from);

// The least latency that `fraction` of all do not exceed, in microseconds; 0 without any.
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);
