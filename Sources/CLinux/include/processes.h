// Calls on processes that glibc 2.36 has no wrapper for, or declares only under _GNU_SOURCE.
#pragma once

#include <sys/types.h>

/// pidfd_send_signal(2) without siginfo.
int cl_signal_process(int pidfd, int signal);
/// PR_SET_CHILD_SUBREAPER in prctl(2): orphans of our children become our children.
int cl_become_subreaper(void);
/// close_range(2) from `first` on: what nobody named does not stay open.
int cl_close_from(unsigned first);
/// getxattr(2) of one byte; 0 when there is none.
char cl_attribute(const char *path, const char *name);
/// pidfd_open(2), close-on-exec.
int cl_open_process(pid_t pid);
/// environ(7): this process's own, as it is now.
char **cl_environment(void);
