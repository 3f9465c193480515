// What the kernel counted meanwhile: of the whole network namespace, not of this program alone.
#pragma once

#include <stdint.h>

struct kernel_counters {
  uint64_t listen_overflows, listen_drops;               // /proc/net/netstat, TcpExt
  uint64_t resets_sent, resets_established, attempts_failed;  // /proc/net/snmp, Tcp: OutRsts, EstabResets, AttemptFails
};

struct kernel_counters kernel_counters_read(void);
struct kernel_counters kernel_counters_since(struct kernel_counters before);
