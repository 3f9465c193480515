// The event loop: epoll and a heap of timers, one thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// In nanoseconds, as every time of a timer is.
static const uint64_t MILLISECOND = 1000000;

struct watch {
  int fd;
  void (*ready)(struct watch *watch, uint32_t events);
};

struct timer {
  uint64_t at;  // CLOCK_MONOTONIC nanoseconds
  void (*due)(void *context);
  void *context;
  int place;  // in the heap; -1 is not set
};

void loop_open(void);
void loop_add(struct watch *watch, uint32_t events);
void loop_change(struct watch *watch, uint32_t events);
void loop_remove(struct watch *watch);

// Runs `due(context)` once after `nanoseconds`. The timer belongs to the caller and must live until it is due or
// cancelled; setting it again moves it.
void timer_set(struct timer *timer, uint64_t nanoseconds, void (*due)(void *), void *context);
void timer_cancel(struct timer *timer);

// Until loop_stop().
void loop_run(void);
void loop_stop(void);
