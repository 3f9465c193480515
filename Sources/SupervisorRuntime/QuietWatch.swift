import LinuxSystem
import Vocabulary

/// Waits until a listener that clients are steered away from holds nothing any more: its queue is empty, and the
/// handshakes that were half open at the switch are gone. Bounded: what is left after three seconds is only counted.
///
/// A connection can be in neither list: its first packet looked for a listener before the switch and is not half open yet,
/// or its last one took it out of the half open ones and not yet into the queue. The kernel does both in one go, but a
/// processor can stand still in the middle, under a hypervisor for milliseconds. So before the half open ones are listed, and
/// before an empty queue is believed, every processor has ended what it was at.
final class QuietWatch {
  private let loop: EventLoop
  private let gracePeriod: GracePeriod
  private let descriptor: Descriptor
  private let internet: SocketAddress.InternetAddress?
  private let done: (Int) -> Void
  /// Connections that nobody takes: then waiting for them to be gone is in vain.
  private let waiting: (() -> Int)?
  private var halfOpen: Set<SocketDiagnosis.Peer> = []
  private var timer: TimerToken?
  private let deadline: Instant
  /// It was quiet at the last look, and since then every processor has ended what it was at.
  private var wasQuiet = false
  private var isCancelled = false

  private static let limit = Duration.seconds(3)
  private static let interval = Duration.milliseconds(2)

  init(
    loop: EventLoop, gracePeriod: GracePeriod, descriptor: Descriptor, address: SocketAddress,
    waiting: (() -> Int)? = nil,
    done: @escaping (Int) -> Void
  ) {
    self.waiting = waiting
    self.loop = loop
    self.gracePeriod = gracePeriod
    self.descriptor = descriptor
    self.done = done
    deadline = .monotonicNow() + Self.limit
    internet = if case .tcp(let internet) = address { internet } else { nil }
  }

  func start() {
    afterPackets { watch in
      watch.halfOpen = watch.openHandshakes()
      watch.look()
    }
  }

  func cancel() {
    isCancelled = true
    loop.cancel(timer)
  }

  private func openHandshakes() -> Set<SocketDiagnosis.Peer> {
    internet.flatMap { try? SocketDiagnosis.halfOpen(at: $0) } ?? []
  }

  private func look() {
    if !halfOpen.isEmpty { halfOpen.formIntersection(openHandshakes()) }
    if let count = waiting?(), count > 0 { return done(count) }
    let isReadable = waiting == nil && descriptor.isReadable
    let isQuiet = !isReadable && halfOpen.isEmpty
    if isQuiet, wasQuiet { return done(0) }
    if Instant.monotonicNow() >= deadline { return done(halfOpen.count + (isReadable ? 1 : 0)) }
    wasQuiet = isQuiet
    timer = loop.schedule(after: Self.interval) { [weak self] in
      if isQuiet { self?.afterPackets { $0.look() } } else { self?.look() }
    }
  }

  private func afterPackets(_ next: @escaping (QuietWatch) -> Void) {
    gracePeriod.wait { [weak self] in
      if let self, !isCancelled { next(self) }
    }
  }
}
