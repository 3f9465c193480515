// What is answered to which request.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "request.h"

struct answer {
  int status;
  uint64_t delay_ms;   // until the answer begins; between its pieces when it has some
  unsigned pieces;     // a stream: sent piece by piece; 0: at once
  bool keep_alive;
  bool without_body;   // HEAD: the length is told, the body is not sent
  struct buffer body;  // answer_write() frees it
};

// Counts the request and decides the answer.
struct answer answer_to(const struct request *request);

// Appends the answer to `out` and frees its body.
void answer_write(struct answer *answer, struct buffer *out);

void answer_refusal(int status, struct buffer *out);
