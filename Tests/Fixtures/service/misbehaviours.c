#include "misbehaviours.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"
#include "notify.h"
#include "say.h"
#include "service.h"

const struct misbehaviour_description misbehaviours[MISBEHAVIOURS] = {
    [EXITS_AT_START] = {"exits-at-start", "exit status ARG (3) before it is ready"},
    [NEVER_READY] = {"never-ready", "serves, but never says READY=1"},
    [DIES_AFTER_READY] = {"dies-after-ready", "exit status 4, ARG (200) ms after ready"},
    [ANSWERS_500] = {"answers-500", "every answer is a 500"},
    [WRONG_BODY] = {"wrong-body", "200 with another body than asked for"},
    [IGNORES_TERM] = {"ignores-term", "SIGTERM and SIGINT are ignored"},
    [STOPS_ITSELF] = {"stops-itself", "SIGSTOP to itself, ARG (0) ms after ready"},
    [FORKS_AWAY] = {"forks-away", "a grandchild in its own session keeps the listener and ignores TERM"},
    [FORKS_CHILD_SAME_GROUP] = {"forks-child-same-group", "a child in the same process group ignores TERM"},
    [FLOODS_LOG] = {"floods-log", "writes ARG (endlessly many) lines to stderr as fast as it can, from ready on"},
    [FLOODS_NOTIFY] = {"floods-notify", "sends STATUS= as fast as it can, from ready on"},
    [CLAIMS_OTHER_PID] = {"claims-other-pid",
                          "ARG: mainpid (default) sends MAINPID=1; child lets a child say READY=1 in its place; a path "
                          "or @name sends READY=1 to that socket"},
    [NO_WATCHDOG] = {"no-watchdog", "sends no WATCHDOG=1"},
    [CLOSES_LISTENER] = {"closes-listener", "shutdown(2) on the shared listeners, ARG (0) ms after ready"},
    [TOGGLES_NONBLOCK] = {"toggles-nonblock", "flips O_NONBLOCK of the shared listeners every ARG (50) ms"},
    [GROWS_MEMORY] = {"grows-memory", "touches ARG (64) MB more every second, up to 4 GB"},
    [HANGS_ACCEPT] = {"hangs-accept", "ready, but never accepts"},
    [SPINS] = {"spins", "an endless loop after ready"},
    [CRASH_LOOP] = {"crash-loop", "SIGSEGV right after ready, every time"},
    [EXITS_ZERO] = {"exits-zero", "exit status 0, ARG (100) ms after ready"},
    [DIES_IN_TRIAL] = {"dies-in-trial", "exit status 5 at the ARGth (5th) request of a client"},
    [BLOCKS_TERM_IN_MASK] = {"blocks-term-in-mask", "SIGTERM is blocked in its signal mask"},
};

static bool is(enum misbehaviour which) { return service.options.misbehaves[which]; }
static uint64_t argument(enum misbehaviour which, uint64_t otherwise) {
  return options_number(&service.options, which, otherwise);
}

// What survives the program that made it: it ignores TERM and holds every descriptor it was born with.
static _Noreturn void stay(const char *what) {
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  say("%s: here to stay", what);
  for (;;) pause();
}

static void fork_child(void) {
  pid_t child = fork();
  if (child == 0) stay("child in the same group");
  if (child < 0) fail(1, "fork: %s", strerror(errno));
}

static void fork_away(void) {
  pid_t child = fork();
  if (child < 0) fail(1, "fork: %s", strerror(errno));
  if (child == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    stay("grandchild in its own session");
  }
  waitpid(child, NULL, 0);
}

void misbehave_at_start(void) {
  if (is(EXITS_AT_START)) fail((int)argument(EXITS_AT_START, 3), "exits at start, as asked");
  if (is(IGNORES_TERM)) {
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
  }
  if (is(BLOCKS_TERM_IN_MASK)) {
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
  }
  // Before any thread is made, so that the children are whole.
  if (is(FORKS_CHILD_SAME_GROUP)) fork_child();
  if (is(FORKS_AWAY)) fork_away();
}

