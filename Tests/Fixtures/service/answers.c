#include "answers.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "misbehaviours.h"
#include "service.h"

static const uint64_t SLOWEST_MS = 600000, PIECE_MS = 100;

static const char *reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    default: return "Internal Server Error";
  }
}

// `path` or `path?…`; `query` is what follows the question mark, or "".
static bool asks(const struct request *request, const char *path, const char **query) {
  size_t length = strlen(path);
  if (strncmp(request->target, path, length) != 0) return false;
  char next = request->target[length];
  *query = next == '?' ? request->target + length + 1 : "";
  return next == '\0' || next == '?';
}

static void answer_main(struct answer *answer) {
  buffer_print(&answer->body, "%s gen=%s worker=%s pid=%d\n", service.options.version_text, service.generation,
               service.worker, getpid());
}

static void answer_environment(struct answer *answer, const char *name) {
  const char *value = getenv(name);
  if (value == NULL) answer->status = 404;
  else buffer_append(&answer->body, value, strlen(value));
}

static void answer_slow(struct answer *answer, const char *query) {
  if (strncmp(query, "ms=", 3) == 0) answer->delay_ms = strtoull(query + 3, NULL, 10);
  if (answer->delay_ms > SLOWEST_MS) answer->delay_ms = SLOWEST_MS;
  answer_main(answer);
}

static void answer_stream(struct answer *answer, const char *query) {
  uint64_t ms = strncmp(query, "ms=", 3) == 0 ? strtoull(query + 3, NULL, 10) : 1000;
  if (ms > SLOWEST_MS) ms = SLOWEST_MS;
  answer->delay_ms = PIECE_MS;
  answer->pieces = (unsigned)(ms / PIECE_MS) + 1;
  answer_main(answer);
  for (unsigned piece = 1; piece < answer->pieces; piece++) buffer_print(&answer->body, "piece %u\n", piece);
}

static void count(const struct request *request, bool health) {
  if (request->probe) {
    atomic_fetch_add(&service.counts->probes, 1);
  } else if (health) {
    atomic_fetch_add(&service.counts->health, 1);
  } else {
    atomic_fetch_add(&service.counts->clients, 1);
    misbehave_on_client_request();
  }
}

static void misanswer(struct answer *answer) {
  if (service.options.misbehaves[ANSWERS_500]) answer->status = 500;
  if (!service.options.misbehaves[WRONG_BODY]) return;
  buffer_drop(&answer->body, answer->body.count);
  buffer_print(&answer->body, "unexpected %s\n", service.options.version_text);
}

struct answer answer_to(const struct request *request) {
  struct answer answer = {
      .status = 200, .keep_alive = request->keep_alive, .without_body = strcmp(request->method, "HEAD") == 0};
  const char *query;
  bool health = asks(request, "/health", &query);
  count(request, health);
  if (health) buffer_print(&answer.body, "ok %s\n", service.options.version_text);
  else if (asks(request, "/", &query)) answer_main(&answer);
  else if (asks(request, "/slow", &query)) answer_slow(&answer, query);
  else if (asks(request, "/stream", &query)) answer_stream(&answer, query);
  else if (asks(request, "/env", &query)) answer_environment(&answer, query);
  else if (asks(request, "/echo", &query)) buffer_append(&answer.body, request->body, request->body_length);
  else answer.status = 404;
  misanswer(&answer);
  return answer;
}

void answer_write(struct answer *answer, struct buffer *out) {
  buffer_print(out, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n", answer->status,
               reason(answer->status), answer->body.count, answer->keep_alive ? "" : "Connection: close\r\n");
  if (!answer->without_body) buffer_append(out, answer->body.bytes, answer->body.count);
  buffer_free(&answer->body);
}

void answer_refusal(int status, struct buffer *out) {
  struct answer answer = {.status = status};
  answer_write(&answer, out);
}
