// For every 100 ms: what was due then and what came of it. Written as soon as all of it is known.
#pragma once

#include <stdbool.h>
#include <stdint.h>

void timeline_open(const char *path, uint64_t timeout_ns);

// `due_ns` counts from the start of the run.
void timeline_sent(uint64_t due_ns);
void timeline_done(uint64_t due_ns, bool ok, uint64_t microseconds);
void timeline_close(void);
