// fixture-load: asks an HTTP server on schedule and says what came of it. See options.c.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client.h"
#include "options.h"
#include "report.h"
#include "results.h"
#include "timeline.h"

enum { ASKED_A_TURN = 64 };

static struct options options;
static int epoll;
static uint64_t planned;  // requests in all, UINT64_MAX without a limit
static uint64_t asked;
static uint64_t base, base_asked;  // the schedule counts from here: the start, or the last `resume`
static bool paused;
static int phase;
static const char *ended_by = "";
static bool given_up;
static struct kernel_counters before;  // as they were at the start

// What epoll gives back for the descriptors that are no connection.
static char signals_tag, control_tag;

static void end(const char *by) {
  if (*ended_by != '\0') {
    given_up = true;  // told twice: do not wait for answers
    return;
  }
  ended_by = by;
  planned = asked;
}

static void watch(int fd, void *tag) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) fail(64, "fd %d cannot be waited for: %s", fd, strerror(errno));
}

static int watch_signals(void) {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGTERM);
  sigprocmask(SIG_BLOCK, &ending, NULL);
  int fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) fail(1, "signalfd: %s", strerror(errno));
  watch(fd, &signals_tag);
  return fd;
}

static void resume(void) {
  paused = false;
  base = clock_ns();
  base_asked = asked;
}

static void tally(void) {
  uint64_t now = clock_ns(), oldest = client_oldest();
  struct kernel_counters kernel = kernel_counters_since(before);
  report_tally(client_outstanding(), oldest < now ? now - oldest : 0, &kernel);
}

static void obey(const char *line) {
  if (strncmp(line, "mark ", 5) == 0) phase = results_mark(line + 5);
  else if (strcmp(line, "stop") == 0) end("stop");
  else if (strcmp(line, "pause") == 0) paused = true;
  else if (strcmp(line, "resume") == 0) resume();
  else if (strcmp(line, "tally") == 0) tally();
  else fail(64, "control: none of `mark NAME`, `pause`, `resume`, `tally`, `stop`: %s", line);
}

static void read_control(void) {
  static char text[4096];
  static size_t count;
  ssize_t got = read(STDIN_FILENO, text + count, sizeof text - count);
  if (got <= 0) {
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    epoll_ctl(epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
    if (*ended_by == '\0') end("the end of stdin");
    return;
  }
  count += (size_t)got;
  for (char *newline; (newline = memchr(text, '\n', count)) != NULL;) {
    *newline = '\0';
    obey(text);
    count -= (size_t)(newline + 1 - text);
    memmove(text, newline + 1, count);
  }
  if (count == sizeof text) fail(64, "control: a line of more than %zu bytes", sizeof text);
}

// When the next request is due; UINT64_MAX when none is.
static uint64_t due(void) {
  if (paused || asked >= planned) return UINT64_MAX;
  return base + (uint64_t)((double)(asked - base_asked) * 1e9 / options.rate);
}

// Answers are read in between: who is behind its schedule and only asks never catches up, and its clients wait for nothing.
static void ask_what_is_due(void) {
  uint64_t at;
  for (int turn = 0; turn < ASKED_A_TURN && (at = due()) <= clock_ns(); turn++, asked++) {
    enum mode mode = options.mode == MODE_BOTH ? (enum mode)(asked % MODES) : options.mode;
    client_ask(at, mode, phase);
  }
}

static void wait_for_events(int signals) {
  uint64_t next = client_deadline(), now = clock_ns();
  if (due() < next) next = due();
  uint64_t rest = next > now ? next - now : 0;
  struct timespec timeout = {.tv_sec = (time_t)(rest / 1000000000), .tv_nsec = (long)(rest % 1000000000)};
  struct epoll_event events[256];
  int count = epoll_pwait2(epoll, events, 256, next == UINT64_MAX ? NULL : &timeout, NULL);
  if (count < 0 && errno != EINTR) fail(1, "epoll: %s", strerror(errno));
  for (int index = 0; index < count; index++) {
    struct signalfd_siginfo info;
    if (events[index].data.ptr == &control_tag) read_control();
    else if (events[index].data.ptr != &signals_tag) client_event(events[index].data.ptr, events[index].events);
    else if (read(signals, &info, sizeof info) == sizeof info) end("a signal");
  }
  client_turn();
}

static double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void allow_many_files(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
  options_read(&options, argc, argv);
  allow_many_files();
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) fail(1, "epoll: %s", strerror(errno));
  int signals = watch_signals();
  if (options.control) watch(STDIN_FILENO, &control_tag);
  planned = options.requests > 0 ? options.requests : UINT64_MAX;
  if (options.duration_s > 0 && options.duration_s * options.rate < (double)planned)
    planned = (uint64_t)(options.duration_s * options.rate);
  before = kernel_counters_read();
  timeline_open(options.timeline, options.timeout_ns);
  uint64_t start = base = clock_ns();
  phase = results_mark("start");
  client_open(&options, epoll, start);
  for (;;) {
    ask_what_is_due();
    if (given_up || (asked == planned && client_outstanding() == 0)) break;
    wait_for_events(signals);
  }
  timeline_close();
  struct run run = {.seconds = (double)(clock_ns() - start) / 1e9,
                    .ended_by = ended_by,
                    .unanswered = client_outstanding(),
                    .kernel = kernel_counters_since(before)};
  run.cpu_share = cpu_seconds() / run.seconds;
  report_print(&options, &run);
  return results_total_failed() + run.unanswered > 0 ? 1 : 0;
}
