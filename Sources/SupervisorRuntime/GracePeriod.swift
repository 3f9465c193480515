import CLinux
import LinuxSystem

/// Tells when every processor has ended what it was at, so that each packet that was on its way to a socket has arrived.
///
/// That takes some hundredths of a second, on a thread of its own: one at a time, for all who asked before it began. Where
/// the kernel does not offer it, nothing is waited for. Source: membarrier(2) MEMBARRIER_CMD_GLOBAL.
final class GracePeriod {
  private let loop: EventLoop
  private var waiting: [() -> Void] = []
  private var isUnderWay = false

  /// In bytes: the thread makes one system call.
  private static let stack = 128 * 1024

  init(_ loop: EventLoop) { self.loop = loop }

  /// Calls `next` later, on the loop's thread, when one that begins after now has ended.
  func wait(_ next: @escaping () -> Void) {
    waiting.append(next)
    if !isUnderWay { begin() }
  }

  private func begin() {
    isUnderWay = !waiting.isEmpty
    guard isUnderWay else { return }
    let served = waiting
    waiting = []
    let reply = loop.reply { [weak self] (_: Bool) in
      for next in served { next() }
      self?.begin()
    }
    HelperThread.run(stack: Self.stack) {
      cl_wait_for_lookups()
      reply.send(true)
    }
  }
}
