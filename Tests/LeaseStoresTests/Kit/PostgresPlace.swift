import Databases
import Foundation
import Glibc
import Leases
import LinuxSystem
import Synchronization
import Testing
import Vocabulary

@testable import LeaseStores

/// A PostgreSQL below a directory of its own, on a Unix socket, started once for all tests of this process, with an empty
/// database for each of them.
final class PostgresPlace: Place {
  let url: String
  let address: DatabaseAddress
  private static let counter = Atomic<Int>(0)

  init() throws {
    let server = try Self.server.get()
    let name = "place_\(Self.counter.add(1, ordering: .relaxed).newValue)"
    try Self.query(server.url("postgres"), "CREATE DATABASE \(name)")
    url = server.url(name)
    address = try DatabaseAddress(url)
  }

  func store(_ claimant: Claimant, listens: Bool) throws -> any LeaseStore {
    try PostgresLeaseStore(address, claimant: claimant, listens: listens)
  }

  var opener: @Sendable (Claimant) throws -> any LeaseStore {
    { [address] claimant in try PostgresLeaseStore(address, claimant: claimant) }
  }

  @discardableResult
  static func query(_ url: String, _ sql: String) throws -> [[String?]] {
    let patience = DatabasePatience(.seconds(20), abort: nil)
    return try PostgresConnection(try DatabaseAddress(url), url: url, name: "tests", patience).query(sql, [], patience)
      .rows
  }

  @discardableResult
  func query(_ sql: String) throws -> [[String?]] { try Self.query(url, sql) }

  /// The server's own clock has to show it.
  func pass(_ time: Duration) throws { try query("SELECT pg_sleep(\(time.milliseconds + 1)::float8 / 1000)") }

  // MARK: - The server

  struct Server: Sendable {
    let directory: String
    func url(_ name: String) -> String { "postgresql://postgres@/\(name)?host=\(directory)" }
  }

  private static let server = Result { try start() }

  /// It ends with this process: whoever waits for its standard input to be closed stops it.
  private static func start() throws -> Server {
    let tools = try #require(
      try directoryEntries("/usr/lib/postgresql").sorted().last.map { "/usr/lib/postgresql/\($0)/bin" },
      "install postgresql")
    var template = Array("/tmp/baton-leases-pg-XXXXXX".utf8CString)
    let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
    let script = """
      cd /
      [ "$(id -u)" != 0 ] || { chown postgres "$0"; become='setpriv --reuid=postgres --regid=postgres --clear-groups'; }
      $become "$1/initdb" -D "$0/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync > "$0/log" 2>&1
      $become "$1/postgres" -D "$0/data" -k "$0" -c listen_addresses= -c fsync=off -c max_connections=60 >> "$0/log" 2>&1 &
      read -r line
      kill -INT $!
      wait $!
      rm -rf "$0"
      """
    var request = SpawnRequest(
      program: "/bin/sh", arguments: ["sh", "-c", script, directory, tools], environment: ["PATH": "/usr/bin:/bin"])
    let (reader, writer) = try Descriptor.pipe()
    request.standardInput = reader
    _ = try request.spawn()
    _ = writer.take()
    let server = Server(directory: directory)
    let deadline = Instant.monotonicNow() + .seconds(60)
    while (try? query(server.url("postgres"), "SELECT 1")) == nil {
      try #require(Instant.monotonicNow() < deadline, "PostgreSQL does not answer")
      poll(nil, 0, 50)
    }
    return server
  }
}
