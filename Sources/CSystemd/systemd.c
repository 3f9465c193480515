#define _GNU_SOURCE
#include "CSystemd.h"
#include <dlfcn.h>
#include <stdbool.h>
#include <sys/mman.h>

const struct csd_bus *csd_load_bus(const char **reason) {
  static struct csd_bus bus;
  static bool loaded = false;
  if (loaded) return &bus;
  void *library = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    *reason = dlerror();
    return NULL;
  }
#define CSD_FIND(name) \
  if (!(bus.name = (__typeof__(&name))dlsym(library, #name))) { \
    *reason = dlerror(); \
    return NULL; \
  }
  CSD_BUS_FUNCTIONS(CSD_FIND)
#undef CSD_FIND
  loaded = true;
  return &bus;
}

int csd_sealable_memory(const char *name) { return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING); }
