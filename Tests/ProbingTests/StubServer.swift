import Glibc
import LinuxSystem
import Synchronization
import Vocabulary

/// A server that does to each connection what the test says, on a thread of its own.
final class StubServer: Sendable {
  /// What was read of the request, and where to write.
  struct Exchange {
    let request: String
    let number: Int
    fileprivate let connection: Int32

    func write(_ text: String) {
      let bytes = Array(text.utf8)
      var written = 0
      while written < bytes.count {
        let count = bytes.withUnsafeBytes {
          send(connection, $0.baseAddress.map { $0 + written }, $0.count - written, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { return }
        written += count
      }
    }

    func answer(_ status: String, _ body: String = "", headers: String = "") {
      write("HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\(headers)Connection: close\r\n\r\n\(body)")
    }

    /// Until the other side leaves.
    func hang() {
      // POLLRDHUP.
      var entry = pollfd(fd: connection, events: Int16(0x2000), revents: 0)
      _ = poll(&entry, 1, 20_000)
    }
  }

  let port: UInt16
  let path: String?
  private let listener: Int32
  private let handler: @Sendable (Exchange) -> Void
  private let served = Mutex(0)

  /// On loopback, or at `path`.
  init(path: String? = nil, _ handler: @escaping @Sendable (Exchange) -> Void) {
    self.handler = handler
    self.path = path
    var port: UInt16 = 0
    let listener: Int32
    if let path {
      unlink(path)
      listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      var name = sockaddr_un()
      name.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
      _ = Self.with(&name) { bind(listener, $0, $1) }
    } else {
      listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      var name = sockaddr_in()
      name.sin_family = sa_family_t(AF_INET)
      name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      _ = Self.with(&name) { bind(listener, $0, $1) }
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      _ = Self.with(&name) { pointer, _ in getsockname(listener, pointer, &size) }
      port = UInt16(bigEndian: name.sin_port)
    }
    self.port = port
    self.listener = listener
    listen(listener, 64)
    HelperThread.run { [self] in serve() }
  }

  var url: String { "http://127.0.0.1:\(port)" }
  var count: Int { served.withLock { $0 } }

  func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

  private func serve() {
    while true {
      let connection = accept(listener, nil, nil)
      guard connection >= 0 else { break }
      let number = served.withLock {
        $0 += 1
        return $0
      }
      // Each on its own: one that hangs keeps nobody waiting.
      HelperThread.run { [handler] in
        var buffer = [UInt8](repeating: 0, count: 16_384)
        let length = max(0, recv(connection, &buffer, buffer.count, 0))
        let exchange = Exchange(
          request: String(decoding: buffer.prefix(length), as: UTF8.self), number: number, connection: connection)
        handler(exchange)
        close(connection)
      }
    }
    close(listener)
  }

  private static func with<Name, Answer>(
    _ name: inout Name, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Answer
  ) -> Answer {
    withUnsafeMutablePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<Name>.size)) }
    }
  }
}
