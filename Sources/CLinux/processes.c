#define _GNU_SOURCE
#include "CLinux.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

int cl_signal_process(int pidfd, int signal) { return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0); }

int cl_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

int cl_close_from(unsigned first) { return (int)syscall(SYS_close_range, first, ~0U, 0); }

char cl_attribute(const char *path, const char *name) {
  char value = 0;
  return getxattr(path, name, &value, 1) == 1 ? value : 0;
}

int cl_open_process(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

char **cl_environment(void) { return environ; }
