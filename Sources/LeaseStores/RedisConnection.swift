internal import Glibc
internal import LinuxSystem
internal import Vocabulary

/// One connection to a Redis, blocking with a deadline for each answer. One that failed is of no use any more: an answer that
/// comes late must not be taken for that of a later question.
final class RedisConnection {
  let socket: Descriptor
  private let address: RedisAddress
  private var reader = RedisReader()

  /// Connects, says who is asking, and chooses the database.
  init(_ address: RedisAddress, until deadline: Instant) throws(StoreError) {
    self.address = address
    do throws(SystemError) {
      switch address.place {
      case .path(let path): socket = try Connection.open(path: path)
      case .host(let host, let port): socket = try Self.connect(host, port, deadline)
      }
    } catch {
      throw StoreError("\(address)", "\(error)", next: "does a Redis answer there? redis-cli PING says")
    }
    if let password = address.password {
      let question = ["AUTH"] + (address.user.map { [$0] } ?? []) + [password]
      do throws(StoreError) { _ = try ask(question, until: deadline) } catch {
        // Some answers repeat the question.
        guard !password.isEmpty, error.why.contains(password) else { throw error }
        throw StoreError("\(address)", "it refuses AUTH", next: error.next)
      }
    }
    if address.database != 0 { _ = try ask(["SELECT", "\(address.database)"], until: deadline) }
  }

  private static func connect(_ host: String, _ port: UInt16, _ deadline: Instant) throws(SystemError) -> Descriptor {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_ADDRCONFIG
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, "\(port)", &hints, &found) == 0, let first = found else {
      throw SystemError("find", host, errno: EHOSTUNREACH)
    }
    defer { freeaddrinfo(found) }
    var failure = SystemError("connect to", "\(host) port \(port)", errno: EHOSTUNREACH)
    var next: UnsafeMutablePointer<addrinfo>? = first
    while let entry = next {
      do throws(SystemError) {
        return try connect(entry.pointee, "\(host) port \(port)", deadline)
      } catch { failure = error }
      next = entry.pointee.ai_next
    }
    throw failure
  }

  private static func connect(
    _ entry: addrinfo, _ name: String, _ deadline: Instant
  ) throws(SystemError) -> Descriptor {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let socket = Descriptor(owning: Glibc.socket(entry.ai_family, type, 0))
    guard socket.raw >= 0 else { throw SystemError("make a socket for", name, errno: errno) }
    if Glibc.connect(socket.raw, entry.ai_addr, entry.ai_addrlen) != 0 {
      guard errno == EINPROGRESS else { throw SystemError("connect to", name, errno: errno) }
      guard wait(socket, Int16(POLLOUT), until: deadline) else {
        throw SystemError("connect to", name, errno: ETIMEDOUT)
      }
      var problem: Int32 = 0
      var size = socklen_t(MemoryLayout<Int32>.size)
      getsockopt(socket.raw, SOL_SOCKET, SO_ERROR, &problem, &size)
      guard problem == 0 else { throw SystemError("connect to", name, errno: problem) }
    }
    var on: Int32 = 1
    setsockopt(socket.raw, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    return socket
  }

  /// False when nothing came until then.
  private static func wait(_ socket: Descriptor, _ events: Int16, until deadline: Instant) -> Bool {
    while true {
      let left = (deadline - .monotonicNow()).milliseconds
      var entry = pollfd(fd: socket.raw, events: events, revents: 0)
      let count = poll(&entry, 1, Int32(clamping: max(0, left + 1)))
      if count > 0 { return true }
      if left <= 0 { return false }
    }
  }

  // MARK: - Asking

  /// - Throws: also what Redis refuses, in words.
  func ask(_ words: [String], until deadline: Instant) throws(StoreError) -> RedisValue {
    try send(words, until: deadline)
    while true {
      if let value = try take() {
        if case .error(let text) = value { throw RedisRefusal.words(text, "\(address)") }
        return value
      }
      guard Self.wait(socket, Int16(POLLIN), until: deadline) else { throw failure("no answer in time") }
      try receive()
    }
  }

  func send(_ words: [String], until deadline: Instant) throws(StoreError) {
    var bytes = RedisValue.command(words)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes {
        Glibc.send(socket.raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count > 0 {
        bytes = bytes.dropFirst(count)
      } else if errno == EAGAIN {
        guard Self.wait(socket, Int16(POLLOUT), until: deadline) else { throw failure("takes no question") }
      } else if errno != EINTR {
        throw failure("\(ErrorNumber.name(errno)) \(ErrorNumber.text(errno))")
      }
    }
  }

  /// The next whole value that has been received.
  func take() throws(StoreError) -> RedisValue? {
    do throws(RedisReader.Refusal) { return try reader.next() } catch {
      throw StoreError("\(address)", error.why, next: "does the URL name the right port?")
    }
  }

  /// Reads what is there; nothing when nothing is.
  func receive() throws(StoreError) {
    var buffer = [UInt8](repeating: 0, count: 16_384)
    let count = read(socket.raw, &buffer, buffer.count)
    if count > 0 {
      do throws(RedisReader.Refusal) { try reader.append(buffer.prefix(count)) } catch { throw failure(error.why) }
    } else if count == 0 {
      throw failure("the connection was closed")
    } else if errno != EAGAIN && errno != EINTR {
      throw failure("\(ErrorNumber.name(errno)) \(ErrorNumber.text(errno))")
    }
  }

  private func failure(_ why: String) -> StoreError { StoreError("\(address)", why) }
}

/// What Redis refuses, and what to do about it.
enum RedisRefusal {
  private static let codes = [
    "NOAUTH", "WRONGPASS", "NOPERM", "READONLY", "OOM", "MISCONF", "LOADING", "MASTERDOWN", "BUSY", "WRONGTYPE",
    "FOREIGN",
  ]

  static func words(_ text: String, _ store: String) -> StoreError {
    // Before version 7 what a script meets stands inside of another error.
    // Who has not said who they are may not even ask much.
    let code =
      text.contains("unauthenticated")
      ? "NOAUTH" : codes.first { text.hasPrefix($0) || text.contains("-\($0) ") || text.contains(" \($0) ") }
    let (why, next): (String, String?) =
      switch code {
      case "NOAUTH": ("it wants a password", "put it into the URL: redis://:PASSWORD@HOST")
      case "WRONGPASS": ("user or password is wrong", "mend the URL; a % or @ in a password is written %25, %40")
      case "NOPERM": ("this user may not do that", "allow it EVAL, PUBLISH, SUBSCRIBE and the keys {baton}:*")
      case "READONLY": ("it is a replica, which is read only", "name the primary")
      case "OOM": ("its memory is full", "raise maxmemory; leases need maxmemory-policy noeviction")
      case "MISCONF": ("it refuses writes because it cannot save to its disk", "make room there; see its log")
      case "LOADING": ("it is still loading its data", "wait")
      case "MASTERDOWN": ("its primary is gone", "wait for the failover, or name the primary")
      case "BUSY": ("it is busy with somebody's script", "SCRIPT KILL ends it")
      case "WRONGTYPE", "FOREIGN":
        ("another program has keys that begin with {baton}:", "use a database of its own: redis://HOST/1")
      default: (String(text.prefix(200)), nil)
      }
    return StoreError(store, why, next: next)
  }
}
