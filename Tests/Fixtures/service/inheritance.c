#include "inheritance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"
#include "stamps.h"

extern char **environ;

static void json_string(FILE *file, const char *text) {
  fputc('"', file);
  for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
    if (*at == '"' || *at == '\\') fprintf(file, "\\%c", *at);
    else if (*at < 0x20 || *at >= 0x7f) fprintf(file, "\\u%04x", *at);
    else fputc(*at, file);
  }
  fputc('"', file);
}

static void json_member(FILE *file, const char *name, const char *text) {
  fprintf(file, "  \"%s\": ", name);
  if (text != NULL) json_string(file, text);
  else fputs("null", file);
  fputs(",\n", file);
}

// Calls `found` for each open descriptor but the one used for looking.
static void each_descriptor(void (*found)(int fd, void *context), void *context) {
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL) fail(1, "/proc/self/fd: %s", strerror(errno));
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    int fd = atoi(entry->d_name);
    if (fd != dirfd(directory)) found(fd, context);
  }
  closedir(directory);
}

struct report {
  FILE *file;
  bool first;
  int own;  // the report's own descriptor
};

static void report_descriptor(int fd, void *context) {
  struct report *report = context;
  if (fd == report->own) return;
  char link[64], target[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, target, sizeof target - 1);
  target[length < 0 ? 0 : length] = '\0';
  fprintf(report->file, "%s\n    \"%d\": ", report->first ? "" : ",", fd);
  json_string(report->file, target);
  report->first = false;
}

static void report_descriptors(FILE *file) {
  fputs("  \"descriptors\": {", file);
  struct report report = {file, true, fileno(file)};
  each_descriptor(report_descriptor, &report);
  fputs("},\n", file);
}

static void report_environment(FILE *file) {
  fputs("  \"environment\": {", file);
  bool first = true;
  for (char **entry = environ; *entry != NULL; entry++) {
    char *equals = strchr(*entry, '='), name[256];
    if (equals == NULL) continue;
    snprintf(name, sizeof name, "%.*s", (int)(equals - *entry), *entry);
    fputs(first ? "\n    " : ",\n    ", file);
    json_string(file, name);
    fputs(": ", file);
    json_string(file, equals + 1);
    first = false;
  }
  fputs("},\n", file);
}

// The lines of /proc/self/status that say who we are and what signals do.
static void report_status(FILE *file) {
  static const char *const wanted[] = {"Uid",    "Gid",    "Groups", "SigPnd",     "SigBlk", "SigIgn",
                                       "SigCgt", "CapEff", "CapBnd", "NoNewPrivs", "Umask"};
  FILE *status = fopen("/proc/self/status", "re");
  char line[4096];
  fputs("  \"status\": {", file);
  bool first = true;
  while (status != NULL && fgets(line, sizeof line, status) != NULL) {
    char *colon = strchr(line, ':');
    if (colon == NULL) continue;
    *colon = '\0';
    for (size_t index = 0; index < sizeof wanted / sizeof wanted[0]; index++) {
      if (strcmp(line, wanted[index]) != 0) continue;
      char *value = colon + 1 + strspn(colon + 1, " \t");
      value[strcspn(value, "\n")] = '\0';
      fprintf(file, "%s\n    \"%s\": ", first ? "" : ",", line);
      json_string(file, value);
      first = false;
    }
  }
  if (status != NULL) fclose(status);
  fputs("},\n", file);
}

static void report_limit(FILE *file, rlim_t value) {
  if (value == RLIM_INFINITY) fputs("null", file);
  else fprintf(file, "%" PRIu64, (uint64_t)value);
}

