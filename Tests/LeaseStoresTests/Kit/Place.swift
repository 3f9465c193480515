import Foundation
import LeaseStores
import Leases
import LinuxSystem
import Testing
import Vocabulary

/// Somewhere leases can lie, empty, for one test; everything below asks it through ``LeaseStore`` alone.
protocol Place: AnyObject {
  /// A connection of its own, as another process would have it.
  func store(_ claimant: Claimant, listens: Bool) throws -> any LeaseStore
  /// The same for another thread.
  var opener: @Sendable (Claimant) throws -> any LeaseStore { get }
  /// Until `time` has passed by the store's clock.
  func pass(_ time: Duration) throws
}

extension Place {
  /// How long a lease lasts in these tests. Long enough for a slow machine between two questions.
  var timeToLive: Duration { .seconds(1) }

  func asker(_ label: String, listens: Bool = false) throws -> Asker {
    let claimant = Claimant(label: label, timeToLive: timeToLive)
    return Asker(claimant, try store(claimant, listens: listens), in: self)
  }
}

/// One claimant with its store and its rising numbers.
final class Asker {
  let claimant: Claimant
  let store: any LeaseStore
  /// There as long as it is asked.
  private let place: (any Place)?
  private(set) var last: UInt64 = 0

  init(_ claimant: Claimant, _ store: any LeaseStore, in place: (any Place)? = nil) {
    self.place = place
    self.claimant = claimant
    self.store = store
  }

  func next() -> ExchangeID {
    last += 1
    return ExchangeID(last)
  }

  func ask(_ request: StoreRequest) throws -> StoreAnswer { try store.ask(next(), request) }

  /// nil when another has it.
  func acquire(_ name: LeaseName, above: UInt64 = 0) throws -> LeaseToken? {
    if case .granted(let token) = try ask(.acquire(name, above: LeaseToken(above))) { token } else { nil }
  }

  func renew(_ name: LeaseName, _ token: LeaseToken) throws -> Renewal? {
    if case .beaten(let renewals) = try ask(.beat([name: token])) { renewals[name] } else { nil }
  }

  func release(_ name: LeaseName) throws { _ = try ask(.release(name)) }
}

/// A file in a directory of its own, with a clock that the test moves.
final class LocalPlace: Place {
  let directory: String
  var path: String { directory + "/leases.db" }
  var now = BootInstant.now()
  var boot = "boot-1"

  init() throws {
    directory = FileManager.default.temporaryDirectory.path + "/baton-leases-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  func store(_ claimant: Claimant, listens: Bool) throws -> any LeaseStore {
    try LocalLeaseStore(path: path, claimant: claimant, listens: listens, boot: boot) { [unowned self] in now }
  }

  var opener: @Sendable (Claimant) throws -> any LeaseStore {
    { [path, boot] claimant in try LocalLeaseStore(path: path, claimant: claimant, boot: boot) }
  }

  func pass(_ time: Duration) { now = now + time }
}

/// The stores there are on this machine.
enum PlaceKind: String, CaseIterable, CustomTestStringConvertible {
  case local, redis, postgres

  var testDescription: String { rawValue }

  func make() throws -> any Place {
    switch self {
    case .local: try LocalPlace()
    case .redis: try RedisPlace()
    case .postgres: try PostgresPlace()
    }
  }
}
