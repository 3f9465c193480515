// The clients' connections: read, answer in order, close politely.
#pragma once

#include <stdbool.h>

// Takes over a connected, nonblocking socket.
void connection_open(int fd);

// From now on answers carry `Connection: close`; idle connections may still ask for the grace, then they are closed.
// `empty` is called once, when no connection is left.
void connections_drain(void (*empty)(void));

// Says that nothing will be accepted any more, so that an empty list is the end.
void connections_no_more(void);

int connections_count(void);
