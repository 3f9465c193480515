import CLinux
import Glibc
package import Vocabulary

/// A socket address in the kernel's form.
package struct KernelAddress {
  var raw: cl_address

  init(raw: cl_address) { self.raw = raw }

  package init(v4 bytes: [UInt8], port: UInt16) { self.init(family: AF_INET, bytes, port) }
  package init(v6 bytes: [UInt8], port: UInt16) { self.init(family: AF_INET6, bytes, port) }

  private init(family: Int32, _ bytes: [UInt8], _ port: UInt16) {
    raw = cl_address()
    raw.family = family
    raw.port = port
    withUnsafeMutableBytes(of: &raw.bytes) { $0.copyBytes(from: bytes.prefix(16)) }
  }

  /// nil when the path is empty or longer than the 107 bytes a Unix address takes (unix(7)).
  package init?(path: String) {
    raw = cl_address()
    raw.family = AF_UNIX
    let bytes = Array(path.utf8)
    guard !bytes.isEmpty, bytes.count <= 107, !bytes.contains(0) else { return nil }
    withUnsafeMutableBytes(of: &raw.path) { $0.copyBytes(from: bytes) }
  }

  package init(_ address: SocketAddress.InternetAddress) {
    switch address.host {
    case .v4(let bytes): self.init(v4: bytes, port: address.port)
    case .v6(let bytes): self.init(v6: bytes, port: address.port)
    case .any: self.init(v6: [UInt8](repeating: 0, count: 16), port: address.port)
    }
  }

  package var family: Int32 { raw.family }
  package var port: UInt16 { raw.port }
  package var bytes: [UInt8] { withUnsafeBytes(of: raw.bytes) { Array($0.prefix(raw.family == AF_INET ? 4 : 16)) } }
  package var path: String {
    withUnsafeBytes(of: raw.path) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// getsockname(2)
  package static func local(of descriptor: Descriptor) throws(SystemError) -> KernelAddress {
    var raw = cl_address()
    try retrying("read the address of", "\(descriptor)") { cl_local_address(descriptor.raw, &raw) }
    return KernelAddress(raw: raw)
  }
}

extension Descriptor {
  package func setOption(_ level: Int32, _ name: Int32, _ value: Int32, _ what: String) throws(SystemError) {
    let raw = raw
    try retrying("set \(what) of", "fd \(raw)") { cl_set_option(raw, level, name, value) }
  }

  package func option(_ level: Int32, _ name: Int32) -> Int32? {
    var value: Int32 = 0
    return cl_get_option(raw, level, name, &value) == 0 ? value : nil
  }

  /// Where a guess would cost clients.
  package func knownOption(_ level: Int32, _ name: Int32, _ what: String) throws(SystemError) -> Int32 {
    guard let value = option(level, name) else { throw SystemError("ask \(what) of", "\(self)", errno: errno) }
    return value
  }

  /// Still a listening socket. False after anybody's shutdown(2) on any copy of it.
  /// True where the kernel does not say of a socket: nobody is to be thought gone because of that.
  package var isListening: Bool {
    // A Unix socket that was shut down goes on to say that it accepts, and refuses everybody.
    if let answer = option(SOL_SOCKET, SO_ACCEPTCONN) { return answer == 1 && !has(POLLHUP) }
    return errno != ENOTSOCK && errno != EBADF
  }

  /// Something waits to be accepted or received.
  package var isReadable: Bool { has(POLLIN) }

  private func has(_ event: Int32) -> Bool {
    var poller = pollfd(fd: raw, events: Int16(event), revents: 0)
    return poll(&poller, 1, 0) == 1 && poller.revents & Int16(event) != 0
  }

  /// The number by which sock_diag and /proc name it.
  package var inode: UInt64? {
    var status = stat()
    return fstat(raw, &status) == 0 ? UInt64(status.st_ino) : nil
  }
}
