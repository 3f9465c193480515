#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "say.h"
#include "stamps.h"

static int epoll = -1;
static bool stopped;
static struct timer **heap;
static int heap_count, heap_capacity;

void loop_open(void) {
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) fail(1, "epoll: %s", strerror(errno));
}

static void control(int operation, struct watch *watch, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = watch};
  if (epoll_ctl(epoll, operation, watch->fd, &event) != 0) say("epoll_ctl fd %d: %s", watch->fd, strerror(errno));
}

void loop_add(struct watch *watch, uint32_t events) { control(EPOLL_CTL_ADD, watch, events); }
void loop_change(struct watch *watch, uint32_t events) { control(EPOLL_CTL_MOD, watch, events); }
void loop_remove(struct watch *watch) { control(EPOLL_CTL_DEL, watch, 0); }

static void put(int place, struct timer *timer) {
  heap[place] = timer;
  timer->place = place;
}

static void sift(struct timer *timer, int place) {
  while (place > 0 && heap[(place - 1) / 2]->at > timer->at) {
    put(place, heap[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  for (int child; (child = 2 * place + 1) < heap_count; place = child) {
    if (child + 1 < heap_count && heap[child + 1]->at < heap[child]->at) child++;
    if (heap[child]->at >= timer->at) break;
    put(place, heap[child]);
  }
  put(place, timer);
}

void timer_cancel(struct timer *timer) {
  if (timer->due == NULL || timer->place < 0) return;
  struct timer *last = heap[--heap_count];
  if (last != timer) sift(last, timer->place);
  timer->place = -1;
}

void timer_set(struct timer *timer, uint64_t nanoseconds, void (*due)(void *), void *context) {
  timer_cancel(timer);
  *timer = (struct timer){.at = clock_ns() + nanoseconds, .due = due, .context = context};
  if (heap_count == heap_capacity) {
    heap_capacity = heap_capacity == 0 ? 64 : heap_capacity * 2;
    heap = realloc(heap, sizeof *heap * (size_t)heap_capacity);
    if (heap == NULL) fail(1, "no memory for %d timers", heap_capacity);
  }
  heap_count++;
  sift(timer, heap_count - 1);
}

static int next_timeout_ms(void) {
  if (heap_count == 0) return -1;
  uint64_t now = clock_ns();
  if (heap[0]->at <= now) return 0;
  return (int)((heap[0]->at - now + 999999) / 1000000);
}

static void run_due_timers(void) {
  uint64_t now = clock_ns();
  while (!stopped && heap_count > 0 && heap[0]->at <= now) {
    struct timer *timer = heap[0];
    timer_cancel(timer);
    timer->due(timer->context);
  }
}

void loop_run(void) {
  struct epoll_event events[128];
  while (!stopped) {
    int count = epoll_wait(epoll, events, 128, next_timeout_ms());
    if (count < 0 && errno != EINTR) fail(1, "epoll_wait: %s", strerror(errno));
    for (int index = 0; index < count && !stopped; index++) {
      struct watch *watch = events[index].data.ptr;
      watch->ready(watch, events[index].events);
    }
    run_due_timers();
  }
}

void loop_stop(void) { stopped = true; }
