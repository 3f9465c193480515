// What is asked, how often, and which answers are right.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum mode { MODE_NEW, MODE_KEEPALIVE, MODES, MODE_BOTH = MODES };

struct options {
  struct sockaddr_storage address;
  socklen_t address_length;
  char host[300];  // of the Host header
  char path[1024];
  double rate;         // requests a second in total
  double duration_s;   // 0: until `requests`, or until told to end
  uint64_t requests;   // 0: until `duration_s`, or until told to end
  enum mode mode;
  int connections;     // kept alive at most
  uint64_t timeout_ns;
  int expect_status;
  const char *expect_body;  // must be part of the body; NULL is any
  const char *timeline;
  bool json;
  bool control;  // stdin says `mark NAME`, `pause`, `resume`, `stop`; its end means stop
};

// Does not return on --help or an error.
void options_read(struct options *options, int argc, char **argv);

_Noreturn void fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
