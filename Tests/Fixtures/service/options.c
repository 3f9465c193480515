#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counts.h"
#include "misbehaviours.h"
#include "say.h"

enum {
  OPTION_VERSION_TEXT = 256,
  OPTION_START_DELAY,
  OPTION_IDLE_GRACE,
  OPTION_ACCEPT,
  OPTION_UDP,
  OPTION_IDLE,
  OPTION_STRICT,
  OPTION_READY_FD,
  OPTION_IGNORE_ARGUMENTS,
  OPTION_LISTEN,
  OPTION_LISTEN_FD,
  OPTION_COUNT_FILE,
  OPTION_STAMP_FILE,
  OPTION_REPORT_PROCESS,
  OPTION_MISBEHAVE,
  OPTION_SHOW_COUNTS,
  OPTION_LIST,
  OPTION_HELP,
};

static const struct option table[] = {
    {"version-text", required_argument, NULL, OPTION_VERSION_TEXT},
    {"start-delay", required_argument, NULL, OPTION_START_DELAY},
    {"idle-grace", required_argument, NULL, OPTION_IDLE_GRACE},
    {"accept", required_argument, NULL, OPTION_ACCEPT},
    {"udp", no_argument, NULL, OPTION_UDP},
    {"idle", no_argument, NULL, OPTION_IDLE},
    {"strict", no_argument, NULL, OPTION_STRICT},
    {"ready-fd", required_argument, NULL, OPTION_READY_FD},
    {"ignore-arguments", no_argument, NULL, OPTION_IGNORE_ARGUMENTS},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"listen-fd", required_argument, NULL, OPTION_LISTEN_FD},
    {"count-file", required_argument, NULL, OPTION_COUNT_FILE},
    {"stamp-file", required_argument, NULL, OPTION_STAMP_FILE},
    {"report-process", required_argument, NULL, OPTION_REPORT_PROCESS},
    {"misbehave", required_argument, NULL, OPTION_MISBEHAVE},
    {"show-counts", required_argument, NULL, OPTION_SHOW_COUNTS},
    {"list", no_argument, NULL, OPTION_LIST},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

static const char help[] =
    "usage: fixture-service [options]\n"
    "A small HTTP/1.1 program that stands for the user's in tests, demo and benchmarks. Its sockets come by LISTEN_FDS.\n"
    "Every option may also be given as FIXTURE_<OPTION> in the environment (FIXTURE_START_DELAY=300).\n"
    "\n"
    "  --version-text V       first word of every answer (else $BATON_RELEASE, else \"unversioned\")\n"
    "  --start-delay MS       before READY=1\n"
    "  --idle-grace MS        after TERM, how long an idle connection may still ask (default 1000)\n"
    "  --accept MODE          auto | thread | epoll-nonblocking\n"
    "  --idle                 no socket, no answer: ready, then wait for TERM\n"
    "  --strict               refuse to start with a blocked or ignored signal, or with a descriptor nobody named\n"
    "  --ignore-arguments     what is no option is ignored, for supervisors that append an argument of their own\n"
    "  --ready-fd N           a newline there says ready too, as s6 has it\n"
    "  --listen HOST:PORT|PATH  bind it ourselves (with --udp: a datagram socket); --listen-fd N takes an open one\n"
    "  --count-file FILE      counts of what was asked, shared by all who map it; --show-counts FILE prints them\n"
    "  --stamp-file FILE      appends `EVENT PID NANOSECONDS WORKER GENERATION` (CLOCK_MONOTONIC): exec, ready, term, exit\n"
    "  --report-process FILE  JSON of what was inherited; FILE ending in / is a directory for PID.json\n"
    "  --misbehave NAME[=ARG] repeatable; also the name of a link to this program; --list names them\n"
    "\n"
    "Asks: /  /health  /slow?ms=N  /stream?ms=N  /env?NAME  /echo\n";

static uint64_t number(const char *what, const char *text) {
  char *end = NULL;
  unsigned long long value = strtoull(text, &end, 10);
  if (*text == '\0' || *text == '-' || *end != '\0') fail(EXIT_USAGE, "%s: not a number: %s", what, text);
  return value;
}

const char *misbehaviour_name(enum misbehaviour which) { return misbehaviours[which].name; }

