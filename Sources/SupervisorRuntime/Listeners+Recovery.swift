import Glibc
import LinuxSystem
import Settings
import Supervision
import Vocabulary

/// Listeners of one address that came back together after a crash, each with what waits in it.
extension Listeners {
  private struct Stored {
    let id: ListenerID
    let descriptor: Descriptor
    let name: String
    var isPermanent: Bool
  }

  /// Takes over the addresses that several stored listeners share. What is left is taken by ``open(_:_:group:)``.
  /// `recorded`: their order as it was written down, where the kernel cannot be asked.
  func recover(_ generation: ResolvedGeneration, recorded: [SteeringGroup]) -> [SteeringGroup] {
    generation.settings.sockets.compactMap { socket in
      dropDead(of: socket)
      guard let kind = generation.plan.socket(socket.name)?.steering else { return nil }
      let stored: [Stored]
      do throws(ListenError) { stored = try self.stored(for: socket, recorded) } catch {
        unasked[socket.key] = error
        return nil
      }
      guard stored.count > 1 else { return nil }
      let record = recorded.first { $0.serving.key == socket.key && Set($0.members) == Set(stored.map(\.id)) }
      switch (kind, socket.address) {
      case (.program, .tcp), (.constant, .udp): return recoverGroup(socket, stored, record, kind)
      case (.rename, .unix(let path)): return recoverPath(path, socket, stored)
      default: return nil
      }
    }
  }

  private func stored(for socket: Settings.Socket, _ recorded: [SteeringGroup]) throws(ListenError) -> [Stored] {
    let permanent = recorded.first { $0.serving.key == socket.key }?.permanent.first?.number ?? 0
    var all: [Stored] = []
    for one in passed(for: socket) {
      let isPermanent = one.name == socket.name.rawValue
      guard let number = isPermanent ? permanent : UInt64(one.name.dropFirst(socket.name.rawValue.utf8.count + 1)),
        try unfitness(of: one, for: socket) == nil
      else { continue }
      all.append(
        Stored(
          id: ListenerID(key: socket.key, number: number), descriptor: one.descriptor, name: one.name,
          isPermanent: isPermanent))
    }
    var seen: Set<ListenerID> = []
    return all.sorted { $0.id < $1.id }.filter { seen.insert($0.id).inserted }
  }

  private func recoverGroup(
    _ socket: Settings.Socket, _ stored: [Stored], _ record: SteeringGroup?, _ kind: SteeringKind
  ) -> SteeringGroup? {
    let descriptors = stored.map(\.descriptor)
    let queues: [Int]
    var asked = [Int](repeating: 0, count: stored.count)
    let found: [Int]?
    switch descriptors[0].address(like: socket.address) {
    case .tcp(let address):
      queues = descriptors.map { queue(of: $0, onPort: address.port) }
      var order = SteeringOrder(descriptors, at: address, sign: newSign())
      found = order.find()
      asked = order.asked
    case .udp(let address):
      queues = descriptors.map { $0.isReadable ? 1 : 0 }
      found = DatagramOrder(descriptors, at: address).find()
    case .unix: return nil
    }
    let places = found ?? record?.members.compactMap { id in stored.firstIndex { $0.id == id } }
    guard let places, places.count == stored.count else {
      report(
        Happening(
          .listenerRefused,
          "\(socket.key): the kernel does not say in what order its \(stored.count) listeners are; one is kept, and what "
            + "waits in the others is lost"))
      return nil
    }
    // Where most wait they met it until now, and are served first.
    let most = stored.indices.max {
      (queues[$0], stored[$0].id == record?.serving ? 1 : 0, $0) < (
        queues[$1], stored[$1].id == record?.serving ? 1 : 0, $1
      )
    }
    guard let most else { return nil }
    let group = take(stored, places.map { stored[$0].id }, serving: stored[most].id, kind, socket, queues)
    if let group { attach(socket.key, group.program, group.rule) }
    KillPoint.reach("recovered \(socket.key)")
    for (index, one) in stored.enumerated() { ownProbes[one.id] = asked[index] }
    return group
  }

  /// Unix sockets: the one at the public path serves; another is beside it, or was there before.
  private func recoverPath(_ path: String, _ socket: Settings.Socket, _ stored: [Stored]) -> SteeringGroup? {
    let replaced = stored.filter { access(privatePath(of: $0.id, path), F_OK) != 0 }
    guard let serving = published(at: path, replaced) ?? replaced.last else { return nil }
    let queues = stored.map { $0.descriptor.isReadable ? 1 : 0 }
    return take(stored, stored.map(\.id), serving: serving.id, .rename, socket, queues)
  }

  private func privatePath(of id: ListenerID, _ path: String) -> String { "\(path).\(id.number)" }

  /// The one whose queue grows when somebody connects; nil when that cannot be told.
  private func published(at path: String, _ candidates: [Stored]) -> Stored? {
    if candidates.count < 2 { return candidates.first }
    let empty = candidates.filter { !$0.descriptor.isReadable }
    guard (try? Connection.open(path: path)) != nil else { return nil }
    if let grown = empty.first(where: \.descriptor.isReadable) {
      ownProbes[grown.id] = 1
      return grown
    }
    let full = candidates.filter { one in !empty.contains { $0.id == one.id } }
    return full.count == 1 ? full.first : nil
  }

  private func take(
    _ stored: [Stored], _ order: [ListenerID], serving: ListenerID, _ kind: SteeringKind, _ socket: Settings.Socket,
    _ queues: [Int]
  ) -> SteeringGroup? {
    let permanent = Set(stored.filter(\.isPermanent).map(\.id))
    let group = SteeringGroup(
      kind: kind, members: order, rule: .everyone(serving), idle: Set(order), permanent: permanent,
      unserved: Set(order).subtracting([serving]), isInForce: true)
    guard let group else { return nil }
    inherited.removeAll { one in stored.contains { $0.descriptor === one.descriptor } }
    for one in stored {
      var beside: String?
      if case .unix(let path) = socket.address, access(privatePath(of: one.id, path), F_OK) == 0 {
        beside = privatePath(of: one.id, path)
      }
      entries[one.id] = Entry(
        descriptor: one.descriptor, socket: socket, address: one.descriptor.address(like: socket.address),
        storeName: one.isPermanent ? "\(socket.name).\(one.id.number)" : one.name, isPermanent: one.isPermanent,
        privatePath: beside)
      watchHangup(one.id)
    }
    isCrowded = true
    // Of datagrams and on a path it is known only that some wait.
    let isCounted = if case .tcp = socket.address { true } else { false }
    let parts = zip(stored, queues).map { "\($0.name) with \(isCounted ? "\($1)" : $1 == 0 ? "none" : "some") waiting" }
    report(
      Happening(.recovered, "\(stored.count) listeners of \(socket.key) came back: " + parts.joined(separator: ", ")))
    return group
  }

  /// Clients in its queue, without the questions that were asked to learn the order.
  func waiting(in id: ListenerID) -> Int { max(0, queued(id) - ownProbes[id, default: 0]) }

  private func queue(of descriptor: Descriptor, onPort port: UInt16) -> Int {
    (try? SocketDiagnosis.listeners(onPort: port))?.first { $0.inode == descriptor.inode }?.queued ?? 0
  }
}