static void report_limits(FILE *file) {
  static const struct {
    const char *name;
    __rlimit_resource_t resource;
  } limits[] = {{"as", RLIMIT_AS},           {"core", RLIMIT_CORE},     {"cpu", RLIMIT_CPU},
                {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},   {"memlock", RLIMIT_MEMLOCK},
                {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},   {"nofile", RLIMIT_NOFILE},
                {"nproc", RLIMIT_NPROC},     {"rss", RLIMIT_RSS},       {"rtprio", RLIMIT_RTPRIO},
                {"rttime", RLIMIT_RTTIME},   {"sigpending", RLIMIT_SIGPENDING}, {"stack", RLIMIT_STACK}};
  fputs("  \"limits\": {", file);
  for (size_t index = 0; index < sizeof limits / sizeof limits[0]; index++) {
    struct rlimit limit;
    if (getrlimit(limits[index].resource, &limit) != 0) continue;
    fprintf(file, "%s\n    \"%s\": [", index == 0 ? "" : ",", limits[index].name);
    report_limit(file, limit.rlim_cur);
    fputs(", ", file);
    report_limit(file, limit.rlim_max);
    fputc(']', file);
  }
  fputs("},\n", file);
}

static void report_arguments(FILE *file, int argc, char **argv) {
  fputs("  \"arguments\": [", file);
  for (int index = 0; index < argc; index++) {
    fputs(index == 0 ? "" : ", ", file);
    json_string(file, argv[index]);
  }
  fputs("],\n", file);
}

void inheritance_report(const char *path, int argc, char **argv) {
  char target[PATH_MAX], temporary[PATH_MAX], directory[PATH_MAX], cgroup[PATH_MAX] = "";
  bool in_directory = path[strlen(path) - 1] == '/';
  int length = in_directory ? snprintf(target, sizeof target, "%s%d.json", path, getpid())
                            : snprintf(target, sizeof target, "%s", path);
  int temporary_length = snprintf(temporary, sizeof temporary, "%.*s.%d.new", (int)sizeof temporary - 32, target,
                                  getpid());
  if (length >= (int)sizeof target || temporary_length >= (int)sizeof temporary) fail(EXIT_USAGE, "path too long");
  FILE *file = fopen(temporary, "we");
  if (file == NULL) fail(1, "%s: %s", temporary, strerror(errno));
  FILE *groups = fopen("/proc/self/cgroup", "re");
  if (groups != NULL) {
    if (fgets(cgroup, sizeof cgroup, groups) != NULL) cgroup[strcspn(cgroup, "\n")] = '\0';
    fclose(groups);
  }
  mode_t mask = umask(0);
  umask(mask);
  fputs("{\n", file);
  report_arguments(file, argc, argv);
  report_descriptors(file);
  report_environment(file);
  report_status(file);
  report_limits(file);
  json_member(file, "directory", getcwd(directory, sizeof directory));
  json_member(file, "cgroup", cgroup);
  json_member(file, "LISTEN_FDS", getenv("LISTEN_FDS"));
  json_member(file, "LISTEN_FDNAMES", getenv("LISTEN_FDNAMES"));
  json_member(file, "LISTEN_PID", getenv("LISTEN_PID"));
  fprintf(file, "  \"uid\": %d, \"gid\": %d, \"umask\": %d, \"nice\": %d,\n", getuid(), getgid(), (int)mask,
          getpriority(PRIO_PROCESS, 0));
  fprintf(file, "  \"pid\": %d, \"ppid\": %d, \"pgid\": %d, \"sid\": %d, \"monotonic_ns\": %" PRIu64 "\n}\n", getpid(),
          getppid(), getpgrp(), getsid(0), clock_ns());
  if (fclose(file) != 0 || rename(temporary, target) != 0) fail(1, "%s: %s", target, strerror(errno));
}

static void check_descriptor(int fd, void *context) {
  int *wrong = context;
  const char *count = getenv("LISTEN_FDS");
  int last = 2 + (count != NULL ? atoi(count) : 0);
  if (fd <= last) return;
  say("strict: fd %d was left open to us", fd);
  (*wrong)++;
}

void inheritance_check(void) {
  int wrong = 0;
  each_descriptor(check_descriptor, &wrong);
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, NULL, &blocked);
  for (int number = 1; number <= SIGRTMAX; number++) {
    struct sigaction action;
    if (sigismember(&blocked, number) == 1) {
      say("strict: signal %d is blocked", number);
      wrong++;
    }
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
      say("strict: signal %d is ignored", number);
      wrong++;
    }
  }
  if (wrong > 0) fail(EXIT_INHERITED_WRONG, "strict: %d things are wrong", wrong);
}