static bool misbehave(struct options *options, const char *text) {
  const char *equals = strchr(text, '=');
  size_t length = equals != NULL ? (size_t)(equals - text) : strlen(text);
  for (int which = 0; which < MISBEHAVIOURS; which++) {
    const char *name = misbehaviour_name(which);
    if (strlen(name) != length || strncmp(name, text, length) != 0) continue;
    options->misbehaves[which] = true;
    options->argument[which] = equals != NULL ? equals + 1 : NULL;
    return true;
  }
  return false;
}

static enum accept_mode accept_mode(const char *text) {
  if (strcmp(text, "auto") == 0) return ACCEPT_AUTO;
  if (strcmp(text, "thread") == 0) return ACCEPT_THREAD;
  if (strcmp(text, "epoll-nonblocking") == 0) return ACCEPT_EPOLL_NONBLOCKING;
  fail(EXIT_USAGE, "--accept: auto, thread or epoll-nonblocking, not %s", text);
}

static void apply(struct options *options, int option, const char *value) {
  switch (option) {
    case OPTION_VERSION_TEXT: options->version_text = value; break;
    case OPTION_START_DELAY: options->start_delay_ms = number("--start-delay", value); break;
    case OPTION_IDLE_GRACE: options->idle_grace_ms = number("--idle-grace", value); break;
    case OPTION_ACCEPT: options->accept = accept_mode(value); break;
    case OPTION_UDP: options->udp = true; break;
    case OPTION_IDLE: options->idle = true; break;
    case OPTION_STRICT: options->strict = true; break;
    case OPTION_READY_FD: options->ready_fd = (int)number("--ready-fd", value); break;
    case OPTION_IGNORE_ARGUMENTS: options->ignore_arguments = true; break;
    case OPTION_LISTEN: options->listen = value; break;
    case OPTION_LISTEN_FD: options->listen_fd = (int)number("--listen-fd", value); break;
    case OPTION_COUNT_FILE: options->count_file = value; break;
    case OPTION_STAMP_FILE: options->stamp_file = value; break;
    case OPTION_REPORT_PROCESS: options->report_file = value; break;
    case OPTION_MISBEHAVE:
      if (!misbehave(options, value)) fail(EXIT_USAGE, "--misbehave: unknown: %s (--list names them)", value);
      break;
    case OPTION_SHOW_COUNTS: exit(counts_show(value));
    case OPTION_LIST:
      for (int which = 0; which < MISBEHAVIOURS; which++)
        printf("%-24s %s\n", misbehaviours[which].name, misbehaviours[which].what);
      exit(0);
    case OPTION_HELP: fputs(help, stdout); exit(0);
    default: fail(EXIT_USAGE, "see fixture-service --help");
  }
}

// FIXTURE_START_DELAY=300 is --start-delay 300; for a flag any value but "0" sets it.
static void apply_environment(struct options *options) {
  for (const struct option *option = table; option->name != NULL; option++) {
    if (option->val >= OPTION_SHOW_COUNTS) continue;
    char name[64] = "FIXTURE_";
    size_t length = strlen(name);
    for (const char *letter = option->name; *letter != '\0' && length + 1 < sizeof name; letter++)
      name[length++] = *letter == '-' ? '_' : (char)(*letter - 'a' + 'A');
    name[length] = '\0';
    const char *value = getenv(name);
    if (value == NULL || *value == '\0') continue;
    if (option->has_arg == no_argument && strcmp(value, "0") == 0) continue;
    apply(options, option->val, value);
  }
}

void options_read(struct options *options, int argc, char **argv) {
  *options = (struct options){.idle_grace_ms = 1000, .listen_fd = -1, .ready_fd = -1};
  const char *slash = strrchr(argv[0], '/');
  (void)misbehave(options, slash != NULL ? slash + 1 : argv[0]);
  apply_environment(options);
  for (int option; (option = getopt_long(argc, argv, "", table, NULL)) != -1;) apply(options, option, optarg);
  if (optind < argc && !options->ignore_arguments) fail(EXIT_USAGE, "unexpected argument: %s", argv[optind]);
  if (options->version_text == NULL) options->version_text = getenv("BATON_RELEASE");
  if (options->version_text == NULL) options->version_text = "unversioned";
}

uint64_t options_number(const struct options *options, enum misbehaviour which, uint64_t otherwise) {
  const char *text = options->argument[which];
  return text == NULL ? otherwise : number(misbehaviour_name(which), text);
}
