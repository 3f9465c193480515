// One HTTP/1.x request, read from a buffer.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { HEAD_MAX = 32 * 1024, BODY_MAX = 1024 * 1024 };

enum request_state {
  REQUEST_PARTIAL,   // more bytes are needed
  REQUEST_COMPLETE,  // `length` bytes of the buffer are this request
  REQUEST_REFUSED,   // answer `refusal` and close
};

struct request {
  char method[16];
  char target[1024];
  const char *body;  // in the buffer
  size_t body_length;
  size_t length;  // head and body
  bool keep_alive;
  bool probe;             // asked by the supervisor's probe
  bool expects_continue;  // the head is whole, the body waits for `100 Continue`
  int refusal;            // an HTTP status
};

enum request_state request_read(struct request *request, const char *bytes, size_t count);