static void claim(void) {
  const char *how = service.options.argument[CLAIMS_OTHER_PID];
  if (how == NULL || strcmp(how, "mainpid") == 0) {
    notify("MAINPID=1\nSTATUS=claims to be pid 1");
  } else if (strcmp(how, "child") == 0) {
    pid_t child = fork();
    if (child == 0) {
      notify("READY=1\nSTATUS=said by a child");
      _exit(0);
    }
    waitpid(child, NULL, 0);
  } else {
    notify_to(how, "READY=1\nSTATUS=said by another worker");
  }
}

void misbehave_instead_of_ready(void) {
  if (is(CLAIMS_OTHER_PID)) claim();
}

static void die(void *status) { fail((int)(intptr_t)status, "ends, as asked"); }

static void stop_itself(void *nothing) {
  (void)nothing;
  raise(SIGSTOP);
}

static void shut_listeners(void *nothing) {
  (void)nothing;
  // Twice: the second fails on what does not listen any more, and yet marks it for whoever listens there again.
  for (int turn = 0; turn < 2; turn++)
    for (int index = 0; index < service.listeners.count; index++)
      if (shutdown(service.listeners.all[index].fd, SHUT_RDWR) != 0) say("shutdown: %s", strerror(errno));
}

static void toggle(void *context) {
  for (int index = 0; index < service.listeners.count; index++) {
    int fd = service.listeners.all[index].fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) ^ O_NONBLOCK);
  }
  timer_set(context, argument(TOGGLES_NONBLOCK, 50) * MILLISECOND, toggle, context);
}

static void grow(void *context) {
  enum { STEPS_A_SECOND = 10 };
  static uint64_t grown;
  size_t step = argument(GROWS_MEMORY, 64) * 1024 * 1024 / STEPS_A_SECOND;
  char *memory = grown < ((uint64_t)4 << 30) ? malloc(step) : NULL;
  if (memory == NULL) return;
  for (size_t at = 0; at < step; at += 4096) ((volatile char *)memory)[at] = 1;
  grown += step;
  timer_set(context, 1000 / STEPS_A_SECOND * MILLISECOND, grow, context);
}

static void spin(void *nothing) {
  (void)nothing;
  for (volatile int always = 1; always;) continue;
}

static void crash(void *nothing) {
  (void)nothing;
  signal(SIGSEGV, SIG_DFL);
  raise(SIGSEGV);
}

static void *flood_log(void *nothing) {
  uint64_t lines = argument(FLOODS_LOG, UINT64_MAX);
  for (uint64_t line = 0; line < lines; line++) say("flood %llu %0200d", (unsigned long long)line, 0);
  return nothing;
}

static void *flood_notify(void *nothing) {
  for (uint64_t message = 0;; message++) notify("STATUS=flood %llu", (unsigned long long)message);
  return nothing;
}

static void in_thread(void *(*body)(void *)) {
  sigset_t all, before;
  pthread_t thread;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, NULL, body, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) fail(1, "thread: %s", strerror(error));
  pthread_detach(thread);
}

void misbehave_after_ready(void) {
  static struct timer death, exit_zero, stop, shut, toggling, growth, spinning, crashing;
  if (is(DIES_AFTER_READY)) timer_set(&death, argument(DIES_AFTER_READY, 200) * MILLISECOND, die, (void *)4);
  if (is(EXITS_ZERO)) timer_set(&exit_zero, argument(EXITS_ZERO, 100) * MILLISECOND, die, (void *)0);
  if (is(STOPS_ITSELF)) timer_set(&stop, argument(STOPS_ITSELF, 0) * MILLISECOND, stop_itself, NULL);
  if (is(CLOSES_LISTENER)) timer_set(&shut, argument(CLOSES_LISTENER, 0) * MILLISECOND, shut_listeners, NULL);
  if (is(TOGGLES_NONBLOCK)) timer_set(&toggling, 0, toggle, &toggling);
  if (is(GROWS_MEMORY)) timer_set(&growth, 0, grow, &growth);
  if (is(SPINS)) timer_set(&spinning, 0, spin, NULL);
  if (is(CRASH_LOOP)) timer_set(&crashing, 0, crash, NULL);
  if (is(FLOODS_LOG)) in_thread(flood_log);
  if (is(FLOODS_NOTIFY)) in_thread(flood_notify);
}

void misbehave_on_client_request(void) {
  static uint64_t requests;
  if (is(DIES_IN_TRIAL) && ++requests >= argument(DIES_IN_TRIAL, 5)) die((void *)5);
}
