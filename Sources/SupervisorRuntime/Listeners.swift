import Glibc
package import LinuxSystem
import Settings
package import Supervision
package import Vocabulary

/// The listening sockets, and the kernel's rules between them: made, joined, steered and closed as the core says.
package final class Listeners {
  var send: (Event) -> Void = { _ in }
  var report: (Happening) -> Void = { _ in }

  private let loop: EventLoop
  let manager: ManagerLink
  /// Probes of our own that lie in the queues of recovered listeners.
  var ownProbes: [ListenerID: Int] = [:]
  var entries: [ListenerID: Entry] = [:]
  /// What the kernel could not be told.
  private(set) var owed: [SocketKey: Owed] = [:]
  private var retrying: Set<SocketKey> = []
  private static let retryInterval = Duration.milliseconds(50)

  struct Owed {
    let program: SteeringProgram
    let rule: SteeringRule
    let why: String
  }
  /// Several share an address.
  var isCrowded = false
  /// Passed by systemd, from a socket unit or from its store, until a socket of the settings takes them.
  var inherited: [Inherited]
  /// Addresses of which the kernel did not say what was passed.
  var unasked: [SocketKey: ListenError] = [:]
  private var signs: [SocketKey: ProbeSign] = [:]
  /// Addresses whose group has no program yet: an inherited socket that nobody has joined.
  var unsteered: Set<SocketKey> = []
  /// How many were shut down by others, since the start.
  private(set) var departures: [SocketKey: Int] = [:]
  private let gracePeriod: GracePeriod
  private var quietWatches: [ListenerID: QuietWatch] = [:]
  private let canMark: Bool

  struct Entry {
    let descriptor: Descriptor
    let socket: Settings.Socket
    /// With the port the kernel chose, where the settings leave it to it.
    let address: SocketAddress
    let storeName: String
    /// Under which systemd kept it until now, where that is another one.
    var formerName: String?
    /// A socket unit has a copy of its own: it is never shut down, and so never leaves its group.
    var isPermanent = false
    /// A Unix listener that is not yet at its public path.
    var privatePath: String?
    var hangup: EventLoop.Registration?
  }

  package typealias Inherited = (name: String, descriptor: Descriptor)

  package init(loop: EventLoop, manager: ManagerLink, inherited: [Inherited]) {
    self.loop = loop
    self.manager = manager
    self.inherited = inherited
    gracePeriod = GracePeriod(loop)
    canMark = ProbeMark.isPermitted
  }

  // MARK: Making

  func open(_ id: ListenerID, _ socket: Settings.Socket, group: SteeringGroup?) {
    let others = (group?.members ?? []).filter { $0 != id && entries[$0] != nil }
    do throws(ListenError) {
      let made: Entry
      if let member = others.first.flatMap({ entries[$0] }) {
        made = try join(id, socket, member, group)
      } else {
        made = try first(id, socket)
      }
      admit(id, made)
      send(.listenerOpened(id, isPermanent: made.isPermanent))
    } catch {
      if case .cannotJoin(let why) = error {
        report(Happening(.listenerShared, "generations share one listener on \(socket.address.text): \(why)"))
        send(.listenerMustBeShared(id))
      } else {
        send(.listenerRefused(id, error.description))
      }
    }
  }

  private func admit(_ id: ListenerID, _ entry: Entry) {
    isCrowded = isCrowded || entries.keys.contains { $0.key == id.key }
    entries[id] = entry
    watchHangup(id)
    // What a socket unit holds, systemd passes anew by itself.
    guard !entry.isPermanent else { return }
    if let former = entry.formerName {
      manager.rename(entry.descriptor, from: former, to: entry.storeName)
    } else {
      manager.store(entry.descriptor, name: entry.storeName)
    }
  }

  private func first(_ id: ListenerID, _ socket: Settings.Socket) throws(ListenError) -> Entry {
    let options = ListeningSocket.Options(backlog: socket.backlog, nonblocking: socket.nonblocking)
    let name = "\(socket.name).\(id.number)"
    if let given = try takeInherited(for: socket) {
      if case .tcp = socket.address, given.descriptor.makeSteerable() == false { unsteered.insert(id.key) }
      return Entry(
        descriptor: given.descriptor, socket: socket, address: given.descriptor.address(like: socket.address),
        storeName: name, formerName: given.name == name ? nil : given.name,
        isPermanent: given.name == socket.name.rawValue)
    }
    switch socket.address {
    case .tcp(let address), .udp(let address):
      let isDatagram = if case .udp = socket.address { true } else { false }
      let descriptor = try ListeningSocket.first(address, datagram: isDatagram, options)
      return Entry(
        descriptor: descriptor, socket: socket, address: descriptor.address(like: socket.address), storeName: name)
    case .unix(let path):
      if let occupant = ListeningSocket.occupant(of: path) { throw .taken(path, holders: [occupant]) }
      let beside = "\(path).\(id.number)"
      let descriptor = try unix(beside, socket, options)
      guard rename(beside, path) == 0 else { throw .system(SystemError("rename to", path, errno: errno)) }
      return Entry(descriptor: descriptor, socket: socket, address: socket.address, storeName: name)
    }
  }

  private func join(_ id: ListenerID, _ socket: Settings.Socket, _ member: Entry, _ group: SteeringGroup?)
    throws(ListenError) -> Entry
  {
    let options = ListeningSocket.Options(backlog: socket.backlog, nonblocking: socket.nonblocking)
    let name = "\(socket.name).\(id.number)"
    switch member.address {
    case .tcp(let address), .udp(let address):
      let isDatagram = if case .udp = member.address { true } else { false }
      if let stranger = stranger(at: address, datagram: isDatagram) { throw .unfit(stranger) }
      let behindDoor = !isDatagram && unsteered.contains(id.key)
      let descriptor = try ListeningSocket.joining(address, datagram: isDatagram, options, behindDoor: behindDoor)
      if behindDoor {
        do throws(SystemError) {
          try SteeringInstructions.constant(group?.program.places.last ?? 0).attach(to: descriptor)
          try ListeningSocket.openDoor(descriptor)
          unsteered.remove(id.key)
        } catch { throw .cannotJoin("\(error)") }
      }
      return Entry(descriptor: descriptor, socket: socket, address: member.address, storeName: name)
    case .unix(let path):
      let beside = "\(path).\(id.number)"
      let descriptor = try unix(beside, socket, options)
      return Entry(
        descriptor: descriptor, socket: socket, address: member.address, storeName: name, privatePath: beside)
    }
  }

  private func unix(_ path: String, _ socket: Settings.Socket, _ options: ListeningSocket.Options)
    throws(ListenError) -> Descriptor
  {
    let owner = try PathOwner(of: socket)
    unlink(path)
    return try ListeningSocket.unix(path, options, mode: socket.mode, owner: owner.user, group: owner.group)
  }

  /// Somebody else of our user on the same port would take connections out of the group.
  private func stranger(at address: SocketAddress.InternetAddress, datagram: Bool) -> String? {
    let ours = Set((entries.values.map(\.descriptor) + inherited.map(\.descriptor)).compactMap(\.inode))
    guard
      let all = try? datagram
        ? SocketDiagnosis.datagramSockets(onPort: address.port) : SocketDiagnosis.listeners(onPort: address.port)
    else { return nil }
    let own = KernelAddress(address)
    let strangers = all.filter { entry in
      !ours.contains(entry.inode) && entry.inode != 0
        && (entry.address == own.bytes || entry.address.allSatisfy { $0 == 0 } || own.bytes.allSatisfy { $0 == 0 })
    }
    guard !strangers.isEmpty else { return nil }
    let holders = SocketHolders.describe(port: address.port, datagram: datagram).joined(separator: ", ")
    return "another process listens on \(address.text) too and would take clients: \(holders)"
  }

  // MARK: Steering

  func attach(_ key: SocketKey, _ program: SteeringProgram, _ rule: SteeringRule) {
    guard let serving = entries[rule.serving] else { return }
    switch serving.address {
    case .unix(let path): publish(rule.serving, at: path)
    case .tcp, .udp:
      guard !unsteered.contains(key) else { return }
      do throws(SystemError) {
        try instructions(key, program).attach(to: serving.descriptor)
        owed[key] = nil
      } catch { owe(key, program, rule, error) }
    }
  }

  /// The kernel has no memory for it now, or the like: until it has, nobody is asked there, and no listener that clients
  /// may still meet counts as quiet.
  private func owe(_ key: SocketKey, _ program: SteeringProgram, _ rule: SteeringRule, _ error: SystemError) {
    if owed[key] == nil {
      report(Happening(.listenerRefused, "\(key) cannot be steered: \(error); it is tried again until it can"))
    }
    owed[key] = Owed(program: program, rule: rule, why: error.description)
    guard retrying.insert(key).inserted else { return }
    loop.schedule(after: Self.retryInterval) { [unowned self] in
      retrying.remove(key)
      if let owed = owed[key] { attach(key, owed.program, owed.rule) }
    }
  }

  private func instructions(_ key: SocketKey, _ program: SteeringProgram) -> SteeringInstructions {
    switch program {
    case .constant(let place):
      signs[key] = nil
      return .constant(place)
    case .probes(let candidate, let serving):
      let sign = newSign()
      signs[key] = sign
      return .probes(sign, candidate: candidate, serving: serving)
    case .share(let share, let candidate, let serving):
      let sign = signs[key] ?? newSign()
      signs[key] = sign
      return .share(share, sign, candidate: candidate, serving: serving)
    }
  }

  func newSign() -> ProbeSign {
    var random = SystemRandomNumberGenerator()
    if canMark { return .mark(UInt32.random(in: 1...UInt32.max, using: &random)) }
    return .source([127] + (0..<3).map { _ in UInt8.random(in: 2...250, using: &random) })
  }

  private func publish(_ id: ListenerID, at path: String) {
    guard let beside = entries[id]?.privatePath else { return }
    if rename(beside, path) == 0 {
      entries[id]?.privatePath = nil
    } else {
      report(Happening(.listenerRefused, "\(SystemError("rename to", path, errno: errno))"))
    }
  }

  // MARK: Leaving

  func watchHangup(_ id: ListenerID) {
    guard let entry = entries[id] else { return }
    switch entry.address {
    case .udp: return
    case .tcp, .unix: break
    }
    let registration = try? loop.register(entry.descriptor, events: []) { [unowned self] _ in
      if takeDeparture(of: id) { send(.listenerLeft(id)) }
    }
    entries[id]?.hangup = registration
  }

  /// Whether somebody shut it down, said once.
  private func takeDeparture(of id: ListenerID) -> Bool {
    guard let entry = entries[id], entry.hangup != nil, !entry.descriptor.isListening else { return false }
    entry.hangup?.cancel()
    entries[id]?.hangup = nil
    departures[id.key, default: 0] += 1
    return true
  }

  /// Those shut down that the loop has not told of yet. Asked before each decision while several share an address: one
  /// that opens or closes a listener must start from the order the kernel has.
  func takeDepartures() -> [ListenerID] {
    guard isCrowded else { return [] }
    return entries.keys.sorted().filter { takeDeparture(of: $0) }
  }

  func relisten(_ id: ListenerID) {
    guard let entry = entries[id] else { return }
    if case .unix = entry.address {
      return reportDeaf(entry, "a Unix socket that was shut down cannot listen again")
    }
    do throws(SystemError) {
      try ListeningSocket.listenAgain(
        entry.descriptor, ListeningSocket.Options(backlog: entry.socket.backlog, nonblocking: false))
      watchHangup(id)
    } catch {
      reportDeaf(entry, "it cannot listen again: \(error)")
    }
  }

  private func reportDeaf(_ entry: Entry, _ why: String) {
    let what = "\(entry.address.text) refuses clients: \(why)"
    report(Happening(.listenerRefused, "\(what); `baton reload` makes a new listener"))
  }

  /// Its workers are gone and it is quiet. shutdown(2) first: it leaves the group now, whoever else still has a copy.
  func close(_ id: ListenerID) {
    quietWatches.removeValue(forKey: id)?.cancel()
    ownProbes[id] = nil
    guard let entry = entries.removeValue(forKey: id) else { return }
    entry.hangup?.cancel()
    manager.removeFromStore(name: entry.storeName)
    switch entry.address {
    case .tcp:
      if !entry.isPermanent { _ = shutdown(entry.descriptor.raw, Int32(SHUT_RDWR)) }
      KillPoint.reach("after shutdown \(id)")
    case .udp: break
    case .unix(let path):
      if let beside = entry.privatePath { unlink(beside) }
      if !entries.keys.contains(where: { $0.key == id.key }) { unlink(path) }
    }
    entry.descriptor.close()
    if !entries.keys.contains(where: { $0.key == id.key }) {
      unsteered.remove(id.key)
      owed[id.key] = nil
    }
    isCrowded = Set(entries.keys.map(\.key)).count < entries.count
  }

  /// Before a stop for good: systemd forgets them. Their sockets live until we end.
  func removeFromStore() {
    for entry in entries.values { manager.removeFromStore(name: entry.storeName) }
  }

  /// When the process ends for good: paths that nobody will answer at any more.
  package func unlinkPaths() {
    for entry in entries.values {
      if case .unix(let path) = entry.address { unlink(entry.privatePath ?? path) }
    }
  }

  func watchQuiet(_ id: ListenerID, isServed: Bool = true) {
    guard let entry = entries[id] else { return send(.quiet(id, unfinished: 0)) }
    if owed[id.key] != nil {
      loop.schedule(after: Self.retryInterval) { [unowned self] in
        if entries[id] != nil { watchQuiet(id, isServed: isServed) }
      }
      return
    }
    let waiting = isServed ? nil : { [unowned self] in self.waiting(in: id) }
    let watch = QuietWatch(
      loop: loop, gracePeriod: gracePeriod, descriptor: entry.descriptor, address: entry.address, waiting: waiting
    ) { [unowned self] in
      quietWatches[id] = nil
      send(.quiet(id, unfinished: $0))
    }
    quietWatches[id] = watch
    watch.start()
  }

  // MARK: Known of them

  package func descriptor(of id: ListenerID) -> Descriptor? { entries[id]?.descriptor }
  var addresses: [SocketAddress] { entries.values.map(\.address) }
  package func address(of id: ListenerID) -> SocketAddress? { entries[id]?.address }

  /// Connections waiting to be accepted.
  package func queued(_ id: ListenerID) -> Int {
    guard let entry = entries[id] else { return 0 }
    switch entry.address {
    case .tcp(let address):
      let inode = entry.descriptor.inode
      return (try? SocketDiagnosis.listeners(onPort: address.port))?.first { $0.inode == inode }?.queued ?? 0
    case .udp, .unix: return entry.descriptor.isReadable ? 1 : 0
    }
  }

  /// How a probe reaches exactly this listener through its public address.
  func probeRoute(to id: ListenerID) -> ProbeRoute? {
    guard let entry = entries[id] else { return nil }
    switch entry.address {
    case .tcp(let address): return ProbeRoute(target: .tcp(address.probed), sign: signs[id.key])
    case .unix(let path): return ProbeRoute(target: .unix(path: entry.privatePath ?? path), sign: nil)
    case .udp: return nil
    }
  }

  /// Why an answer that came just now may be another generation's; nil when each listener is in its place.
  /// `departures`: how many had left when it was asked.
  func misplaced(_ id: ListenerID, since departures: Int) -> String? {
    guard case .tcp(let address)? = entries[id]?.address else { return nil }
    let leaves = entries.contains { $0.key.key == id.key && !$0.value.descriptor.isListening }
    if leaves || departures != self.departures[id.key, default: 0] {
      return "a listener of \(id.key) left its group while it was asked"
    }
    return stranger(at: address, datagram: false)
  }
}
