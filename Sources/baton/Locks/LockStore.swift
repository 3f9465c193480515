import ControlProtocol
import Databases
import Deployment
import Glibc
import LeaseStores
import Leases
import LinuxSystem
import Vocabulary

/// Where locks lie: `--store`, or BATON_LOCK_STORE, or this user's own file.
struct LockStore: Sendable, CustomStringConvertible {
  private enum Place: Sendable {
    case file(String)
    /// Ours to make, with the directories above it.
    case ownFile(String)
    case redis(RedisAddress)
    case postgres(DatabaseAddress)
  }

  private let place: Place

  /// root's file is the host's; everybody else has one of their own.
  init(_ given: String?) throws {
    guard let given = given ?? Host.variable("BATON_LOCK_STORE") else {
      place = .ownFile(try Self.ownFile())
      return
    }
    guard let colon = given.firstRange(of: "://") else {
      place = .file(try DeployedService.absolute(given))
      return
    }
    let kind = String(given[..<colon.lowerBound])
    switch kind {
    case "redis", "rediss", "redis+unix":
      do throws(StoreError) { place = .redis(try RedisAddress(given)) } catch {
        throw Failure(.usage, "\(error)", next: error.next)
      }
    case "postgres", "postgresql":
      do throws(StepFailure) { place = .postgres(try DatabaseAddress(given)) } catch {
        throw Failure(.usage, error.what, next: "it is postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE")
      }
    default:
      throw Failure(
        .usage, "there is no store of the kind \(plain(kind))",
        next: "--store takes the path of a file, redis://HOST[:PORT][/DB], or postgres://HOST[:PORT]/DATABASE")
    }
  }

  private static func ownFile() throws -> String {
    if geteuid() == 0 { return "/var/lib/baton/leases.db" }
    if let state = Host.variable("XDG_STATE_HOME"), state.hasPrefix("/") { return "\(state)/baton/leases.db" }
    if let home = Host.variable("HOME") { return "\(home)/.local/state/baton/leases.db" }
    throw Failure(.usage, "there is no HOME to keep locks in", next: "say where with --store")
  }

  /// Holds no secret.
  var description: String {
    switch place {
    case .file(let path), .ownFile(let path): path
    case .redis(let address): "\(address)"
    case .postgres(let address): "\(address)"
    }
  }

  /// False when no lock can have been taken here yet.
  var exists: Bool {
    switch place {
    case .file(let path), .ownFile(let path): access(path, F_OK) == 0
    case .redis, .postgres: true
    }
  }

  func open(_ claimant: Claimant, listens: Bool) throws(StoreError) -> any LeaseStore {
    let patience = LeaseTiming(timeToLive: claimant.timeToLive).retry
    switch place {
    case .file(let path): return try LocalLeaseStore(path: path, claimant: claimant, listens: listens)
    case .ownFile(let path):
      Self.makeDirectories(above: path)
      return try LocalLeaseStore(path: path, claimant: claimant, listens: listens)
    case .redis(let address):
      return RedisLeaseStore(address, claimant: claimant, listens: listens, patience: patience)
    case .postgres(let address):
      return try PostgresLeaseStore(address, claimant: claimant, listens: listens, patience: patience)
    }
  }

  /// What cannot be made is said when the file is opened.
  private static func makeDirectories(above path: String) {
    var end = path.startIndex
    while let slash = path[path.index(after: end)...].firstIndex(of: "/") {
      mkdir(String(path[..<slash]), geteuid() == 0 ? 0o755 : 0o700)
      end = slash
    }
  }

  /// For looking and clearing up: `body` once, with failures in words.
  func ask<Answer>(_ body: (any LeaseStore) throws(StoreError) -> Answer) throws -> Answer {
    do throws(StoreError) {
      return try body(try open(Claimant(label: Self.label(nil), timeToLive: .seconds(30)), listens: false))
    } catch { throw Failure(error) }
  }

  /// `WHO@HOST:PID`, where a name given by a person stands for who.
  static func label(_ given: String?) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    gethostname(&buffer, buffer.count - 1)
    let host = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return "\(given ?? Users.name(of: geteuid()) ?? "uid \(geteuid())")@\(host):\(getpid())"
  }
}

extension Failure {
  init(_ error: StoreError) {
    self.init(.unreachable, "\(error)", holds: "nothing was changed", next: error.next)
  }
}

/// Which owners a person means: `worker`, `worker@host`, `worker@host:1234`, or the random id.
struct OwnerPattern {
  let text: String

  func matches(_ record: LeaseRecord) -> Bool {
    if let holder = record.holder { return holder.owner.text == text || matches(holder.label) }
    return matches(record.last)
  }

  private func matches(_ label: String) -> Bool {
    guard label.hasPrefix(text) else { return false }
    let rest = label.dropFirst(text.count)
    return rest.isEmpty || rest.hasPrefix("@") || (text.contains("@") && rest.hasPrefix(":"))
  }
}
