#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// The child shares the parent's memory until execve (CLONE_VM|CLONE_VFORK: no copy of page tables, and errors come back
// as plain stores), so it runs on a stack of its own and calls the kernel directly: glibc's set*id wrappers would signal
// the parent's threads, and its other wrappers may take locks the parent holds.
// ThreadSanitizer cannot follow two processes in one memory, so there the child is a copy; CLONE_VFORK and the shared
// page for the outcome stay.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILD_IS_A_COPY 1
#endif
#endif
#ifndef CHILD_IS_A_COPY
#define CHILD_IS_A_COPY 0
#endif

// Instrumented code in the child would write into the parent's sanitizer state.
#define IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined"))) __attribute__((no_stack_protector))

// struct clone_args of Linux 5.7, spelled out: the headers of a build host may be older or newer.
struct clone3_arguments {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

// struct sigaction as the kernel has it; all zero is SIG_DFL.
struct kernel_sigaction {
  void *handler;
  unsigned long flags;
  void *restorer;
  uint64_t mask;
};

struct outcome {
  enum cl_spawn_stage stage;
  int number, index;
};

struct child {
  const struct cl_spawn *request;
  struct outcome *outcome;
  pid_t parent;
};

// A system call without errno, which belongs to the parent's thread: a negative result is -errno.
#if defined(__x86_64__)
IN_CHILD static inline long kernel(long number, long a, long b, long c, long d, long e) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}

