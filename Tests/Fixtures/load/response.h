// One HTTP/1.x response, read as it comes.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum response_state { RESPONSE_PARTIAL, RESPONSE_COMPLETE, RESPONSE_MALFORMED };

struct response {
  char bytes[8192];  // head and the start of the body; what does not fit is counted only
  size_t kept;       // in `bytes`
  size_t received;   // in all
  size_t head;       // 0 until the head is whole
  size_t length;     // head and body, when `has_length`
  bool has_length;   // otherwise the body ends with the connection
  bool closes;       // the server will close
  int status;
};

void response_reset(struct response *response);

enum response_state response_take(struct response *response, const char *bytes, size_t count);

// The connection ended: COMPLETE when that is how this response ends.
enum response_state response_end(const struct response *response);

// The part of the body that was kept.
const char *response_body(const struct response *response, size_t *length);
