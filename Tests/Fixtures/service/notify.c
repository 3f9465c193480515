#include "notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "say.h"

static int notifier = -1;
static struct sockaddr_un address;
static socklen_t address_length;

static socklen_t notify_address(const char *path, struct sockaddr_un *result) {
  size_t length = strlen(path);
  if ((path[0] != '/' && path[0] != '@') || length >= sizeof result->sun_path)
    fail(EXIT_INHERITED_WRONG, "NOTIFY_SOCKET is neither a path nor abstract: %s", path);
  *result = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(result->sun_path, path, length);
  if (path[0] == '@') result->sun_path[0] = '\0';
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '/' ? 1 : 0));
}

static int datagram_socket(void) {
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail(1, "notify socket: %s", strerror(errno));
  return fd;
}

void notify_open(void) {
  const char *path = getenv("NOTIFY_SOCKET");
  if (path == NULL || *path == '\0') return;
  address_length = notify_address(path, &address);
  notifier = datagram_socket();
}

void notify(const char *format, ...) {
  if (notifier < 0) return;
  char message[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  size_t size = (size_t)length < sizeof message ? (size_t)length : sizeof message - 1;
  // READY=1 must arrive: only it may wait for a full queue; what comes again later need not.
  int flags = MSG_NOSIGNAL | (strncmp(message, "READY=1", 7) == 0 ? 0 : MSG_DONTWAIT);
  if (sendto(notifier, message, size, flags, (struct sockaddr *)&address, address_length) < 0 && errno != EAGAIN)
    say("notify: %s", strerror(errno));
}

void notify_to(const char *path, const char *message) {
  struct sockaddr_un other;
  socklen_t length = notify_address(path, &other);
  int fd = datagram_socket();
  if (sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&other, length) < 0)
    say("notify %s: %s", path, strerror(errno));
  close(fd);
}

uint64_t notify_watchdog_interval(void) {
  const char *microseconds = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
  if (notifier < 0 || microseconds == NULL) return 0;
  if (pid != NULL && strtol(pid, NULL, 10) != getpid()) return 0;
  return strtoull(microseconds, NULL, 10) * 1000 / 2;
}
