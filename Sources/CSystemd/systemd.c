#define _GNU_SOURCE
#include "CSystemd.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>

static const struct csd_bus *load(const char **reason) {
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

// Helper threads ask as well.
const struct csd_bus *csd_load_bus(const char **reason) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  const struct csd_bus *found = load(reason);
  pthread_mutex_unlock(&lock);
  return found;
}

int csd_sealable_memory(const char *name) { return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING); }
