// The sockets this program serves, as they were handed over.
#pragma once

#include <stdbool.h>

#include "options.h"

struct listener {
  int fd;
  const char *name;  // of LISTEN_FDNAMES, or "unknown"
  bool datagram;
  bool nonblocking;  // the flag of the shared socket when we got it; never ours to change
};

struct listeners {
  struct listener *all;
  int count;
};

// LISTEN_FDS with LISTEN_PID checked, or --listen, or --listen-fd. Ends the program loudly when what it finds is wrong:
// a count that is none, an LISTEN_PID of another process, a descriptor that is no listening socket.
struct listeners listeners_take(const struct options *options);
