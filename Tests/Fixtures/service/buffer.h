// Bytes that grow at the end and are taken from the start.
#pragma once

#include <stddef.h>

struct buffer {
  char *bytes;
  size_t count, capacity;
};

void buffer_append(struct buffer *buffer, const void *bytes, size_t count);
void buffer_print(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_drop(struct buffer *buffer, size_t count);
void buffer_free(struct buffer *buffer);
