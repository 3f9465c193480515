import Glibc
import LinuxSystem
import Synchronization
import Vocabulary

@testable import Ledger

/// A directory of its own; gone with the last reference.
final class LedgerFixture: Sendable {
  let directory: String
  var path: String { "\(directory)/ledger.db" }

  init() {
    var template = Array("/tmp/ledger-tests-XXXXXX".utf8CString)
    directory = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
  }

  deinit { Self.remove(directory) }

  private static func remove(_ path: String) {
    for name in (try? directoryEntries(path)) ?? [] { remove("\(path)/\(name)") }
    _ = Glibc.remove(path)
  }

  func write(_ name: String, _ bytes: [UInt8]) {
    let descriptor = open("\(directory)/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
  }

  static func event(_ number: Int, kind: String = "worker-ready") -> EventRecord {
    EventRecord(
      time: 1_700_000_000_000_000 + Int64(number), boot: "boot", monotonic: Instant(nanoseconds: Int64(number)),
      kind: kind, service: ServiceName(unchecked: "hotgo"), text: "number \(number)",
      generation: GenerationID(UInt64(number)))
  }

  static func operation(_ number: Int, state: String = "running") -> OperationRecord {
    OperationRecord(
      id: OperationID("reload-\(number)"), service: ServiceName(unchecked: "hotgo"), act: "reload",
      started: Int64(number), state: state)
  }
}

/// A ledger whose answers can be awaited and whose news are kept.
final class WatchedLedger: Sendable {
  let ledger: Ledger
  let news: AsyncStream<LedgerNews>
  private let heard: AsyncStream<LedgerNews>.Continuation

  init(_ path: String, capacity: Int = Ledger.capacity) throws {
    let (news, heard) = AsyncStream.makeStream(of: LedgerNews.self)
    self.news = news
    self.heard = heard
    ledger = try Ledger(
      path: path, capacity: capacity, retryAfter: .milliseconds(10), post: { $0() }, news: { heard.yield($0) })
  }

  func flush() async -> LedgerError? {
    await withCheckedContinuation { done in ledger.flush { done.resume(returning: $0) } }
  }

  func checkpoint() async -> LedgerError? {
    await withCheckedContinuation { done in ledger.checkpoint { done.resume(returning: $0) } }
  }

  func events(_ limit: Int = 1_000_000) async -> LedgerReading<EventRecord> {
    await withCheckedContinuation { done in ledger.events(limit: limit) { done.resume(returning: $0) } }
  }

  func operations(_ limit: Int = 1_000_000) async -> LedgerReading<OperationRecord> {
    await withCheckedContinuation { done in ledger.operations(limit: limit) { done.resume(returning: $0) } }
  }

  @discardableResult
  func close(within limit: Duration = .seconds(30)) async -> LedgerClosing {
    await withCheckedContinuation { done in
      ledger.close(deadline: Instant.monotonicNow() + limit) { done.resume(returning: $0) }
    }
  }

  /// The next news, which must come.
  func nextNews() async -> LedgerNews? {
    for await item in news { return item }
    return nil
  }
}

/// Runs a program to its end; its exit status.
func run(_ program: String, _ arguments: String...) -> Int32 {
  var pid = pid_t()
  var pointers: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
  defer { pointers.forEach { free($0) } }
  guard posix_spawn(&pid, program, nil, nil, &pointers, nil) == 0 else { return -1 }
  var status: Int32 = 0
  while waitpid(pid, &status, 0) < 0, errno == EINTR {}
  return status
}
