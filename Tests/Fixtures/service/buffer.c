#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

void buffer_append(struct buffer *buffer, const void *bytes, size_t count) {
  if (buffer->capacity - buffer->count < count) {
    size_t capacity = buffer->capacity == 0 ? 1024 : buffer->capacity;
    while (capacity - buffer->count < count) capacity *= 2;
    buffer->bytes = realloc(buffer->bytes, capacity);
    if (buffer->bytes == NULL) fail(1, "no memory for %zu bytes", capacity);
    buffer->capacity = capacity;
  }
  if (count > 0) memcpy(buffer->bytes + buffer->count, bytes, count);
  buffer->count += count;
}

void buffer_print(struct buffer *buffer, const char *format, ...) {
  char text[2048];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  buffer_append(buffer, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

void buffer_drop(struct buffer *buffer, size_t count) {
  buffer->count -= count;
  if (buffer->count > 0) memmove(buffer->bytes, buffer->bytes + count, buffer->count);
}

void buffer_free(struct buffer *buffer) {
  free(buffer->bytes);
  *buffer = (struct buffer){0};
}
