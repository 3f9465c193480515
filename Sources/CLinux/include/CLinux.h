// What Swift cannot say of Linux: headers the Glibc module leaves out, calls with variable arguments or macros, and the
// few lines that run in a child before execve. Everything else is Swift.
//
// Never define _GNU_SOURCE here, only in the .c files: Swift would see other declarations of the same C structs than its
// Glibc module has, and debug builds fail. What needs it is wrapped in a function.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/types.h>

#include "files.h"
#include "processes.h"
#include "sockets.h"

// --- errors.c: strerror(3)

/// "EADDRINUSE"; NULL when there is no such number. Static storage.
const char *cl_error_name(int number);
/// "Address already in use", untranslated; NULL when there is no such number. Static storage.
const char *cl_error_text(int number);
/// "TERM"; NULL when there is no such signal. Static storage.
const char *cl_signal_name(int number);

// --- calls.c: calls glibc declares only under _GNU_SOURCE

/// pipe2(2) with O_CLOEXEC.
int cl_pipe(int ends[2]);
/// fallocate(2): room on the disk for the first `size` bytes, the file's length unchanged.
int cl_reserve(int fd, int64_t size);

/// M_ARENA_MAX of mallopt(3): threads share so many heaps from now on.
void cl_share_heaps(int most);
/// malloc_trim(3): whole pages that nothing lies in go back to the host.
void cl_give_heap_back(void);

/// memfd_create(2), close-on-exec.
int cl_memory_file(const char *name);
/// As cl_memory_file(), one that can be sealed.
int cl_sealable_memory_file(const char *name);
/// F_ADD_SEALS of fcntl(2): from now on nobody can change the file, and no seal can be taken off.
int cl_seal(int fd);
/// Whether it is sealed as cl_seal() does.
bool cl_is_sealed(int fd);

// --- spawn.c

enum cl_spawn_stage {
  CL_SPAWN_OK = 0,
  CL_SPAWN_CLONE,
  CL_SPAWN_SESSION,
  CL_SPAWN_DESCRIPTORS,
  CL_SPAWN_LIMITS,
  CL_SPAWN_GROUPS,
  CL_SPAWN_USER,
  CL_SPAWN_DIRECTORY,
  CL_SPAWN_PRIVILEGES,
  CL_SPAWN_EXEC,
};

enum cl_spawn_session {
  CL_SPAWN_SAME_GROUP = 0,
  CL_SPAWN_NEW_GROUP,
  CL_SPAWN_NEW_SESSION,
};

struct cl_limit {
  int resource;
  uint64_t soft, hard;
};

/// How one child is made. All memory belongs to the caller and is only read, but for the places `pid_slots` point to.
struct cl_spawn {
  const char *program;
  char *const *arguments;
  char *const *environment;
  /// Places inside `environment` where the child writes its own pid as CL_PID_DIGITS digits and a NUL.
  char *const *pid_slots;
  size_t pid_slot_count;
  /// NULL: the caller's.
  const char *directory;
  /// The child's descriptors 0, 1, 2, … ; every other one is closed.
  const int *descriptors;
  size_t descriptor_count;
  enum cl_spawn_session session;
  mode_t umask;
  const struct cl_limit *limits;
  size_t limit_count;
  bool set_identity;
  uid_t user;
  gid_t group;
  const gid_t *groups;
  size_t group_count;
  bool no_new_privileges;
  /// Nice 10 and the lowest level of ioprio_set(2)'s best effort.
  bool yields;
  /// SIGKILL to it when the thread that made it ends. Not for what it starts itself. Source: prctl(2).
  bool ends_with_parent;
  /// A directory of cgroup v2 the child is born in, or -1.
  int cgroup;
  /// Results: where it failed, with which errno; for CL_SPAWN_LIMITS and CL_SPAWN_DESCRIPTORS also on which one.
  enum cl_spawn_stage failed_stage;
  int failed_errno;
  int failed_index;
  int pidfd;
};

enum { CL_PID_DIGITS = 10 };

/// Makes a child and returns its pid after its execve succeeded, or -1 with `failed_stage` and `failed_errno` set and no
/// child left. `pidfd` is close-on-exec and the caller's. Source: clone(2), execve(2).
pid_t cl_spawn(struct cl_spawn *request);
