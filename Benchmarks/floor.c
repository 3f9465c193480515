// The floor: the least a supervisor can do. One listener, posix_spawn in a loop, READY=1, TERM, waitpid; no checks, no
// restart policy, no log, no state. What a real supervisor costs is measured against it.
//
// usage: floor PORT WORKERS -- PROGRAM [ARGUMENT…]      (PORT 0: no listener)
// stdin takes `reload` and `stop`, one a line; stdout says `up`, `reloaded`, `stopped`. A worker that dies is replaced
// at once.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { LISTENER = 3, MOST = 1024 };

static char **program;
static int workers;
static pid_t current[MOST], old[MOST];
static int ready, old_left;
static bool reloading, stopping;

static void check(int result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void say(const char *word) {
  puts(word);
  fflush(stdout);
}

static void listen_on(int port) {
  if (port == 0) return;
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  check(fd, "socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  check(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
  check(listen(fd, 4096), "listen");
  if (fd == LISTENER) return;
  check(dup2(fd, LISTENER), "dup2");
  close(fd);
}

static int notify_socket(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  socklen_t length = sizeof(sa_family_t);  // the kernel picks an abstract name
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  check(fd, "notify socket");
  check(bind(fd, (struct sockaddr *)&address, length), "notify socket");
  length = sizeof address;
  getsockname(fd, (struct sockaddr *)&address, &length);
  char name[128];
  snprintf(name, sizeof name, "@%.*s", (int)(length - sizeof(sa_family_t) - 1), address.sun_path + 1);
  setenv("NOTIFY_SOCKET", name, 1);
  return fd;
}

static void spawn(pid_t *pid) {
  posix_spawnattr_t attributes;
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_init(&attributes);
  // A session each, as workers have elsewhere: the kernel shares the processor out by sessions (sched_autogroup).
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
  posix_spawnattr_setsigmask(&attributes, &none);
  int error = posix_spawn(pid, program[0], NULL, &attributes, program, environ);
  posix_spawnattr_destroy(&attributes);
  errno = error;
  check(error == 0 ? 0 : -1, program[0]);
}

static void spawn_all(void) {
  ready = 0;
  for (int index = 0; index < workers; index++) spawn(&current[index]);
}

static void kill_all(const pid_t *pids) {
  for (int index = 0; index < workers; index++)
    if (pids[index] > 0) kill(pids[index], SIGTERM);
}

static void all_ready(void) {
  if (!reloading) {
    say("up");
    return;
  }
  kill_all(old);
}

static void take_notification(int fd) {
  char text[4096];
  for (ssize_t got; (got = recv(fd, text, sizeof text - 1, 0)) > 0;)
    if (strncmp(text, "READY=1", 7) == 0 && ++ready == workers) all_ready();
}

static bool take(pid_t *pids, pid_t pid, pid_t **place) {
  for (int index = 0; index < workers; index++)
    if (pids[index] == pid) return *place = &pids[index], true;
  return false;
}

static void reap(void) {
  pid_t *place;
  for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;) {
    if (take(old, pid, &place)) {
      *place = 0;
      if (--old_left == 0 && reloading) {
        reloading = false;
        say("reloaded");
      }
    } else if (take(current, pid, &place)) {
      if (stopping) {
        *place = 0;
        if (--ready == 0) {
          say("stopped");
          exit(0);
        }
      } else {
        spawn(place);
      }
    }
  }
}

static void obey(const char *word) {
  if (strcmp(word, "reload") == 0) {
    memcpy(old, current, sizeof old);
    old_left = workers;
    reloading = true;
    spawn_all();
  } else if (strcmp(word, "stop") == 0) {
    stopping = true;
    ready = workers;
    kill_all(current);
  }
}

int main(int argc, char **argv) {
  if (argc < 5 || strcmp(argv[3], "--") != 0 || (workers = atoi(argv[2])) < 1 || workers > MOST) {
    fputs("usage: floor PORT WORKERS -- PROGRAM [ARGUMENT...]\n", stderr);
    return 64;
  }
  program = argv + 4;
  listen_on(atoi(argv[1]));
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK), notifications = notify_socket();
  spawn_all();
  struct pollfd watched[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                             {.fd = signals, .events = POLLIN},
                             {.fd = notifications, .events = POLLIN}};
  for (;;) {
    if (poll(watched, 3, -1) < 0 && errno != EINTR) check(-1, "poll");
    struct signalfd_siginfo info;
    if (watched[2].revents != 0) take_notification(notifications);
    if (watched[1].revents != 0) {
      while (read(signals, &info, sizeof info) > 0) continue;
      reap();
    }
    if (watched[0].revents == 0) continue;
    char word[64];
    if (fgets(word, sizeof word, stdin) == NULL) return 1;
    word[strcspn(word, "\n")] = '\0';
    obey(word);
  }
}
