import CLinux
import Glibc
import LinuxSystem
import Vocabulary

/// Whether this process may mark its sockets (CAP_NET_ADMIN, CAP_NET_RAW).
enum ProbeMark {
  static let isPermitted: Bool = {
    let raw = cl_socket(AF_INET, Int32(SOCK_STREAM.rawValue))
    guard raw >= 0 else { return false }
    let socket = Descriptor(owning: raw)
    return cl_set_option(socket.raw, SOL_SOCKET, CL_SO_MARK, 1) == 0
  }()

  /// Whether a probe to this address can be told from every client: by a mark, or by its IPv4 source.
  static func canReach(_ address: SocketAddress.InternetAddress) -> Bool {
    if isPermitted { return true }
    if case .v6 = address.host { return false }
    return true
  }
}

extension Descriptor {
  /// `address` with the port the kernel chose.
  func address(like address: SocketAddress) -> SocketAddress {
    guard let port = (try? KernelAddress.local(of: self))?.port else { return address }
    switch address {
    case .tcp(var internet):
      internet.port = port
      return .tcp(internet)
    case .udp(var internet):
      internet.port = port
      return .udp(internet)
    case .unix: return address
    }
  }

  /// Opens an inherited listener to joiners. False when it has no group yet, so that no program can be attached.
  func makeSteerable() -> Bool {
    let raw = raw
    guard cl_set_option(raw, SOL_SOCKET, CL_SO_REUSEPORT, 1) == 0 else { return false }
    do {
      try SteeringInstructions.constant(0).attach(to: self)
      return true
    } catch { return false }
  }
}
