#include "connections.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answers.h"
#include "buffer.h"
#include "loop.h"
#include "request.h"
#include "say.h"
#include "service.h"

enum {
  OUT_MAX = 256 * 1024,        // with so much unsent, no further request of a pipeline is read
  LINGER_MS = 1000,            // for the client's end after ours, so that no answer is lost to a reset
  CUT_PARTIAL_AFTER_MS = 5000  // in a drain, for a client that stopped in the middle of a request
};

struct connection {
  struct watch watch;
  struct timer timer;  // a slow answer, or the linger
  struct buffer in, out;
  struct answer later;  // the slow answer
  struct buffer stream;  // what is left of one that is sent piece by piece
  bool answering;       // a slow answer is due; the requests behind it wait
  bool close_after;     // the last answer said so
  bool said_continue;
  bool ended;      // the client sent its FIN
  bool lingering;  // ours is sent
  uint32_t events;
  struct connection *previous, *next;
};

static struct connection *connections;
static int open_now;
static bool no_more;
static void (*when_empty)(void);
static struct timer grace, cut;

int connections_count(void) { return open_now; }

static void check_empty(void) {
  if (open_now > 0 || !no_more || when_empty == NULL) return;
  void (*empty)(void) = when_empty;
  when_empty = NULL;
  empty();
}

static void connection_free(struct connection *connection) {
  timer_cancel(&connection->timer);
  loop_remove(&connection->watch);
  close(connection->watch.fd);
  if (connection->previous != NULL) connection->previous->next = connection->next;
  else connections = connection->next;
  if (connection->next != NULL) connection->next->previous = connection->previous;
  buffer_free(&connection->in);
  buffer_free(&connection->out);
  buffer_free(&connection->stream);
  free(connection);
  open_now--;
  check_empty();
}

static void linger_over(void *context) { connection_free(context); }

static void linger(struct connection *connection) {
  if (connection->lingering) return;
  connection->lingering = true;
  shutdown(connection->watch.fd, SHUT_WR);
  timer_set(&connection->timer, LINGER_MS * MILLISECOND, linger_over, connection);
}

static void watch_for(struct connection *connection, uint32_t events) {
  if (connection->events == events) return;
  connection->events = events;
  loop_change(&connection->watch, events);
}

