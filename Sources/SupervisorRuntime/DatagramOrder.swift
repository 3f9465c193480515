import Glibc
import LinuxSystem
import Vocabulary

/// The order of the UDP sockets of an address, by the kernel's own word, as ``SteeringOrder`` for TCP: a datagram that each
/// socket throws away is steered to one place after the other, and the one that counts a loss is at that place. Nothing
/// of it comes into a queue. For sockets that nobody reads from: clients' datagrams wait wherever they are steered to.
struct DatagramOrder {
  private let sockets: [Descriptor]
  private let address: SocketAddress.InternetAddress

  private static let attempts = 12
  private static let patience = Duration.milliseconds(20)

  init(_ sockets: [Descriptor], at address: SocketAddress.InternetAddress) {
    self.sockets = sockets
    self.address = address
  }

  /// Which socket is at each place; nil when it cannot be told.
  func find() -> [Int]? {
    let trap = DatagramTrap()
    defer { for socket in sockets { DatagramTrap.remove(from: socket) } }
    guard sockets.allSatisfy({ (try? trap.set(on: $0)) != nil }), let sender = sender() else { return nil }
    var order: [Int] = []
    for place in sockets.indices.dropLast() {
      guard let found = ask(place, sender, trap.bytes), !order.contains(found) else { return nil }
      order.append(found)
    }
    // The last place is that of the one that is left.
    return order + sockets.indices.filter { !order.contains($0) }
  }

  /// Two answers in a row that agree: a full queue loses datagrams of clients as well.
  private func ask(_ place: Int, _ sender: Descriptor, _ bytes: [UInt8]) -> Int? {
    guard (try? SteeringInstructions.constant(place).attach(to: sockets[0])) != nil else { return nil }
    KillPoint.reach("asked for place \(place)")
    var last: Int?
    for _ in 0..<Self.attempts {
      let before = losses()
      guard send(sender.raw, bytes, bytes.count, 0) == bytes.count else { return nil }
      var lost: [Int] = []
      let deadline = Instant.monotonicNow() + Self.patience
      repeat {
        lost = zip(before, losses()).enumerated().filter { $1.0 != $1.1 }.map(\.offset)
      } while lost.isEmpty
        && Instant.monotonicNow() < deadline
      guard lost.count == 1 else {
        last = nil
        continue
      }
      if lost[0] == last { return last }
      last = lost[0]
    }
    return nil
  }

  private func losses() -> [UInt32] { sockets.map { DatagramTrap.dropped(at: $0) ?? 0 } }

  private func sender() -> Descriptor? {
    let target = ProbeTarget.tcp(address.probed)
    let type = Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let raw = Glibc.socket(target.family, type, 0)
    guard raw >= 0 else { return nil }
    let sender = Descriptor(owning: raw)
    let isConnected = try? target.withSocketAddress { connect(sender.raw, $0, $1) == 0 }
    return isConnected == true ? sender : nil
  }
}