IN_CHILD static long clone3_call(struct clone3_arguments *arguments, void (*body)(struct child *), struct child *child) {
  long result;
  register void (*r8)(struct child *) __asm__("r8") = body;
  register struct child *r9 __asm__("r9") = child;
  __asm__ volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r9, %%rdi\n\t"
      "call *%%r8\n\t"
      "ud2\n\t"
      "1:"
      : "=a"(result)
      : "0"((long)SYS_clone3), "D"(arguments), "S"(sizeof *arguments), "r"(r8), "r"(r9)
      : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
IN_CHILD static inline long kernel(long number, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}

IN_CHILD static long clone3_call(struct clone3_arguments *arguments, void (*body)(struct child *), struct child *child) {
  register long x8 __asm__("x8") = SYS_clone3;
  register long x0 __asm__("x0") = (long)arguments;
  register long x1 __asm__("x1") = (long)sizeof *arguments;
  register void (*x9)(struct child *) __asm__("x9") = body;
  register struct child *x10 __asm__("x10") = child;
  __asm__ volatile(
      "svc 0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x0, x10\n\t"
      "blr x9\n\t"
      "brk #1\n\t"
      "1:"
      : "+r"(x0)
      : "r"(x8), "r"(x1), "r"(x9), "r"(x10)
      : "memory");
  return x0;
}
#else
#error "cl_spawn is written for x86_64 and aarch64"
#endif

IN_CHILD static void give_up(struct child *child, enum cl_spawn_stage stage, long result, int index) {
  child->outcome->number = (int)-result;
  child->outcome->index = index;
  child->outcome->stage = stage;
  for (;;) kernel(SYS_exit_group, 127, 0, 0, 0, 0);
}

// Sources may lie where targets will be, so all of them first move above the targets, then down to their places; dup3
// leaves close-on-exec off.
IN_CHILD static void place_descriptors(struct child *child) {
  const struct cl_spawn *request = child->request;
  int count = (int)request->descriptor_count;
  int moved[count > 0 ? count : 1];
  for (int i = 0; i < count; i++) {
    long result = kernel(SYS_fcntl, request->descriptors[i], F_DUPFD_CLOEXEC, count, 0, 0);
    if (result < 0) give_up(child, CL_SPAWN_DESCRIPTORS, result, i);
    moved[i] = (int)result;
  }
  for (int i = 0; i < count; i++) {
    long result = kernel(SYS_dup3, moved[i], i, 0, 0, 0);
    if (result < 0) give_up(child, CL_SPAWN_DESCRIPTORS, result, i);
  }
  long result = kernel(SYS_close_range, count, ~0U, 0, 0, 0);
  if (result < 0) give_up(child, CL_SPAWN_DESCRIPTORS, result, count);
}

IN_CHILD static void take_identity(struct child *child) {
  const struct cl_spawn *request = child->request;
  long result = kernel(SYS_setgroups, (long)request->group_count, (long)request->groups, 0, 0, 0);
  if (result < 0) give_up(child, CL_SPAWN_GROUPS, result, 0);
  result = kernel(SYS_setresgid, request->group, request->group, request->group, 0, 0);
  if (result < 0) give_up(child, CL_SPAWN_GROUPS, result, 1);
  result = kernel(SYS_setresuid, request->user, request->user, request->user, 0, 0);
  if (result < 0) give_up(child, CL_SPAWN_USER, result, 0);
}

IN_CHILD static void write_pid(const struct cl_spawn *request) {
  long pid = kernel(SYS_getpid, 0, 0, 0, 0, 0);
  for (size_t slot = 0; slot < request->pid_slot_count; slot++) {
    char digits[CL_PID_DIGITS];
    int count = 0;
    for (long left = pid; left > 0 && count < CL_PID_DIGITS; left /= 10) digits[count++] = (char)('0' + left % 10);
    for (int i = 0; i < count; i++) request->pid_slots[slot][i] = digits[count - 1 - i];
    request->pid_slots[slot][count] = 0;
  }
}

// CLONE_CLEAR_SIGHAND leaves ignored signals ignored, and the parent ignores SIGPIPE. glibc would refuse 32 and 33.
IN_CHILD static void default_signals(void) {
  struct kernel_sigaction by_default = {0};
  for (int number = 1; number <= 64; number++) {
    if (number == SIGKILL || number == SIGSTOP) continue;
    kernel(SYS_rt_sigaction, number, (long)&by_default, 0, sizeof by_default.mask, 0);
  }
}

IN_CHILD static void child_main(struct child *child) {
  const struct cl_spawn *request = child->request;
  long result = 0;
  default_signals();
  if (request->session == CL_SPAWN_NEW_SESSION) result = kernel(SYS_setsid, 0, 0, 0, 0, 0);
  if (request->session == CL_SPAWN_NEW_GROUP) result = kernel(SYS_setpgid, 0, 0, 0, 0, 0);
  if (result < 0) give_up(child, CL_SPAWN_SESSION, result, 0);
  place_descriptors(child);
  kernel(SYS_umask, request->umask, 0, 0, 0, 0);
  for (size_t i = 0; i < request->limit_count; i++) {
    uint64_t limit[2] = {request->limits[i].soft, request->limits[i].hard};
    result = kernel(SYS_prlimit64, 0, request->limits[i].resource, (long)limit, 0, 0);
    if (result < 0) give_up(child, CL_SPAWN_LIMITS, result, (int)i);
  }
  if (request->set_identity) take_identity(child);
  // As the user it will be: a directory only root may enter must fail here, not surprise later.
  if (request->directory) {
    result = kernel(SYS_chdir, (long)request->directory, 0, 0, 0, 0);
    if (result < 0) give_up(child, CL_SPAWN_DIRECTORY, result, 0);
  }
  if (request->yields) {
    // What is refused here is no reason not to start it. IOPRIO_WHO_PROCESS; class best-effort, level 7.
    kernel(SYS_setpriority, PRIO_PROCESS, 0, 10, 0, 0);
    kernel(SYS_ioprio_set, 1, 0, 2 << 13 | 7, 0, 0);
  }
  if (request->no_new_privileges) {
    result = kernel(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (result < 0) give_up(child, CL_SPAWN_PRIVILEGES, result, 0);
  }
  // After the identity, which clears it. A parent that is gone already can be told from outside alone: pid 1 or a subreaper
  // has it then.
  if (request->ends_with_parent) {
    kernel(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (kernel(SYS_getppid, 0, 0, 0, 0, 0) != child->parent) kernel(SYS_exit_group, 127, 0, 0, 0, 0);
  }
  write_pid(request);
  uint64_t none = 0;
  kernel(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof none, 0);
  result = kernel(SYS_execve, (long)request->program, (long)request->arguments, (long)request->environment, 0, 0);
  give_up(child, CL_SPAWN_EXEC, result, 0);
}

enum { STACK_SIZE = 64 * 1024, OUTCOME_SIZE = 4096 };

pid_t cl_spawn(struct cl_spawn *request) {
  request->failed_stage = CL_SPAWN_CLONE;
  request->failed_index = 0;
  request->pidfd = -1;
  char *memory =
      mmap(NULL, OUTCOME_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    request->failed_errno = errno;
    return -1;
  }
  struct outcome *outcome = (struct outcome *)memory;
  struct child child = {.request = request, .outcome = outcome, .parent = getpid()};
  int pidfd = -1;
  struct clone3_arguments arguments = {
      .flags = CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
      .pidfd = (uint64_t)(uintptr_t)&pidfd,
      .exit_signal = SIGCHLD,
  };
  if (request->cgroup >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = (uint64_t)request->cgroup;
  }

  // No handler of the parent may run in the child, and the child's empty mask must not be the parent's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  long result;
  if (CHILD_IS_A_COPY) {
    result = kernel(SYS_clone3, (long)&arguments, sizeof arguments, 0, 0, 0);
    if (result == 0) child_main(&child);
  } else {
    arguments.flags |= CLONE_VM;
    arguments.stack = (uint64_t)(uintptr_t)(memory + OUTCOME_SIZE);
    arguments.stack_size = STACK_SIZE;
    result = clone3_call(&arguments, child_main, &child);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);

  if (result < 0) {
    request->failed_errno = (int)-result;
  } else if (outcome->stage != CL_SPAWN_OK) {
    // It has said why and is a zombie: nobody else has heard of it.
    while (waitpid((pid_t)result, NULL, 0) < 0 && errno == EINTR) {}
    close(pidfd);
    request->failed_stage = outcome->stage;
    request->failed_errno = outcome->number;
    request->failed_index = outcome->index;
    result = -1;
  } else {
    request->failed_stage = CL_SPAWN_OK;
    request->failed_errno = 0;
    request->pidfd = pidfd;
  }
  munmap(memory, OUTCOME_SIZE + STACK_SIZE);
  return result < 0 ? -1 : (pid_t)result;
}
