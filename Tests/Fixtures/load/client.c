#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "response.h"
#include "results.h"
#include "timeline.h"

static const uint64_t RETRY_NS = 1000000;  // between attempts to connect to a Unix socket whose queue is full

struct request {
  uint64_t due_ns;
  enum mode mode;
  int phase;
  struct connection *connection;    // NULL: waits for one
  struct request *previous, *next;  // all outstanding, oldest first
  struct request *next_waiting;
};

struct connection {
  int fd;  // -1: closed
  enum mode mode;
  struct request *request;  // NULL: idle
  size_t sent;
  bool retry;  // the listener's queue was full
  struct connection *next;  // in idle, retries, or free
  struct response response;
};

struct queue {
  struct connection *first, *last;
};

static const struct options *options;
static int epoll;
static uint64_t start;
static char texts[MODES][2048];
static size_t text_lengths[MODES];

static struct request *oldest, *newest, *spare_requests;
static struct request *first_waiting, *last_waiting;
static struct queue idle;
static struct connection *retries, *closed, *spare_connections;
static int kept_alive;  // connections of MODE_KEEPALIVE
static uint64_t outstanding;

uint64_t clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t client_outstanding(void) { return outstanding; }
uint64_t client_oldest(void) { return oldest != NULL ? oldest->due_ns : UINT64_MAX; }

void client_open(const struct options *asked, int epoll_fd, uint64_t start_ns) {
  options = asked;
  epoll = epoll_fd;
  start = start_ns;
  for (int mode = 0; mode < MODES; mode++)
    text_lengths[mode] = (size_t)snprintf(
        texts[mode], sizeof texts[mode], "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: fixture-load\r\n%s\r\n", asked->path,
        asked->host, mode == MODE_NEW ? "Connection: close\r\n" : "");
}

// MARK: requests

static void request_end(struct request *request) {
  if (request->previous != NULL) request->previous->next = request->next;
  else oldest = request->next;
  if (request->next != NULL) request->next->previous = request->previous;
  else newest = request->previous;
  request->next = spare_requests;
  spare_requests = request;
  outstanding--;
}

static void request_failed(struct request *request, enum failure failure, int error) {
  uint64_t now = clock_ns();
  results_failed(request->phase, request->mode, failure, (double)(request->due_ns - start) / 1e9, error);
  timeline_done(request->due_ns - start, false, (now - request->due_ns) / 1000);
  request_end(request);
}

static void request_answered(struct request *request, const struct response *response) {
  uint64_t microseconds = (clock_ns() - request->due_ns) / 1000;
  size_t length;
  const char *body = response_body(response, &length);
  results_latency(request->phase, request->mode, microseconds);
  results_answer(body, length);
  if (response->status != options->expect_status) {
    request_failed(request, FAILED_STATUS, response->status);
  } else if (options->expect_body != NULL &&
             memmem(body, length, options->expect_body, strlen(options->expect_body)) == NULL) {
    request_failed(request, FAILED_BODY, response->status);
  } else {
    results_ok(request->phase);
    timeline_done(request->due_ns - start, true, microseconds);
    request_end(request);
  }
}

// MARK: connections

// The memory is used again only after the batch of events, which may still name this connection.
static void connection_close(struct connection *connection) {
  close(connection->fd);
  connection->fd = -1;
  connection->request = NULL;
  if (connection->mode == MODE_KEEPALIVE) kept_alive--;
  if (connection->retry) return;  // client_turn() takes it out of `retries`
  connection->next = closed;
  closed = connection;
}

static void fail_connection(struct connection *connection, enum failure failure, int error) {
  struct request *request = connection->request;
  connection_close(connection);
  if (request != NULL) request_failed(request, failure, error);
}

static enum failure connect_failure(int error) {
  return error == ECONNREFUSED ? FAILED_REFUSED : error == ECONNRESET ? FAILED_RESET : FAILED_CONNECT;
}

// false: the connection is gone.
static bool send_request(struct connection *connection) {
  enum mode mode = connection->mode;
  while (connection->sent < text_lengths[mode]) {
    ssize_t sent = send(connection->fd, texts[mode] + connection->sent, text_lengths[mode] - connection->sent,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN)) return true;
    if (sent < 0) {
      fail_connection(connection, errno == ECONNREFUSED ? FAILED_REFUSED : FAILED_RESET, errno);
      return false;
    }
    connection->sent += (size_t)sent;
  }
  return true;
}

static void try_connect(struct connection *connection) {
  connection->retry = false;
  if (connect(connection->fd, (const struct sockaddr *)&options->address, options->address_length) != 0 &&
      errno != EINPROGRESS) {
    if (errno == EAGAIN) {  // a Unix socket with a full queue; TCP would send its SYN again by itself
      connection->retry = true;
      connection->next = retries;
      retries = connection;
    } else {
      fail_connection(connection, connect_failure(errno), errno);
    }
    return;
  }
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
    fail_connection(connection, FAILED_CONNECT, errno);
    return;
  }
  results.opened++;
  send_request(connection);
}

static void begin(struct connection *connection, struct request *request) {
  connection->request = request;
  connection->sent = 0;
  request->connection = connection;
  response_reset(&connection->response);
}

static void open_connection(struct request *request) {
  int fd = socket(options->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    request_failed(request, FAILED_CONNECT, errno);
    return;
  }
  struct connection *connection = spare_connections;
  if (connection != NULL) spare_connections = connection->next;
  else connection = malloc(sizeof *connection);
  if (connection == NULL) fail(1, "no memory");
  connection->fd = fd;
  connection->mode = request->mode;
  if (request->mode == MODE_KEEPALIVE) kept_alive++;
  begin(connection, request);
  try_connect(connection);
}

