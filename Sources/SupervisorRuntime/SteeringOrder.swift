import Glibc
import LinuxSystem
import Vocabulary

/// The order of the listeners of an address, by the kernel's own word: a question that no client can ask is steered to one
/// place after the other, and the queue that grows is the one at that place. For listeners that nobody serves: whoever a
/// client meets meanwhile is as good as any other.
struct SteeringOrder {
  private let listeners: [Descriptor]
  private let address: SocketAddress.InternetAddress
  private let sign: ProbeSign
  /// How many questions of ours lie in the queue of each.
  private(set) var asked: [Int]

  private static let attempts = 12
  private static let patience = 40

  init(_ listeners: [Descriptor], at address: SocketAddress.InternetAddress, sign: ProbeSign) {
    self.listeners = listeners
    self.address = address
    self.sign = sign
    asked = [Int](repeating: 0, count: listeners.count)
  }

  /// Which listener is at each place; nil when it cannot be told.
  mutating func find() -> [Int]? {
    var order: [Int] = []
    for place in listeners.indices.dropLast() {
      guard let found = ask(place), !order.contains(found) else { return nil }
      order.append(found)
    }
    // The last place is that of the one that is left.
    return order + listeners.indices.filter { !order.contains($0) }
  }

  /// Two answers in a row that agree: a client that comes in between makes another queue grow.
  private mutating func ask(_ place: Int) -> Int? {
    let instructions = SteeringInstructions.probes(
      sign, candidate: place, serving: (place + 1) % listeners.count)
    guard (try? instructions.attach(to: listeners[0])) != nil else { return nil }
    KillPoint.reach("asked for place \(place)")
    var last: Int?
    for _ in 0..<Self.attempts {
      let before = queues()
      guard connect() else { return nil }
      var grown: [Int] = []
      for _ in 0..<Self.patience where grown.isEmpty {
        grown = zip(before, queues()).enumerated().filter { $1.1 > $1.0 }.map(\.offset)
      }
      guard grown.count == 1 else {
        last = nil
        continue
      }
      asked[grown[0]] += 1
      if grown[0] == last { return last }
      last = grown[0]
    }
    return nil
  }

  private func queues() -> [Int] {
    let entries = (try? SocketDiagnosis.listeners(onPort: address.port)) ?? []
    return listeners.map { listener in entries.first { $0.inode == listener.inode }?.queued ?? 0 }
  }

  /// A connection that is closed at once: whoever takes it sees its end.
  private func connect() -> Bool {
    var options = ProbeConnection.Options()
    switch sign {
    case .mark(let mark): options.mark = mark
    case .source(let source): options.source = source
    }
    let target = ProbeTarget.tcp(address.probed)
    guard let socket = try? ProbeConnection.makeSocket(target, options) else { return false }
    let answer = try? target.withSocketAddress { Glibc.connect(socket.raw, $0, $1) == 0 ? 0 : Glibc.errno }
    guard answer == 0 || answer == EINPROGRESS else { return false }
    var wanted = pollfd(fd: socket.raw, events: Int16(POLLOUT), revents: 0)
    return poll(&wanted, 1, 200) == 1 && wanted.revents & Int16(POLLERR | POLLHUP) == 0
  }
}
