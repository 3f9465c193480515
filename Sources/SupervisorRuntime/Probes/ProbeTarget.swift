import Glibc
import LinuxSystem
package import Vocabulary

/// Where a probe connects to.
package enum ProbeTarget: Hashable, Sendable, CustomStringConvertible {
  case tcp(SocketAddress.InternetAddress)
  /// A stream socket at an absolute path.
  case unix(path: String)

  package var description: String {
    switch self {
    case .tcp(let address): address.text
    case .unix(let path): path
    }
  }

  /// The family for socket(2).
  var family: Int32 {
    switch self {
    case .tcp(let address): if case .v6 = address.host { AF_INET6 } else { AF_INET }
    case .unix: AF_UNIX
    }
  }

  /// Gives `body` the form connect(2) takes. Addresses that mean "all" mean this host.
  func withSocketAddress<Answer>(
    _ body: (UnsafePointer<sockaddr>, socklen_t) -> Answer
  ) throws(SystemError) -> Answer {
    switch self {
    case .tcp(let address):
      let address = address.probed
      switch address.host {
      case .v4(let bytes): return Self.with(Self.v4(bytes, port: address.port), body)
      case .v6(let bytes): return Self.with(Self.v6(bytes, port: address.port), body)
      case .any: return Self.with(Self.v4([127, 0, 0, 1], port: address.port), body)
      }
    case .unix(let path):
      var name = sockaddr_un()
      name.sun_family = sa_family_t(AF_UNIX)
      guard path.utf8.count <= SocketAddress.pathLimit, !path.utf8.contains(0) else {
        throw SystemError("connect to", path, errno: ENAMETOOLONG)
      }
      withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
      return Self.with(name, body)
    }
  }

  static func v4(_ bytes: [UInt8], port: UInt16) -> sockaddr_in {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    withUnsafeMutableBytes(of: &name.sin_addr) { $0.copyBytes(from: bytes.prefix(4)) }
    return name
  }

  private static func v6(_ bytes: [UInt8], port: UInt16) -> sockaddr_in6 {
    var name = sockaddr_in6()
    name.sin6_family = sa_family_t(AF_INET6)
    name.sin6_port = port.bigEndian
    withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: bytes.prefix(16)) }
    return name
  }

  static func with<Name, Answer>(_ name: Name, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Answer) -> Answer {
    withUnsafePointer(to: name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<Name>.size)) }
    }
  }
}

extension SocketAddress.InternetAddress {
  /// Where a listener on this address is asked from the same host: `0.0.0.0` and `*` on 127.0.0.1, `::` on ::1.
  package var probed: Self {
    switch host {
    case .any: Self(host: .v4([127, 0, 0, 1]), port: port)
    case .v4(let bytes) where bytes.allSatisfy { $0 == 0 }: Self(host: .v4([127, 0, 0, 1]), port: port)
    case .v6(let bytes) where bytes.allSatisfy { $0 == 0 }:
      Self(host: .v6([UInt8](repeating: 0, count: 15) + [1]), port: port)
    case .v4, .v6: self
    }
  }
}
