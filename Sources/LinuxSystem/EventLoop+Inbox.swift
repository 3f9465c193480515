import CLinux
import Glibc
import Synchronization

extension EventLoop {
  /// Where other threads leave work for the loop's thread. May be kept and used after the loop is gone: work is then
  /// dropped with the inbox.
  package final class Inbox: Sendable {
    let wakeUp: Descriptor
    private let work = Mutex<[@Sendable (EventLoop) -> Void]>([])

    init() throws(SystemError) {
      wakeUp = Descriptor(
        owning: try retrying("make an eventfd") { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) })
    }

    /// Runs `item` on the loop's thread, after all that was posted before it.
    package func post(_ item: @escaping @Sendable (EventLoop) -> Void) {
      let isFirst = work.withLock { work in
        work.append(item)
        return work.count == 1
      }
      guard isFirst else { return }
      var one: UInt64 = 1
      // Cannot fail: the counter is at most 1 here.
      _ = write(wakeUp.raw, &one, MemoryLayout<UInt64>.size)
    }

    /// Work posted meanwhile waits for the next wake-up, so that a thread that posts for ever cannot hold the loop.
    func run(on loop: EventLoop) {
      var count: UInt64 = 0
      _ = read(wakeUp.raw, &count, MemoryLayout<UInt64>.size)
      let items = work.withLock { work in
        let items = work
        work = []
        return items
      }
      for item in items { item(loop) }
    }
  }
}

/// The other end of ``EventLoop/reply(_:)``: takes one value from any thread to the loop's.
package struct Reply<Value: Sendable>: Sendable {
  fileprivate let key: UInt64
  fileprivate let inbox: EventLoop.Inbox

  init(key: UInt64, inbox: EventLoop.Inbox) {
    self.key = key
    self.inbox = inbox
  }

  /// Delivers `value`; later ones are dropped.
  package func send(_ value: Value) {
    let key = key
    inbox.post { loop in loop.deliver(value, to: key) }
  }

  /// There will be no value: the loop forgets the handler.
  package func abandon() {
    let key = key
    inbox.post { loop in loop.abandonReply(key) }
  }
}
