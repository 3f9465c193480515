#include "histogram.h"

// Below SUB_BUCKETS one bucket a microsecond; above, SUB_BUCKETS buckets for each doubling.
static int bucket(uint64_t value) {
  if (value < SUB_BUCKETS) return (int)value;
  int octave = 63 - __builtin_clzll(value) - 6;  // 0 for 64…127
  if (octave >= OCTAVES) return BUCKETS - 1;
  return SUB_BUCKETS * (octave + 1) + (int)(value >> octave) - SUB_BUCKETS;
}

uint64_t histogram_upper_end(int bucket) {
  if (bucket < SUB_BUCKETS) return (uint64_t)bucket;
  int octave = bucket / SUB_BUCKETS - 1;
  return ((uint64_t)(bucket % SUB_BUCKETS + SUB_BUCKETS + 1) << octave) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t microseconds) {
  histogram->count++;
  if (microseconds > histogram->max) histogram->max = microseconds;
  histogram->buckets[bucket(microseconds)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
  into->count += from->count;
  if (from->max > into->max) into->max = from->max;
  for (int index = 0; index < BUCKETS; index++) into->buckets[index] += from->buckets[index];
}

uint64_t histogram_quantile(const struct histogram *histogram, double fraction) {
  uint64_t wanted = (uint64_t)(fraction * (double)histogram->count + 0.999999), seen = 0;
  for (int index = 0; index < BUCKETS; index++) {
    seen += histogram->buckets[index];
    if (seen >= wanted && seen > 0) {
      uint64_t end = histogram_upper_end(index);
      return end < histogram->max ? end : histogram->max;
    }
  }
  return histogram->max;
}
