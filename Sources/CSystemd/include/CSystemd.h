// libsystemd's D-Bus client, opened when it is first needed: linking it costs every process 1 MB of resident memory,
// also those that never talk to the bus.
#pragma once

#include <systemd/sd-bus.h>

/// The functions of sd-bus(3) this project calls, with the types of libsystemd's own header.
#define CSD_BUS_FUNCTIONS(F) \
  F(sd_bus_open_system) \
  F(sd_bus_new) \
  F(sd_bus_set_address) \
  F(sd_bus_start) \
  F(sd_bus_is_bus_client) \
  F(sd_bus_flush_close_unref) \
  F(sd_bus_message_new_method_call) \
  F(sd_bus_message_append_basic) \
  F(sd_bus_message_enter_container) \
  F(sd_bus_message_exit_container) \
  F(sd_bus_message_read_basic) \
  F(sd_bus_message_read_strv) \
  F(sd_bus_message_at_end) \
  F(sd_bus_message_skip) \
  F(sd_bus_message_unref) \
  F(sd_bus_message_get_error) \
  F(sd_bus_call) \
  F(sd_bus_call_async) \
  F(sd_bus_error_free) \
  F(sd_bus_match_signal) \
  F(sd_bus_slot_unref) \
  F(sd_bus_process) \
  F(sd_bus_wait) \
  F(sd_bus_path_encode)

struct csd_bus {
#define CSD_FIELD(name) __typeof__(&name) name;
  CSD_BUS_FUNCTIONS(CSD_FIELD)
#undef CSD_FIELD
};

/// Opens libsystemd.so.0 and finds every function. NULL when that fails, with the reason in `reason` (static or owned by
/// dlerror(3): copy it). Threads must not call it at the same time for the first time.
const struct csd_bus *csd_load_bus(const char **reason);

/// memfd_create(2), close-on-exec, with sealing allowed.
int csd_sealable_memory(const char *name);
