// When things happened in this program, by CLOCK_MONOTONIC, one line each, appended to a file all workers share.
#pragma once

#include <stdint.h>

uint64_t clock_ns(void);

// Remembers the file and appends `exec` with the time `at`; NULL switches stamps off.
void stamps_open(const char *path, uint64_t at);
void stamp(const char *event);
