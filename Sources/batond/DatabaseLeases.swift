import Glibc
import LeaseStores
import Leases
import LinuxSystem
import Vocabulary

/// Leases in a PostgreSQL, through a process of its own: libpq, and what it loads, stays out of the supervisor's memory, and
/// whatever it does there harms nobody else.
final class DatabaseLeases: LeaseStore {
  /// The one argument that makes a batond such a process.
  static let option = "--keep-leases"
  /// What it finds open: questions and answers, and what it tells by itself.
  static let questions: Int32 = 3
  static let news: Int32 = 4

  let news: Descriptor?
  private let talk: LineTalk
  private let patience: Duration
  /// Until its first answer: it has to connect.
  private var connecting: Duration?

  /// It is told the URL by its first line, where nobody else reads it.
  init(_ url: String, _ claimant: Claimant, _ patience: Duration) throws(StoreError) {
    self.patience = patience
    connecting = LeaseTiming(timeToLive: claimant.timeToLive).connecting
    do {
      let (ours, theirs) = try Self.pair()
      let (newsOfOurs, newsOfTheirs) = try Self.pair()
      var request = SpawnRequest(
        program: "/proc/self/exe", arguments: ["batond", Self.option], environment: Self.environment)
      request.standardError = try Descriptor.open("/dev/null", flags: O_WRONLY | O_CLOEXEC)
      request.descriptors = [theirs, newsOfTheirs]
      request.directory = "/"
      _ = try request.spawn()
      talk = LineTalk(ours)
      news = newsOfOurs
      try newsOfOurs.setNonblocking(true)
    } catch { throw StoreError("the helper for leases", "it cannot be started: \(error)") }
    try talk.send(
      "\(url)\t\(claimant.owner)\t\(claimant.label)\t\(claimant.timeToLive.milliseconds)\t\(patience.milliseconds)\n")
  }

  private static var environment: [String: String] {
    let names = ["PATH", "LANG", "TZ", "HOME", "PGSSLROOTCERT", "SSL_CERT_FILE"]
    return Dictionary(
      names.compactMap { name in getenv(name).map { (name, String(cString: $0)) } },
      uniquingKeysWith: { first, _ in first })
  }

  private static func pair() throws(SystemError) -> (Descriptor, Descriptor) {
    var ends: [Int32] = [0, 0]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    try retrying("make a socket pair") { socketpair(AF_UNIX, type, 0, &ends) }
    return (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
  }

  func ask(_ exchange: ExchangeID, _ request: StoreRequest) throws(StoreError) -> StoreAnswer {
    try talk.send(LeaseWire.question(exchange, request))
    let limit = patience + (connecting ?? .zero)
    connecting = nil
    guard let line = try talk.receive(within: limit) else {
      throw StoreError("the helper for leases", "no answer for \(limit.milliseconds) ms")
    }
    guard let answer = LeaseWire.answer(line) else {
      throw StoreError("the helper for leases", "what it says is no answer")
    }
    return try answer.get()
  }

  func takeNews() -> [LeaseName]? {
    var bytes = [UInt8](repeating: 0, count: 4_096)
    guard let news else { return nil }
    let count = read(news.raw, &bytes, bytes.count)
    // At its end the next question finds out.
    guard count > 0 else { return count == 0 ? nil : [] }
    let lines = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n")
    let names = lines.compactMap { LeaseName(rawValue: String($0)) }
    return names.count == lines.count ? names : nil
  }

  // Asked by `baton`, which has the store itself.
  func records() throws(StoreError) -> [LeaseRecord] { [] }
  func free(_ name: LeaseName) throws(StoreError) -> LeaseRecord? { nil }
  func forget(_ name: LeaseName) throws(StoreError) -> Bool { false }
}

/// Lines over a socket, one thread at each end.
final class LineTalk {
  private let socket: Descriptor
  private var pending: [UInt8] = []

  private static let mostBytes = 1 << 20

  init(_ socket: Descriptor) { self.socket = socket }

  var raw: Int32 { socket.raw }
  var hasLine: Bool { pending.contains(UInt8(ascii: "\n")) }

  func send(_ line: String) throws(StoreError) {
    var bytes = Array(line.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes {
        Glibc.send(socket.raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw StoreError("the helper for leases", "it has ended") }
      bytes = bytes.dropFirst(count)
    }
  }

  /// nil when nothing came in time.
  func receive(within limit: Duration) throws(StoreError) -> String? {
    let deadline = Instant.monotonicNow() + limit
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        defer { pending.removeFirst(end + 1) }
        return String(decoding: pending[..<end], as: UTF8.self)
      }
      let left = deadline - .monotonicNow()
      guard left > .zero else { return nil }
      var entry = pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, Int32(clamping: left.milliseconds + 1)) > 0 else { continue }
      var bytes = [UInt8](repeating: 0, count: 4_096)
      let count = read(socket.raw, &bytes, bytes.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0, pending.count < Self.mostBytes else {
        throw StoreError("the helper for leases", "it has ended")
      }
      pending += bytes.prefix(count)
    }
  }
}
