import CLinux
import Glibc

/// A thread for one piece of work that may block: a disk, a name service, another daemon. The loop's thread never does.
package enum HelperThread {
  private final class Work: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Runs `body`, which comes to an end by itself, on a new thread; where none can be had, here and now: late is better
  /// than never. The thread has the caller's signal mask, so signals the loop takes by signalfd stay with the loop.
  /// `stack` as of ``start(_:stack:_:)``.
  package static func run(stack: Int? = nil, _ body: @escaping @Sendable () -> Void) {
    if create(stack, body) != 0 { body() }
  }

  /// Runs `body`, which may last for ever, on a new thread that takes no signals: they stay with whoever takes them by
  /// signalfd. `stack` in bytes; nil is the host's default, all of which counts where what is mapped is counted.
  /// - Throws: when there is no thread to be had; `body` is not called then.
  package static func start(
    _ name: String, stack: Int? = nil, _ body: @escaping @Sendable () -> Void
  ) throws(SystemError) {
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    let failure = create(stack, body)
    if failure != 0 { throw SystemError("start the thread of", name, errno: failure) }
  }

  /// 0, or an errno.
  private static func create(_ stack: Int?, _ body: @escaping @Sendable () -> Void) -> Int32 {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    if let stack { pthread_attr_setstacksize(&attributes, stack) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    let work = Unmanaged.passRetained(Work(body))
    var thread = pthread_t()
    let failure = pthread_create(
      &thread, &attributes,
      { raw in
        if let raw { Unmanaged<Work>.fromOpaque(raw).takeRetainedValue().body() }
        return nil
      }, work.toOpaque())
    if failure != 0 { work.release() }
    return failure
  }
}
