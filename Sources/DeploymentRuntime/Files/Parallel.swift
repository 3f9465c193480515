internal import Glibc
internal import LinuxSystem
internal import Synchronization

/// Several threads for one bulk piece of work, gone when the call returns: the only threads of a deploy.
enum Parallel {
  /// As many as there are processors this process may use, at most eight: beyond, the disk is what one waits for.
  static var processors: Int { min(8, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

  private final class Work: Sendable {
    let next = Atomic(0)
    let count: Int
    let body: @Sendable (Int) -> Void

    init(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
      self.count = count
      self.body = body
    }

    func run() {
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if index >= count { return }
        body(index)
      }
    }
  }

  /// Calls `body` once with each of 0..<count, in any order, on up to `threads` threads; returns when all are done.
  static func each(of count: Int, threads: Int = processors, _ body: @escaping @Sendable (Int) -> Void) {
    let work = Work(count, body)
    var others: [pthread_t] = []
    for _ in 1..<max(1, min(threads, count)) {
      var thread = pthread_t()
      let reference = Unmanaged.passRetained(work)
      let failure = pthread_create(
        &thread, nil,
        { raw in
          if let raw { Unmanaged<Work>.fromOpaque(raw).takeRetainedValue().run() }
          return nil
        }, reference.toOpaque())
      if failure == 0 { others.append(thread) } else { reference.release() }
    }
    // With no other thread to be had it is done here alone.
    work.run()
    for thread in others { pthread_join(thread, nil) }
  }
}
