import Foundation
import Glibc
import Leases
import LinuxSystem
import Testing
import Vocabulary

@testable import LeaseStores

/// A Redis of its own below a directory of its own, on a Unix socket.
final class RedisPlace: Place {
  let directory: String
  let address: RedisAddress
  private var server: SpawnedProcess?

  /// `options` as redis-server takes them.
  init(_ options: [String] = []) throws {
    directory = FileManager.default.temporaryDirectory.path + "/baton-redis-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    address = try RedisAddress("redis+unix://\(directory)/socket")
    try start(options)
  }

  deinit {
    stop()
    try? FileManager.default.removeItem(atPath: directory)
  }

  func start(_ options: [String] = []) throws {
    let program = try #require(
      findProgram("redis-server", in: "/", path: "/usr/bin:/usr/local/bin"), "install redis-server")
    let request = SpawnRequest(
      program: program,
      arguments: [
        "redis-server", "--port", "0", "--unixsocket", directory + "/socket", "--dir", directory, "--save", "",
        "--appendonly", "no",
      ] + options, environment: [:])
    server = try request.spawn()
    let deadline = Instant.monotonicNow() + .seconds(20)
    while (try? Connection.open(path: directory + "/socket")) == nil {
      try #require(Instant.monotonicNow() < deadline, "redis-server does not answer")
      poll(nil, 0, 5)
    }
  }

  func stop() {
    guard let server else { return }
    kill(server.pid, SIGKILL)
    waitpid(server.pid, nil, 0)
    self.server = nil
  }

  /// SIGSTOP, and on again.
  func pause(_ isPaused: Bool) { if let server { kill(server.pid, isPaused ? SIGSTOP : SIGCONT) } }

  @discardableResult
  func redis(_ words: String...) throws -> RedisValue {
    let deadline = Instant.monotonicNow() + .seconds(5)
    return try RedisConnection(address, until: deadline).ask(words, until: deadline)
  }

  func store(_ claimant: Claimant, listens: Bool) throws -> any LeaseStore {
    RedisLeaseStore(address, claimant: claimant, listens: listens)
  }

  var opener: @Sendable (Claimant) throws -> any LeaseStore {
    { [address] claimant in RedisLeaseStore(address, claimant: claimant) }
  }

  /// The server's own clock has to show it.
  func pass(_ time: Duration) throws {
    let begin = try milliseconds()
    while try milliseconds() <= begin + time.milliseconds { poll(nil, 0, 5) }
  }

  private func milliseconds() throws -> Int64 {
    let parts = try #require(try redis("TIME").list?.compactMap { $0.string.flatMap { Int64($0) } })
    return parts[0] * 1_000 + parts[1] / 1_000
  }
}