// An idle connection that the server has not closed; NULL without one. The one that was idle longest comes first, so
// that all of them stay in use.
static struct connection *take_idle(void) {
  while (idle.first != NULL) {
    struct connection *connection = idle.first;
    idle.first = connection->next;
    if (idle.first == NULL) idle.last = NULL;
    if (connection->fd < 0) {  // closed while idle
      connection->next = closed;
      closed = connection;
      continue;
    }
    char byte;
    if (recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN) return connection;
    results.closed_idle++;
    connection_close(connection);
  }
  return NULL;
}

static void put_idle(struct connection *connection) {
  connection->request = NULL;
  connection->next = NULL;
  if (idle.last != NULL) idle.last->next = connection;
  else idle.first = connection;
  idle.last = connection;
}

// Begins the keep-alive request on an idle connection or on a new one; false when all are busy.
static bool begin_kept_alive(struct request *request) {
  struct connection *connection = take_idle();
  if (connection != NULL) {
    results.reused++;
    begin(connection, request);
    send_request(connection);
    return true;
  }
  if (kept_alive >= options->connections) return false;
  open_connection(request);
  return true;
}

static void begin_waiting(void) {
  while (first_waiting != NULL) {
    struct request *request = first_waiting;
    struct request *next = request->next_waiting;  // the request may be over when begin_kept_alive returns
    if (!begin_kept_alive(request)) return;
    first_waiting = next;
    if (next == NULL) last_waiting = NULL;
  }
}

void client_ask(uint64_t due_ns, enum mode mode, int phase) {
  struct request *request = spare_requests;
  if (request != NULL) spare_requests = request->next;
  else request = malloc(sizeof *request);
  if (request == NULL) fail(1, "no memory");
  *request = (struct request){.due_ns = due_ns, .mode = mode, .phase = phase, .previous = newest};
  if (newest != NULL) newest->next = request;
  else oldest = request;
  newest = request;
  outstanding++;
  results_sent(phase);
  timeline_sent(due_ns - start);
  uint64_t now = clock_ns();
  histogram_add(&results.lateness, now > due_ns ? (now - due_ns) / 1000 : 0);
  if (mode == MODE_NEW) {
    open_connection(request);
  } else if (first_waiting != NULL || !begin_kept_alive(request)) {
    if (last_waiting != NULL) last_waiting->next_waiting = request;
    else first_waiting = request;
    last_waiting = request;
  }
}

// MARK: events

static void complete(struct connection *connection) {
  struct request *request = connection->request;
  request_answered(request, &connection->response);
  if (connection->mode == MODE_NEW || connection->response.closes || !connection->response.has_length)
    connection_close(connection);
  else put_idle(connection);
}

static void ended(struct connection *connection) {
  if (response_end(&connection->response) == RESPONSE_COMPLETE) complete(connection);
  else fail_connection(connection, connection->response.received == 0 ? FAILED_CLOSED : FAILED_CUT, 0);
}

static void read_response(struct connection *connection) {
  char bytes[16 * 1024];
  for (;;) {
    ssize_t got = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) {
      fail_connection(connection, errno == ECONNREFUSED ? FAILED_REFUSED : FAILED_RESET, errno);
      return;
    }
    if (got == 0) {
      ended(connection);
      return;
    }
    switch (response_take(&connection->response, bytes, (size_t)got)) {
      case RESPONSE_PARTIAL: break;
      case RESPONSE_COMPLETE: complete(connection); return;
      case RESPONSE_MALFORMED: fail_connection(connection, FAILED_MALFORMED, 0); return;
    }
  }
}

// The end of an idle connection is no failure; it stays in the list of idle ones until take_idle() meets it.
static void idle_event(struct connection *connection) {
  char byte;
  if (recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN) return;
  results.closed_idle++;
  close(connection->fd);
  connection->fd = -1;
  kept_alive--;
}

void client_event(struct connection *connection, uint32_t events) {
  if (connection->fd < 0) return;
  if (connection->request == NULL) {
    idle_event(connection);
  } else {
    if (connection->sent < text_lengths[connection->mode] && !(events & EPOLLERR) && !send_request(connection)) return;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) read_response(connection);
  }
}

static void drop_waiting(struct request *request) {
  struct request *before = NULL;
  for (struct request *each = first_waiting; each != NULL; before = each, each = each->next_waiting) {
    if (each != request) continue;
    if (before != NULL) before->next_waiting = each->next_waiting;
    else first_waiting = each->next_waiting;
    if (last_waiting == each) last_waiting = before;
    return;
  }
}

static void end_overdue(uint64_t now) {
  while (oldest != NULL && oldest->due_ns + options->timeout_ns <= now) {
    struct request *request = oldest;
    if (request->connection == NULL) drop_waiting(request);
    else connection_close(request->connection);
    request_failed(request, FAILED_TIMEOUT, 0);
  }
}

static void retry_connects(void) {
  struct connection *each = retries, *next;
  retries = NULL;
  for (; each != NULL; each = next) {
    next = each->next;
    if (each->fd >= 0) {
      try_connect(each);
    } else {
      each->next = closed;
      closed = each;
    }
  }
}

void client_turn(void) {
  end_overdue(clock_ns());
  retry_connects();
  begin_waiting();
  while (closed != NULL) {
    struct connection *connection = closed;
    closed = connection->next;
    connection->next = spare_connections;
    spare_connections = connection;
  }
}

uint64_t client_deadline(void) {
  if (retries != NULL) return clock_ns() + RETRY_NS;
  return oldest != NULL ? oldest->due_ns + options->timeout_ns : UINT64_MAX;
}
