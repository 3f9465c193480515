/// Where a service answers, as settings write it: `"0.0.0.0:8000"`, `"[::]:8000"`, `"*:8000"` (v4 and v6 on one socket),
/// `"/run/hotgo/http.sock"`, and `"udp:"` in front for datagrams.
package enum SocketAddress: Hashable, Sendable {
  case tcp(InternetAddress)
  case udp(InternetAddress)
  /// A stream socket at an absolute path.
  case unix(path: String)

  package struct InternetAddress: Hashable, Sendable {
    package enum Host: Hashable, Sendable {
      case v4([UInt8])
      /// v6 only.
      case v6([UInt8])
      /// `::` with IPV6_V6ONLY off: both families.
      case any
    }
    package var host: Host
    /// Host byte order; 0 lets the kernel choose (tests).
    package var port: UInt16

    package init(host: Host, port: UInt16) {
      self.host = host
      self.port = port
    }
  }
}
