// Loaded before libc (LD_PRELOAD): the clocks that count since the host was started are ahead by the seconds that the file
// named by UPTIME_AHEAD holds at the moment, CLOCK_BOOTTIME by the first number and CLOCK_MONOTONIC by the second. After
// a suspend it is the first alone. Deadlines of timers mean the same clock; one that is armed already stays where it is,
// where the kernel's would be due. Nobody else's clock is touched.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static long ahead(clockid_t clock) {
  const char *path = getenv("UPTIME_AHEAD");
  if (path == NULL || (clock != CLOCK_BOOTTIME && clock != CLOCK_MONOTONIC)) return 0;
  char text[64] = "";
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t count = read(fd, text, sizeof text - 1);
  close(fd);
  if (count <= 0) return 0;
  char *rest;
  long boot = strtol(text, &rest, 10);
  return clock == CLOCK_BOOTTIME ? boot : strtol(rest, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int status = (int)syscall(SYS_clock_gettime, clock, now);
  if (status == 0) now->tv_sec += ahead(clock);
  return status;
}

static clockid_t clocks[1024];

int timerfd_create(clockid_t clock, int flags) {
  int fd = (int)syscall(SYS_timerfd_create, clock, flags);
  if (fd >= 0 && fd < 1024) clocks[fd] = clock;
  return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old) {
  struct itimerspec real = *new;
  if ((flags & TFD_TIMER_ABSTIME) != 0 && fd >= 0 && fd < 1024 && (real.it_value.tv_sec != 0 || real.it_value.tv_nsec != 0)) {
    real.it_value.tv_sec -= ahead(clocks[fd]);
    if (real.it_value.tv_sec < 0) real.it_value = (struct timespec){.tv_nsec = 1};
  }
  return (int)syscall(SYS_timerfd_settime, fd, flags, &real, old);
}
