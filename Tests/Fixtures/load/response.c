#include "response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void response_reset(struct response *response) {
  response->kept = response->received = response->head = response->length = 0;
  response->has_length = response->closes = false;
  response->status = 0;
}

// The value of a header in the head `[bytes, bytes + head)`, which ends in an empty line.
static const char *header(const char *bytes, size_t head, const char *name) {
  size_t length = strlen(name);
  for (const char *line = memchr(bytes, '\n', head); line != NULL && line + 1 + length < bytes + head;
       line = memchr(line + 1, '\n', (size_t)(bytes + head - line - 1))) {
    if (strncasecmp(line + 1, name, length) == 0 && line[1 + length] == ':')
      return line + 2 + length + strspn(line + 2 + length, " \t");
  }
  return NULL;
}

static enum response_state read_head(struct response *response) {
  const char *end = memmem(response->bytes, response->kept, "\r\n\r\n", 4);
  if (end == NULL) return response->kept == sizeof response->bytes ? RESPONSE_MALFORMED : RESPONSE_PARTIAL;
  size_t head = (size_t)(end + 4 - response->bytes);
  if (head < 16 || strncmp(response->bytes, "HTTP/1.", 7) != 0) return RESPONSE_MALFORMED;
  response->status = atoi(response->bytes + 9);
  const char *length = header(response->bytes, head, "Content-Length");
  const char *connection = header(response->bytes, head, "Connection");
  const char *encoding = header(response->bytes, head, "Transfer-Encoding");
  if (encoding != NULL) return RESPONSE_MALFORMED;  // nobody we ask sends chunks
  response->closes = connection != NULL ? strncasecmp(connection, "close", 5) == 0 : response->bytes[7] == '0';
  response->has_length = length != NULL;
  if (length != NULL) response->length = head + strtoul(length, NULL, 10);
  response->head = head;
  return RESPONSE_COMPLETE;
}

enum response_state response_take(struct response *response, const char *bytes, size_t count) {
  size_t room = sizeof response->bytes - response->kept, kept = count < room ? count : room;
  memcpy(response->bytes + response->kept, bytes, kept);
  response->kept += kept;
  response->received += count;
  if (response->head == 0) {
    enum response_state state = read_head(response);
    if (state != RESPONSE_COMPLETE) return state;
  }
  if (!response->has_length || response->received < response->length) return RESPONSE_PARTIAL;
  // More than was asked for cannot be an answer to anything.
  return response->received == response->length ? RESPONSE_COMPLETE : RESPONSE_MALFORMED;
}

enum response_state response_end(const struct response *response) {
  return response->head > 0 && !response->has_length ? RESPONSE_COMPLETE : RESPONSE_PARTIAL;
}

const char *response_body(const struct response *response, size_t *length) {
  *length = response->kept - response->head;
  return response->bytes + response->head;
}
