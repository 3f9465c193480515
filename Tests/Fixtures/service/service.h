// What the parts of the program share.
#pragma once

#include <stdbool.h>

#include "counts.h"
#include "listeners.h"
#include "options.h"

struct service {
  struct options options;
  struct listeners listeners;
  struct counts *counts;
  const char *worker;      // BATON_WORKER or "-"
  const char *generation;  // BATON_GENERATION or "-"
  bool ready;
  bool draining;
};

extern struct service service;

// Takes the first step towards the end: no more accepting, what is in flight is answered, then exit 0.
void service_drain(void);
