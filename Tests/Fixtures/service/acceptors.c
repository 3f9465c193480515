#include "acceptors.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connections.h"
#include "loop.h"
#include "say.h"
#include "service.h"

enum { ACCEPTS_A_TURN = 64, KICK_MS = 2, REST_MS = 10 };

struct acceptor {
  struct watch watch;  // of the listener, when the loop accepts
  struct listener *listener;
  pthread_t thread;
  bool has_thread;
};

static struct acceptor *acceptors;
static struct watch handed;   // read end of the pipe through which threads hand connections to the loop
static int hand = -1;         // write end
static atomic_bool stopping;  // read by the threads
static int threads_running;
static struct timer kick;

static const int thread_is_gone = -1;

static void hand_over(int value) {
  // 4 bytes never split in a pipe; when it is full the thread waits, and the kernel's queue with it.
  while (write(hand, &value, sizeof value) < 0 && errno == EINTR) continue;
}

// Blocks in accept itself, not in poll before it: poll wakes every worker for one connection, and the ones that lose
// the race would hang in accept where no flag reaches them.
static void *accept_thread(void *context) {
  const struct listener *listener = context;
  while (!atomic_load(&stopping)) {
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      atomic_fetch_add(&service.counts->connections, 1);
      hand_over(fd);
    } else if (errno == EAGAIN) {
      // Somebody made the shared socket nonblocking. Wait as if it were not.
      poll(&(struct pollfd){.fd = listener->fd, .events = POLLIN}, 1, -1);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      if (errno == EINVAL) {
        say("listener %s does not listen any more", listener->name);
        break;
      }
      poll(NULL, 0, REST_MS);  // out of descriptors or memory: no spinning
    }
  }
  hand_over(thread_is_gone);
  return NULL;
}

static void connection_handed(struct watch *watch, uint32_t events) {
  (void)events;
  int fds[ACCEPTS_A_TURN];
  ssize_t got = read(watch->fd, fds, sizeof fds);
  for (ssize_t index = 0; index < got / (ssize_t)sizeof fds[0]; index++) {
    if (fds[index] != thread_is_gone) {
      connection_open(fds[index]);
    } else if (--threads_running == 0 && service.draining) {
      timer_cancel(&kick);
      connections_no_more();
    }
  }
}

static void listener_ready(struct watch *watch, uint32_t events) {
  (void)events;
  struct acceptor *acceptor = (struct acceptor *)watch;
  bool until_empty = acceptor->listener->nonblocking || service.options.accept == ACCEPT_EPOLL_NONBLOCKING;
  for (int turn = 0; turn < (until_empty ? ACCEPTS_A_TURN : 1); turn++) {
    // Counted before it is taken: a program that is killed right after that has taken it.
    atomic_fetch_add(&service.counts->connections, 1);
    int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      connection_open(fd);
      continue;
    }
    atomic_fetch_sub(&service.counts->connections, 1);
    if (errno == EINVAL) {
      say("listener %s does not listen any more", acceptor->listener->name);
      loop_remove(watch);
    }
    return;
  }
}

static void datagram_ready(struct watch *watch, uint32_t events) {
  (void)events;
  char bytes[2048], answer[512];
  struct sockaddr_storage from;
  for (int turn = 0; turn < ACCEPTS_A_TURN; turn++) {
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(watch->fd, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
    if (got < 0) return;
    atomic_fetch_add(&service.counts->datagrams, 1);
    int size = snprintf(answer, sizeof answer, "%s gen=%s worker=%s pid=%d %.*s", service.options.version_text,
                        service.generation, service.worker, getpid(), (int)(got < 64 ? got : 64), bytes);
    if (size > (int)sizeof answer - 1) size = sizeof answer - 1;
    sendto(watch->fd, answer, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&from, length);
  }
}

static void interrupted(int signal) { (void)signal; }

static void start_thread(struct acceptor *acceptor) {
  // Signals meant for the program reach its first thread only.
  sigset_t none_but_ours, before;
  sigfillset(&none_but_ours);
  sigdelset(&none_but_ours, SIGUSR2);
  pthread_sigmask(SIG_SETMASK, &none_but_ours, &before);
  int error = pthread_create(&acceptor->thread, NULL, accept_thread, acceptor->listener);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) fail(1, "accept thread: %s", strerror(error));
  acceptor->has_thread = true;
  threads_running++;
}

static void open_hand_over(void) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail(1, "pipe: %s", strerror(errno));
  handed = (struct watch){ends[0], connection_handed};
  hand = ends[1];
  loop_add(&handed, EPOLLIN);
  // Without SA_RESTART: it is sent to get a thread out of accept.
  sigaction(SIGUSR2, &(struct sigaction){.sa_handler = interrupted}, NULL);
}

void acceptors_open(void) {
  acceptors = calloc((size_t)service.listeners.count, sizeof *acceptors);
  for (int index = 0; index < service.listeners.count; index++) {
    struct acceptor *acceptor = &acceptors[index];
    struct listener *listener = acceptor->listener = &service.listeners.all[index];
    bool on_loop = service.options.accept == ACCEPT_EPOLL_NONBLOCKING ||
                   (service.options.accept == ACCEPT_AUTO && listener->nonblocking);
    acceptor->watch = (struct watch){listener->fd, listener->datagram ? datagram_ready : listener_ready};
    if (listener->datagram || on_loop) {
      // EPOLLEXCLUSIVE: one worker wakes for a connection, not all of them.
      loop_add(&acceptor->watch, EPOLLIN | EPOLLEXCLUSIVE);
    } else {
      if (hand < 0) open_hand_over();
      start_thread(acceptor);
    }
  }
}

// Again and again, since a signal that comes between the thread's look at `stopping` and its accept is lost.
static void kick_threads(void *nothing) {
  (void)nothing;
  for (int index = 0; index < service.listeners.count; index++)
    if (acceptors[index].has_thread) pthread_kill(acceptors[index].thread, SIGUSR2);
  timer_set(&kick, KICK_MS * 1000000u, kick_threads, NULL);
}

void acceptors_stop(void) {
  atomic_store(&stopping, true);
  for (int index = 0; acceptors != NULL && index < service.listeners.count; index++)
    if (!acceptors[index].has_thread) loop_remove(&acceptors[index].watch);
  if (threads_running > 0) kick_threads(NULL);
  else connections_no_more();
}
