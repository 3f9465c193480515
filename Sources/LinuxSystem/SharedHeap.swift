import CLinux

/// Each thread has a heap of its own in glibc, which keeps what it was once given: of use where threads allocate all the
/// time, and nothing but memory where they wait.
package enum SharedHeap {
  /// All threads share two from now on: with one, the loop waits for the ledger's thread where hundreds of workers end at
  /// once. Before any is started. Source: mallopt(3) M_ARENA_MAX.
  package static func use() { cl_share_heaps(2) }

  /// What the heap keeps for a next burst goes back to the host. Source: malloc_trim(3).
  package static func giveBack() { cl_give_heap_back() }
}
