// Requests and the connections they go over. A request is asked once: what fails is counted, never tried again.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

struct connection;

uint64_t clock_ns(void);

void client_open(const struct options *options, int epoll, uint64_t start_ns);

// Begins the request that was due at `due_ns`.
void client_ask(uint64_t due_ns, enum mode mode, int phase);

void client_event(struct connection *connection, uint32_t events);

// Ends requests that are out of time and tries again to connect to a Unix socket whose queue was full. To be called
// after each batch of events.
void client_turn(void);

// When client_turn() has to be called at the latest; UINT64_MAX when nothing waits.
uint64_t client_deadline(void);

uint64_t client_outstanding(void);

// When the oldest request that waits for its answer was due; UINT64_MAX when none waits.
uint64_t client_oldest(void);
