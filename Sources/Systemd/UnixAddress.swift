import Glibc

/// The address of a Unix socket: a path, or an abstract name written with `@` in front.
struct UnixAddress: Hashable, Sendable {
  /// The bytes of `sun_path`; an abstract name starts with NUL and has no end mark.
  private let path: [UInt8]
  private let isAbstract: Bool

  /// `sun_path` holds 108 bytes, the last one of a path is NUL. Source: unix(7).
  static let pathLimit = 107

  /// Throws ``SystemdError`` with the reason when `text` is neither an absolute path nor `@NAME`, or is too long.
  init(_ text: String) throws(SystemdError) {
    let bytes = Array(text.utf8)
    func refusal(_ reason: String) -> SystemdError {
      SystemdError("use the socket address", text, cause: .invalid(reason))
    }
    guard let first = bytes.first, bytes.count > 1 else { throw refusal("it is empty") }
    guard !bytes.contains(0) else { throw refusal("it contains a NUL byte") }
    guard bytes.count <= Self.pathLimit else { throw refusal("it is longer than \(Self.pathLimit) bytes") }
    switch first {
    case UInt8(ascii: "/"): (path, isAbstract) = (bytes, false)
    case UInt8(ascii: "@"): (path, isAbstract) = ([0] + bytes.dropFirst(), true)
    default:
      throw refusal(
        text.hasPrefix("vsock")
          ? "vsock addresses are not supported; accepted is an absolute path or @NAME"
          : "accepted is an absolute path or @NAME")
    }
  }

  func withSockaddr<Answer>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Answer) -> Answer {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    let length = MemoryLayout<sa_family_t>.size + path.count + (isAbstract ? 0 : 1)
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
    }
  }
}
