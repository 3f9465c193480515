import Glibc
package import LinuxSystem
import Supervision
package import Systemd
import Vocabulary

/// What systemd is told, and keeps for us. Without a manager nothing is sent and nothing is lost.
///
/// READY, RELOADING and STOPPING are sent until they get through; STATUS is sent when it changes, at most ten times a
/// second; WATCHDOG=1 comes from this loop's own timer, so that a loop that hangs stays silent.
package final class ManagerLink {
  private let loop: EventLoop
  private let client: NotifyClient?
  private let watchdog: Watchdog?
  private var unsent: [Message] = []
  private var retry: TimerToken?
  private var status = ""
  private var sentStatus = ""
  private var statusTimer: TimerToken?
  private var extension_: TimerToken?
  /// After so long without a word systemd ends batond; nil where nobody does.
  var watchdogTime: Duration? { watchdog.map { $0.interval * 2 } }
  private var watchdogTimer: TimerToken?

  /// What must get through, in its order.
  private enum Message {
    case notifications([Notification])
    case store(Descriptor, name: String)
    case rename(Descriptor, from: String, to: String)
  }

  /// While something long is under way the manager is asked for this much more time, this often.
  private static let extensionTime = Duration.seconds(20)
  private static let extensionInterval = Duration.seconds(5)
  private static let statusInterval = Duration.milliseconds(100)
  private static let maxUnsent = 4_096

  package init(loop: EventLoop, client: NotifyClient?, watchdog: Watchdog?) {
    self.loop = loop
    self.client = client
    self.watchdog = watchdog
  }

  package var isPresent: Bool { client != nil }

  func tell(_ message: ManagerMessage, status text: String) {
    status = text
    switch message {
    case .ready:
      deliver(.notifications([.ready, .status(status)]))
      ping()
    case .reloading: deliver(.notifications([.reloading(monotonicMicroseconds: nil)]))
    case .stopping: deliver(.notifications([.stopping]))
    }
  }

  /// Everything that must get through has.
  var isHeard: Bool { unsent.isEmpty }

  /// Another image of this program was ready: the manager knows that, and wants to hear that we live.
  func resume(status text: String) {
    ping()
    tell(status: text, isBusy: false)
  }

  func tell(status text: String, isBusy: Bool) {
    status = text
    if text != sentStatus, statusTimer == nil { sendStatus() }
    if isBusy, extension_ == nil { extend() }
    if !isBusy {
      loop.cancel(extension_)
      extension_ = nil
    }
  }

  // MARK: File descriptor store

  /// Keeps a copy of `descriptor` over our own death, under `name`.
  func store(_ descriptor: Descriptor, name: String) {
    KillPoint.reach("before store \(name)")
    deliver(.store(descriptor, name: name))
    KillPoint.reach("after store \(name)")
  }

  /// What is kept under `old` is kept under `name`, whenever we are killed.
  func rename(_ descriptor: Descriptor, from old: String, to name: String) {
    KillPoint.reach("before rename \(old)")
    deliver(.rename(descriptor, from: old, to: name))
    KillPoint.reach("after rename \(old)")
  }

  func removeFromStore(name: String) {
    KillPoint.reach("before forget \(name)")
    deliver(.notifications([.fileDescriptorRemove(name: name)]))
    KillPoint.reach("after forget \(name)")
  }

  /// Whether anything is kept for us: the end of a pipe is given away, and is closed where nobody keeps it. The answer
  /// comes once systemd has handled that; none where it does not say.
  package func askStore(_ answer: @escaping (Bool) -> Void) {
    guard let client, let (reader, writer) = try? Descriptor.pipe(nonblockingReader: true),
      client.storeDescriptors([writer.raw], name: Self.probeName, poll: false) == nil,
      case .success(let end) = client.barrier()
    else { return }
    var registration: EventLoop.Registration?
    registration = try? loop.register(Descriptor(owning: end), events: [.hangup]) { [weak self] _ in
      registration?.cancel()
      registration = nil
      var byte: UInt8 = 0
      // The other end is open still, elsewhere: there is nothing to read, and no end.
      let isKept = read(reader.raw, &byte, 1) < 0
      if isKept { self?.deliver(.notifications([.fileDescriptorRemove(name: Self.probeName)])) }
      answer(isKept)
    }
  }

  private static let probeName = "baton-question"

  // MARK: Sending

  private func deliver(_ message: Message) {
    guard client != nil else { return }
    if unsent.count < Self.maxUnsent { unsent.append(message) }
    flush()
  }

  private func send(_ message: Message, to client: NotifyClient) -> SystemdError? {
    switch message {
    case .notifications(let notifications): client.send(notifications)
    case .store(let descriptor, let name): client.storeDescriptors([descriptor.raw], name: name, poll: false)
    case .rename(let descriptor, let old, let name):
      client.renameDescriptor(descriptor.raw, from: old, to: name, poll: false)
    }
  }

  /// In order: what cannot be sent now is tried again shortly.
  private func flush() {
    guard let client, retry == nil else { return }
    while let next = unsent.first {
      if send(next, to: client) != nil {
        retry = loop.schedule(after: .milliseconds(50)) { [weak self] in
          self?.retry = nil
          self?.flush()
        }
        return
      }
      unsent.removeFirst()
    }
  }

  private func sendStatus() {
    guard let client, status != sentStatus else { return }
    if client.send(.status(status)) == nil { sentStatus = status }
    statusTimer = loop.schedule(after: Self.statusInterval) { [weak self] in
      self?.statusTimer = nil
      self?.sendStatus()
    }
  }

  private func extend() {
    guard let client else { return }
    // Lost ones are made good by the next.
    _ = client.send(.extendTimeout(Self.extensionTime))
    // It puts off the watchdog as well, which a sign of life sets right: a loop that hangs now is found in its own time.
    if watchdogTimer != nil { _ = client.send(.watchdog) }
    extension_ = loop.schedule(after: Self.extensionInterval) { [weak self] in self?.extend() }
  }

  private func ping() {
    guard let client, let watchdog, watchdogTimer == nil else { return }
    _ = client.send(.watchdog)
    watchdogTimer = loop.schedule(after: watchdog.interval) { [weak self] in
      self?.watchdogTimer = nil
      self?.ping()
    }
  }
}
