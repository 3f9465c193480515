#define _GNU_SOURCE
#include "CPostgres.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>

static const struct cpg_library *load(const char **reason) {
  static struct cpg_library functions;
  static bool loaded = false;
  if (loaded) return &functions;
  void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    *reason = dlerror();
    return NULL;
  }
#define CPG_FIND(name) \
  if (!(functions.name = (__typeof__(&name))dlsym(library, #name))) { \
    *reason = dlerror(); \
    return NULL; \
  }
  CPG_FUNCTIONS(CPG_FIND)
#undef CPG_FIND
  loaded = true;
  return &functions;
}

// Helper threads ask as well.
const struct cpg_library *cpg_load(const char **reason) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  const struct cpg_library *found = load(reason);
  pthread_mutex_unlock(&lock);
  return found;
}
