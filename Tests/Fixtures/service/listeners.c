#include "listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "say.h"

enum { FIRST_FD = 3, MOST_FDS = 256 };

static int socket_option(int fd, int option, const char *name) {
  int value = 0;
  socklen_t size = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, option, &value, &size) != 0)
    fail(EXIT_INHERITED_WRONG, "fd %d: %s: %s", fd, name, strerror(errno));
  return value;
}

static struct listener inspect(int fd, const char *name) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) fail(EXIT_INHERITED_WRONG, "fd %d (%s) was promised and is not open", fd, name);
  int type = socket_option(fd, SO_TYPE, "SO_TYPE");
  if (type != SOCK_DGRAM && socket_option(fd, SO_ACCEPTCONN, "SO_ACCEPTCONN") == 0)
    fail(EXIT_INHERITED_WRONG, "fd %d (%s) does not listen", fd, name);
  // Programs that we start must not inherit it.
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  return (struct listener){
      .fd = fd, .name = name, .datagram = type == SOCK_DGRAM, .nonblocking = (flags & O_NONBLOCK) != 0};
}

static struct listeners one(struct listener listener) {
  struct listener *all = malloc(sizeof *all);
  if (all == NULL) fail(1, "no memory");
  *all = listener;
  return (struct listeners){all, 1};
}

static struct listeners inherited(const char *count_text) {
  const char *pid = getenv("LISTEN_PID");
  if (pid == NULL) fail(EXIT_INHERITED_WRONG, "LISTEN_FDS=%s without LISTEN_PID", count_text);
  if (strtol(pid, NULL, 10) != getpid())
    fail(EXIT_INHERITED_WRONG, "LISTEN_PID=%s is not this process (%d)", pid, getpid());
  char *end;
  long count = strtol(count_text, &end, 10);
  if (*end != '\0' || count < 1 || count > MOST_FDS) fail(EXIT_INHERITED_WRONG, "LISTEN_FDS=%s", count_text);
  const char *names = getenv("LISTEN_FDNAMES");
  char *rest = strdup(names != NULL ? names : "");
  struct listener *all = calloc((size_t)count, sizeof *all);
  if (rest == NULL || all == NULL) fail(1, "no memory");
  for (int index = 0; index < count; index++) {
    const char *name = strsep(&rest, ":");
    all[index] = inspect(FIRST_FD + index, name != NULL && *name != '\0' ? name : "unknown");
  }
  if (rest != NULL) fail(EXIT_INHERITED_WRONG, "LISTEN_FDNAMES=%s has more names than LISTEN_FDS=%ld", names, count);
  return (struct listeners){all, (int)count};
}

static int bind_path(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) fail(EXIT_USAGE, "--listen: path too long: %s", path);
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  unlink(path);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
    fail(1, "--listen %s: %s", path, strerror(errno));
  return fd;
}

static int bind_host_port(const char *text, bool datagram) {
  const char *colon = strrchr(text, ':');
  if (colon == NULL) fail(EXIT_USAGE, "--listen: HOST:PORT or a path, not %s", text);
  char host[256];
  bool brackets = text[0] == '[' && colon > text + 2 && colon[-1] == ']';
  snprintf(host, sizeof host, "%.*s", (int)(colon - text) - (brackets ? 2 : 0), text + (brackets ? 1 : 0));
  struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                           .ai_socktype = datagram ? SOCK_DGRAM : SOCK_STREAM};
  struct addrinfo *found;
  int error = getaddrinfo(*host != '\0' ? host : NULL, colon + 1, &hints, &found);
  if (error != 0) fail(EXIT_USAGE, "--listen %s: %s", text, gai_strerror(error));
  int on = 1, fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, found->ai_addr, found->ai_addrlen) != 0)
    fail(1, "--listen %s: %s", text, strerror(errno));
  freeaddrinfo(found);
  return fd;
}

static struct listeners bound(const struct options *options) {
  bool path = options->listen[0] == '/';
  bool datagram = options->udp && !path;
  int fd = path ? bind_path(options->listen) : bind_host_port(options->listen, datagram);
  if (!datagram && listen(fd, 4096) != 0) fail(1, "--listen %s: %s", options->listen, strerror(errno));
  return one(inspect(fd, "listen"));
}

struct listeners listeners_take(const struct options *options) {
  const char *count = getenv("LISTEN_FDS");
  if (options->listen_fd >= 0) return one(inspect(options->listen_fd, "listen-fd"));
  if (options->listen != NULL) return bound(options);
  if (count != NULL) return inherited(count);
  if (options->idle) return (struct listeners){NULL, 0};
  fail(EXIT_INHERITED_WRONG, "no sockets: neither LISTEN_FDS nor --listen nor --listen-fd");
}
