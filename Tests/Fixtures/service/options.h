// What the person who starts the program asked for: command line, environment, and the name it was called by.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Each is one way in which a user's program goes wrong. The table in misbehaviours.c says what each does.
enum misbehaviour {
  EXITS_AT_START,
  NEVER_READY,
  DIES_AFTER_READY,
  ANSWERS_500,
  WRONG_BODY,
  IGNORES_TERM,
  STOPS_ITSELF,
  FORKS_AWAY,
  FORKS_CHILD_SAME_GROUP,
  FLOODS_LOG,
  FLOODS_NOTIFY,
  CLAIMS_OTHER_PID,
  NO_WATCHDOG,
  CLOSES_LISTENER,
  TOGGLES_NONBLOCK,
  GROWS_MEMORY,
  HANGS_ACCEPT,
  SPINS,
  CRASH_LOOP,
  EXITS_ZERO,
  DIES_IN_TRIAL,
  BLOCKS_TERM_IN_MASK,
  MISBEHAVIOURS,
};

enum accept_mode {
  ACCEPT_AUTO,               // by the flag of each listener: thread when it is blocking, epoll when it is not
  ACCEPT_THREAD,             // one thread a listener, blocked in accept4
  ACCEPT_EPOLL_NONBLOCKING,  // accept4 on the loop until EAGAIN: hangs when somebody makes the listener blocking
};

struct options {
  const char *version_text;
  uint64_t start_delay_ms;
  uint64_t idle_grace_ms;
  enum accept_mode accept;
  bool udp;
  bool idle;
  bool strict;
  int ready_fd;         // a newline there says ready too, as s6 has it; -1 is none
  bool ignore_arguments;  // for supervisors that append one of their own
  const char *listen;  // HOST:PORT or a path, bound by the program itself; for use without a supervisor
  int listen_fd;       // taken as it is, for supervisors that do not speak LISTEN_FDS; -1 is none
  const char *count_file;
  const char *stamp_file;
  const char *report_file;
  bool misbehaves[MISBEHAVIOURS];
  const char *argument[MISBEHAVIOURS];  // the text after `=`, or NULL
};

// Reads the command line, then FIXTURE_* for what it does not say, then the name the program was called by. Does not
// return on --help, --list, --show-counts or an error.
void options_read(struct options *options, int argc, char **argv);

// The number given after `--misbehave NAME=`, or `otherwise`.
uint64_t options_number(const struct options *options, enum misbehaviour which, uint64_t otherwise);

const char *misbehaviour_name(enum misbehaviour which);
