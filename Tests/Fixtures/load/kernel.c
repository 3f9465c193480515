#include "kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Both files are pairs of lines: names, then values in the same order, each starting with the group.
static uint64_t counter(const char *path, const char *group, const char *name) {
  FILE *file = fopen(path, "re");
  char names[8192], values[8192];
  uint64_t result = 0;
  while (file != NULL && fgets(names, sizeof names, file) != NULL && fgets(values, sizeof values, file) != NULL) {
    size_t length = strlen(group);
    if (strncmp(names, group, length) != 0 || names[length] != ':') continue;
    char *name_rest, *value_rest, *value = strtok_r(values, " \n", &value_rest);
    for (char *each = strtok_r(names, " \n", &name_rest); each != NULL && value != NULL;
         each = strtok_r(NULL, " \n", &name_rest), value = strtok_r(NULL, " \n", &value_rest))
      if (strcmp(each, name) == 0) result = strtoull(value, NULL, 10);
  }
  if (file != NULL) fclose(file);
  return result;
}

struct kernel_counters kernel_counters_read(void) {
  return (struct kernel_counters){
      .listen_overflows = counter("/proc/net/netstat", "TcpExt", "ListenOverflows"),
      .listen_drops = counter("/proc/net/netstat", "TcpExt", "ListenDrops"),
      .resets_sent = counter("/proc/net/snmp", "Tcp", "OutRsts"),
      .resets_established = counter("/proc/net/snmp", "Tcp", "EstabResets"),
      .attempts_failed = counter("/proc/net/snmp", "Tcp", "AttemptFails"),
  };
}

struct kernel_counters kernel_counters_since(struct kernel_counters before) {
  struct kernel_counters now = kernel_counters_read();
  return (struct kernel_counters){
      .listen_overflows = now.listen_overflows - before.listen_overflows,
      .listen_drops = now.listen_drops - before.listen_drops,
      .resets_sent = now.resets_sent - before.resets_sent,
      .resets_established = now.resets_established - before.resets_established,
      .attempts_failed = now.attempts_failed - before.attempts_failed,
  };
}
