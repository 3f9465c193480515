#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// One write a line, so that the lines of several workers do not mix.
static void line(const char *format, va_list arguments) {
  char text[1024];
  int start = snprintf(text, sizeof text, "fixture-service[%d]: ", getpid());
  int length = vsnprintf(text + start, sizeof text - (size_t)start - 1, format, arguments);
  size_t end = (size_t)start + (size_t)(length < 0 ? 0 : length);
  if (end > sizeof text - 2) end = sizeof text - 2;
  text[end++] = '\n';
  if (write(STDERR_FILENO, text, end) < 0) return;  // nobody reads: nothing to tell anybody
}

void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  line(format, arguments);
  va_end(arguments);
}

void fail(int status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  line(format, arguments);
  va_end(arguments);
  exit(status);
}
