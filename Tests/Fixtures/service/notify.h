// The service's side of NOTIFY_SOCKET, see sd_notify(3).
#pragma once

#include <stdint.h>

// Reads NOTIFY_SOCKET and WATCHDOG_USEC; both stay in the environment so that /env shows them.
void notify_open(void);

// Sends one datagram; nothing happens when there is no NOTIFY_SOCKET. Never blocks the loop.
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Sends to another socket than ours, which an honest program does not do.
void notify_to(const char *path, const char *message);

// Half of WATCHDOG_USEC in nanoseconds, or 0 when nobody expects pings of this process.
uint64_t notify_watchdog_interval(void);
