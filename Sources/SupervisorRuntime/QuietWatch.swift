import LinuxSystem
import Vocabulary

/// Waits until a listener that clients are steered away from holds nothing any more: its queue is empty, and the
/// handshakes that were half open at the switch are gone. Bounded: what is left after three seconds is only counted.
final class QuietWatch {
  private let loop: EventLoop
  private let descriptor: Descriptor
  private let internet: SocketAddress.InternetAddress?
  private let done: (Int) -> Void
  /// Connections that nobody takes: then waiting for them to be gone is in vain.
  private let waiting: (() -> Int)?
  private var halfOpen: Set<SocketDiagnosis.Peer> = []
  private var timer: TimerToken?
  private let deadline: Instant
  /// Seen quiet in a row: a connection may be between handshake and queue when looked at once.
  private var quietLooks = 0

  private static let limit = Duration.seconds(3)
  private static let interval = Duration.milliseconds(2)

  init(
    loop: EventLoop, descriptor: Descriptor, address: SocketAddress, waiting: (() -> Int)? = nil,
    done: @escaping (Int) -> Void
  ) {
    self.waiting = waiting
    self.loop = loop
    self.descriptor = descriptor
    self.done = done
    deadline = .monotonicNow() + Self.limit
    internet = if case .tcp(let internet) = address { internet } else { nil }
  }

  func start() {
    halfOpen = openHandshakes()
    look()
  }

  func cancel() { loop.cancel(timer) }

  private func openHandshakes() -> Set<SocketDiagnosis.Peer> {
    internet.flatMap { try? SocketDiagnosis.halfOpen(at: $0) } ?? []
  }

  private func look() {
    if !halfOpen.isEmpty { halfOpen.formIntersection(openHandshakes()) }
    if let count = waiting?(), count > 0 { return done(count) }
    let isReadable = waiting == nil && descriptor.isReadable
    quietLooks = isReadable || !halfOpen.isEmpty ? 0 : quietLooks + 1
    if quietLooks >= 2 { return done(0) }
    if Instant.monotonicNow() >= deadline { return done(halfOpen.count + (isReadable ? 1 : 0)) }
    timer = loop.schedule(after: Self.interval) { [weak self] in self?.look() }
  }
}
