// fixture-service: the user's program in tests, demo and benchmarks. See options.c for what it can be asked to do.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "acceptors.h"
#include "connections.h"
#include "inheritance.h"
#include "loop.h"
#include "misbehaviours.h"
#include "notify.h"
#include "say.h"
#include "service.h"
#include "stamps.h"

struct service service;

static struct watch termination;
static struct timer watchdog, starting;

// A handler and not signalfd: signalfd needs TERM blocked, and would hide that a supervisor started us with TERM blocked.
static void on_term(int signal) {
  (void)signal;
  int before = errno;
  uint64_t one = 1;
  if (write(termination.fd, &one, sizeof one) < 0) _exit(1);
  errno = before;
}

static void end(void) {
  say("gone");
  stamp("exit");
  exit(0);
}

void service_drain(void) {
  if (service.draining) return;
  service.draining = true;
  stamp("term");
  say("draining, %d open", connections_count());
  notify("STOPPING=1\nSTATUS=draining, %d open", connections_count());
  connections_drain(end);
  acceptors_stop();
}

static void term_came(struct watch *watch, uint32_t events) {
  (void)events;
  uint64_t count;
  if (read(watch->fd, &count, sizeof count) > 0) service_drain();
}

static void watch_for_term(void) {
  termination = (struct watch){eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), term_came};
  if (termination.fd < 0) fail(1, "eventfd: %s", strerror(errno));
  loop_add(&termination, EPOLLIN);
  if (service.options.misbehaves[IGNORES_TERM]) return;
  sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_term}, NULL);
  sigaction(SIGINT, &(struct sigaction){.sa_handler = on_term}, NULL);
}

static void ping(void *nothing) {
  (void)nothing;
  notify("WATCHDOG=1");
  timer_set(&watchdog, notify_watchdog_interval(), ping, NULL);
}

static void become_ready(void *nothing) {
  (void)nothing;
  if (service.draining) return;
  misbehave_instead_of_ready();
  const char *claims = service.options.argument[CLAIMS_OTHER_PID];
  bool silent = service.options.misbehaves[NEVER_READY] || (claims != NULL && strcmp(claims, "child") == 0);
  service.ready = true;
  stamp("ready");
  if (!silent) {
    notify("READY=1\nSTATUS=serving %s", service.options.version_text);
    if (service.options.ready_fd >= 0 && write(service.options.ready_fd, "\n", 1) != 1)
      say("ready fd %d: %s", service.options.ready_fd, strerror(errno));
    say("ready %s", service.options.version_text);
  }
  if (notify_watchdog_interval() > 0 && !service.options.misbehaves[NO_WATCHDOG]) ping(NULL);
  misbehave_after_ready();
}

// A program that takes its time to start does not accept before it is ready.
static void started(void *nothing) {
  if (service.draining) return;
  if (!service.options.misbehaves[HANGS_ACCEPT]) acceptors_open();
  become_ready(nothing);
}

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value != NULL && *value != '\0' ? value : "-";
}

int main(int argc, char **argv) {
  uint64_t began = clock_ns();
  options_read(&service.options, argc, argv);
  if (service.options.report_file != NULL) inheritance_report(service.options.report_file, argc, argv);
  if (service.options.strict) inheritance_check();
  stamps_open(service.options.stamp_file, began);
  service.counts = counts_open(service.options.count_file);
  service.worker = variable("BATON_WORKER");
  service.generation = variable("BATON_GENERATION");
  service.listeners = listeners_take(&service.options);
  notify_open();
  misbehave_at_start();
  loop_open();
  watch_for_term();
  timer_set(&starting, service.options.start_delay_ms * 1000000, started, NULL);
  loop_run();
}
