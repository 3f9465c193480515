// Lines to stderr, each with the pid, and ends that say why.
#pragma once

enum {
  EXIT_USAGE = 64,
  EXIT_INHERITED_WRONG = 86,  // LISTEN_PID is not ours, a stray descriptor, a blocked signal
};

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
