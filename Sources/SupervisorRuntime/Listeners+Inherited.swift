import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// What systemd passed: sockets of a socket unit by their own names, and what an earlier life of ours gave it to keep, as
/// `NAME.NUMBER`. Nothing of an address is given up before the kernel has said of all that came what they are.
extension Listeners {
  /// The one that serves a socket now. A socket unit's comes first, because it is in the group whatever we do; of several of
  /// ours, whatever the settings called them then, the one with most waiting. What is in its way is closed.
  func takeInherited(for socket: Settings.Socket) throws(ListenError) -> Inherited? {
    if let unasked = unasked[socket.key] { throw unasked }
    var fits: [Inherited] = []
    var strays: [Inherited] = []
    for one in inherited where isOf(socket, one) || isOurs(one) && socket.address.isFixed {
      if let unfitness = try unfitness(of: one, for: socket) {
        // Only a person can tell whether the socket unit or the settings are meant.
        guard isOurs(one) else { throw .unfit("\(unfitness); the settings say \(socket.address.text)") }
        strays.append(one)
      } else {
        fits.append(one)
      }
    }
    let chosen = fits.first { !isOurs($0) } ?? fits.max { Self.rank($0) < Self.rank($1) }
    if let chosen, isOurs(chosen) { try renew(chosen.descriptor, as: socket) }
    let rest = fits.filter { $0.descriptor !== chosen?.descriptor }
    for one in rest + strays.filter({ $0.descriptor.isInTheWay(of: socket.address) }) { giveUp(one) }
    inherited.removeAll { $0.descriptor === chosen?.descriptor }
    return chosen
  }

  /// What of it is not as the settings say; nil where everything is. Throws where the kernel does not say.
  func unfitness(of one: Inherited, for socket: Settings.Socket) throws(ListenError) -> String? {
    if let difference = try ListeningSocket.difference(of: one.descriptor, from: socket.address) {
      return "the socket systemd passed \(difference)"
    }
    // What becomes of the path of a socket unit is the unit's affair.
    guard isOurs(one), case .unix(let path) = socket.address, access(path, F_OK) != 0, errno == ENOENT else {
      return nil
    }
    return "the socket systemd passed has lost its path"
  }

  /// Those that bear the name of a socket.
  func passed(for socket: Settings.Socket) -> [Inherited] {
    inherited.filter { isOf(socket, $0) }
  }

  private func isOf(_ socket: Settings.Socket, _ one: Inherited) -> Bool {
    one.name == socket.name.rawValue || one.name.hasPrefix("\(socket.name).")
  }

  /// Under a number no higher than this systemd may keep something for us.
  var lastNumber: UInt64 { inherited.compactMap(number(of:)).max() ?? 0 }

  private func isOurs(_ one: Inherited) -> Bool { number(of: one) != nil }

  private func number(of one: Inherited) -> UInt64? {
    one.name.lastIndex(of: ".").flatMap { UInt64(one.name[one.name.index(after: $0)...]) }
  }

  private static func rank(_ one: Inherited) -> (Int, Int, String) {
    (one.descriptor.isReadable ? 1 : 0, one.name.utf8.count, one.name)
  }

  /// One of ours gets what may have changed in the settings since it was made; what waits in it stays.
  private func renew(_ descriptor: Descriptor, as socket: Settings.Socket) throws(ListenError) {
    let options = ListeningSocket.Options(backlog: socket.backlog, nonblocking: socket.nonblocking)
    do throws(SystemError) {
      switch socket.address {
      case .tcp: try ListeningSocket.renew(descriptor, options)
      case .udp: try descriptor.setNonblocking(socket.nonblocking)
      case .unix: try ListeningSocket.renew(descriptor, options)
      }
    } catch { throw .system(error) }
    if case .unix(let path) = socket.address { try give(path, to: socket) }
  }

  private func give(_ path: String, to socket: Settings.Socket) throws(ListenError) {
    let owner = try PathOwner(of: socket)
    do throws(SystemError) {
      try ListeningSocket.give(path, mode: socket.mode, owner: owner.user, group: owner.group)
    } catch { throw .system(error) }
  }

  /// Somebody shut it down, and the crash came before systemd was told.
  func dropDead(of socket: Settings.Socket) {
    if case .udp = socket.address { return }
    for one in passed(for: socket) where isOurs(one) && !one.descriptor.isListening { giveUp(one) }
  }

  /// What systemd passed and no socket of the settings wants is closed and forgotten by systemd too.
  package func closeUnclaimed() {
    for one in inherited {
      report(Happening(.listenerRetired, "systemd passed \(one.name), which no socket of the settings wants: closed"))
      let path = isOurs(one) ? one.descriptor.publicPath : nil
      giveUp(one)
      if let path, !addresses.contains(.unix(path: path)), ListeningSocket.occupant(of: path) == nil { unlink(path) }
    }
  }

  private func giveUp(_ one: Inherited) {
    manager.removeFromStore(name: one.name)
    // The copy that systemd has is closed a moment later; until then it would still listen.
    if isOurs(one) { _ = shutdown(one.descriptor.raw, Int32(SHUT_RDWR)) }
    inherited.removeAll { $0.descriptor === one.descriptor }
    one.descriptor.close()
  }
}

extension Descriptor {
  /// Of a Unix listener that was made here: the kernel remembers that it was bound beside it, as PATH.NUMBER.
  fileprivate var publicPath: String? {
    guard let local = try? KernelAddress.local(of: self), local.family == AF_UNIX,
      let dot = local.path.lastIndex(of: ".")
    else { return nil }
    return String(local.path[..<dot])
  }

  /// Whether that address cannot be had while this one is open: one of them is all of the host's.
  fileprivate func isInTheWay(of address: SocketAddress) -> Bool {
    switch address {
    case .tcp(let wanted): isInTheWay(of: wanted, SOCK_STREAM)
    case .udp(let wanted): isInTheWay(of: wanted, SOCK_DGRAM)
    case .unix: false
    }
  }

  private func isInTheWay(of wanted: SocketAddress.InternetAddress, _ kind: __socket_type) -> Bool {
    guard let local = try? KernelAddress.local(of: self), local.family != AF_UNIX, local.port == wanted.port,
      option(SOL_SOCKET, SO_TYPE) == Int32(kind.rawValue)
    else { return false }
    let own = KernelAddress(wanted)
    let takesBoth = local.family == AF_INET6 && option(Int32(IPPROTO_IPV6), IPV6_V6ONLY) == 0
    guard local.family == own.family || wanted.host == .any || takesBoth else { return false }
    return local.bytes.allSatisfy { $0 == 0 } || own.bytes.allSatisfy { $0 == 0 }
  }
}

extension SocketAddress {
  /// The settings leave nothing of it to the kernel.
  fileprivate var isFixed: Bool {
    switch self {
    case .tcp(let address), .udp(let address): address.port != 0
    case .unix: true
    }
  }
}