// false: the connection is gone.
static bool flush(struct connection *connection) {
  struct buffer *out = &connection->out;
  while (out->count > 0) {
    ssize_t sent = send(connection->watch.fd, out->bytes, out->count, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    if (sent < 0) {
      connection_free(connection);
      return false;
    }
    buffer_drop(out, (size_t)sent);
  }
  if (out->count == 0 && !connection->answering && (connection->close_after || connection->ended)) linger(connection);
  if (connection->lingering && connection->ended) {
    connection_free(connection);
    return false;
  }
  uint32_t read = connection->ended ? 0 : EPOLLIN | EPOLLRDHUP;
  watch_for(connection, read | (out->count > 0 ? EPOLLOUT : 0));
  return true;
}

static void serve(struct connection *connection);

static void slow_answer_due(void *context) {
  struct connection *connection = context;
  connection->answering = false;
  if (service.draining) connection->later.keep_alive = false;
  connection->close_after = !connection->later.keep_alive;
  answer_write(&connection->later, &connection->out);
  serve(connection);
}

static void piece_due(void *context) {
  struct connection *connection = context;
  size_t rest = connection->stream.count, size = rest / connection->later.pieces--;
  if (connection->later.pieces == 0) size = rest;
  buffer_append(&connection->out, connection->stream.bytes, size);
  buffer_drop(&connection->stream, size);
  if (connection->later.pieces > 0) {
    timer_set(&connection->timer, connection->later.delay_ms * MILLISECOND, piece_due, connection);
  } else {
    connection->answering = false;
    connection->close_after = !connection->later.keep_alive || service.draining;
  }
  serve(connection);
}

static void answer_one(struct connection *connection, const struct request *request) {
  struct answer answer = answer_to(request);
  if (service.draining) answer.keep_alive = false;
  if (answer.delay_ms > 0) {
    connection->answering = true;
    connection->later = answer;
    if (answer.pieces > 0) {
      answer_write(&connection->later, &connection->stream);
      timer_set(&connection->timer, 0, piece_due, connection);
      return;
    }
    timer_set(&connection->timer, answer.delay_ms * MILLISECOND, slow_answer_due, connection);
    return;
  }
  connection->close_after = !answer.keep_alive;
  answer_write(&answer, &connection->out);
}

// Answers what is whole in the buffer, in order. true: there may be more, once what is in `out` has been sent.
static bool answer_all(struct connection *connection) {
  while (!connection->answering && !connection->close_after) {
    if (connection->out.count >= OUT_MAX) return true;
    struct request request;
    enum request_state state = request_read(&request, connection->in.bytes, connection->in.count);
    if (state == REQUEST_PARTIAL) {
      if (request.expects_continue && !connection->said_continue)
        buffer_append(&connection->out, "HTTP/1.1 100 Continue\r\n\r\n", 25);
      connection->said_continue = request.expects_continue;
      return false;
    }
    connection->said_continue = false;
    if (state == REQUEST_REFUSED) {
      connection->close_after = true;
      answer_refusal(request.refusal, &connection->out);
      return false;
    }
    answer_one(connection, &request);
    buffer_drop(&connection->in, request.length);
  }
  return false;
}

static void serve(struct connection *connection) {
  bool more;
  do {
    more = answer_all(connection);
    if (!flush(connection)) return;
  } while (more && connection->out.count < OUT_MAX);
}

static void read_more(struct connection *connection) {
  char bytes[16 * 1024];
  ssize_t got = recv(connection->watch.fd, bytes, sizeof bytes, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) {
    connection_free(connection);
    return;
  }
  if (got == 0) connection->ended = true;
  if (connection->lingering || connection->close_after) {  // whatever comes now is not answered
    flush(connection);
    return;
  }
  if (connection->in.count + (size_t)got > HEAD_MAX + BODY_MAX) {
    connection_free(connection);
    return;
  }
  buffer_append(&connection->in, bytes, (size_t)got);
  serve(connection);
}

static void connection_ready(struct watch *watch, uint32_t events) {
  struct connection *connection = (struct connection *)watch;
  if (events & EPOLLERR) connection_free(connection);
  else if (events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP) && !connection->ended) read_more(connection);
  else if (events & EPOLLOUT) serve(connection);
  else if (events & EPOLLHUP) connection_free(connection);
}

void connection_open(int fd) {
  struct connection *connection = calloc(1, sizeof *connection);
  if (connection == NULL) {
    close(fd);
    return;
  }
  int on = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails on a Unix socket, where it is not needed
  connection->watch = (struct watch){fd, connection_ready};
  connection->events = EPOLLIN | EPOLLRDHUP;
  connection->next = connections;
  if (connections != NULL) connections->previous = connection;
  connections = connection;
  open_now++;
  loop_add(&connection->watch, connection->events);
}

static void grace_over(void *nothing) {
  (void)nothing;
  for (struct connection *each = connections, *next; each != NULL; each = next) {
    next = each->next;
    if (!each->answering && each->in.count == 0 && each->out.count == 0) linger(each);
  }
}

static void cut_over(void *nothing) {
  (void)nothing;
  for (struct connection *each = connections, *next; each != NULL; each = next) {
    next = each->next;
    if (!each->answering && each->out.count == 0) connection_free(each);
  }
}

void connections_drain(void (*empty)(void)) {
  when_empty = empty;
  timer_set(&grace, service.options.idle_grace_ms * MILLISECOND, grace_over, NULL);
  timer_set(&cut, (service.options.idle_grace_ms + CUT_PARTIAL_AFTER_MS) * MILLISECOND, cut_over, NULL);
  check_empty();
}

void connections_no_more(void) {
  no_more = true;
  check_empty();
}
