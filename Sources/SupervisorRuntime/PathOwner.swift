import LinuxSystem
import Settings

/// Whose a Unix socket's path is to be; nil: ours. The names were known when the settings were read. A host that cannot say
/// now (glibc then says that there is none) is no reason for a path that is another's.
struct PathOwner {
  let user: UInt32?
  let group: UInt32?

  init(of socket: Settings.Socket) throws(ListenError) {
    user = try Self.known("user", socket.owner) { Users.user(named: $0)?.id }
    group = try Self.known("group", socket.group, Users.group(named:))
  }

  private static func known(_ kind: String, _ name: String?, _ find: (String) -> UInt32?) throws(ListenError) -> UInt32?
  {
    guard let name else { return nil }
    guard let id = find(name) else {
      throw .unfit("\(kind) \(name), who is to own it, is not known to the host just now")
    }
    return id
  }
}
