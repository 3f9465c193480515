#include <malloc.h>
#include <sqlite3.h>

// SQLITE_TRANSIENT is a cast Swift does not import: SQLite copies the bytes before the call returns.
static inline int csqlite_bind_text(sqlite3_stmt *statement, int index, const char *bytes, int length) {
  // A null pointer would be NULL and not the empty text.
  return sqlite3_bind_text(statement, index, bytes ? bytes : "", length, SQLITE_TRANSIENT);
}

// malloc_trim(3): memory the allocator keeps for a next burst goes back to the host.
static inline void csqlite_give_memory_back(void) { malloc_trim(0); }
