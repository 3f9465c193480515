#include "request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum request_state refuse(struct request *request, int status) {
  request->refusal = status;
  request->keep_alive = false;
  return REQUEST_REFUSED;
}

// The value when the line `[start, end)` is the header `name`; NULL otherwise.
static const char *header_value(const char *start, const char *end, const char *name, size_t *length) {
  size_t name_length = strlen(name);
  if ((size_t)(end - start) <= name_length || start[name_length] != ':') return NULL;
  if (strncasecmp(start, name, name_length) != 0) return NULL;
  const char *value = start + name_length + 1;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
  *length = (size_t)(end - value);
  return value;
}

static bool is_word(const char *value, size_t length, const char *word) {
  return length == strlen(word) && strncasecmp(value, word, length) == 0;
}

static bool read_header(struct request *request, const char *start, const char *end, const char **body_size) {
  size_t length;
  const char *value;
  if ((value = header_value(start, end, "Content-Length", &length)) != NULL) *body_size = value;
  if ((value = header_value(start, end, "Connection", &length)) != NULL) {
    if (is_word(value, length, "close")) request->keep_alive = false;
    if (is_word(value, length, "keep-alive")) request->keep_alive = true;
  }
  if ((value = header_value(start, end, "User-Agent", &length)) != NULL)
    request->probe = length >= 11 && strncmp(value, "baton-probe", 11) == 0;
  if ((value = header_value(start, end, "Expect", &length)) != NULL)
    request->expects_continue = is_word(value, length, "100-continue");
  return header_value(start, end, "Transfer-Encoding", &length) == NULL;
}

static bool read_request_line(struct request *request, const char *start, const char *end) {
  const char *space = memchr(start, ' ', (size_t)(end - start));
  if (space == NULL || (size_t)(space - start) >= sizeof request->method) return false;
  memcpy(request->method, start, (size_t)(space - start));
  const char *target = space + 1, *version = memchr(target, ' ', (size_t)(end - target));
  if (version == NULL || (size_t)(version - target) >= sizeof request->target) return false;
  memcpy(request->target, target, (size_t)(version - target));
  version++;
  if (end - version != 8 || strncmp(version, "HTTP/1.", 7) != 0) return false;
  request->keep_alive = version[7] != '0';
  return request->target[0] == '/';
}

enum request_state request_read(struct request *request, const char *bytes, size_t count) {
  *request = (struct request){0};
  const char *end_of_head = memmem(bytes, count < HEAD_MAX ? count : HEAD_MAX, "\r\n\r\n", 4);
  if (end_of_head == NULL) return count >= HEAD_MAX ? refuse(request, 431) : REQUEST_PARTIAL;
  const char *end = memmem(bytes, count, "\r\n", 2);
  if (!read_request_line(request, bytes, end)) return refuse(request, 400);
  const char *body_size = NULL;
  while (end < end_of_head) {
    const char *start = end + 2;
    end = memmem(start, count - (size_t)(start - bytes), "\r\n", 2);
    if (!read_header(request, start, end, &body_size)) return refuse(request, 411);
  }
  size_t head = (size_t)(end_of_head + 4 - bytes);
  if (body_size != NULL) {
    char *stop;
    unsigned long long size = strtoull(body_size, &stop, 10);
    if (stop == body_size || *body_size == '-' || (*stop != '\r' && *stop != ' ')) return refuse(request, 400);
    if (size > BODY_MAX) return refuse(request, 413);
    request->body_length = (size_t)size;
  }
  request->body = bytes + head;
  request->length = head + request->body_length;
  if (count < request->length) return REQUEST_PARTIAL;
  request->expects_continue = false;
  return REQUEST_COMPLETE;
}
