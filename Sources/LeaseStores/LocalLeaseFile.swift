internal import Glibc
internal import Leases
internal import Ledger
internal import LinuxSystem
internal import Vocabulary

/// The database of a ``LocalLeaseStore``, and what can be wrong with it in words.
final class LocalLeaseFile {
  enum Value {
    case text(String)
    case number(Int64)
    case token(LeaseToken)
  }

  private let path: String
  private let database: Database
  private let place: FilePlace
  /// nil: not yet said.
  private var isDurable: Bool?

  /// "BTLS", so that nobody's database is taken for one of leases. Source: sqlite.org/pragma.html#pragma_application_id
  private static let applicationID = 0x4254_4C53
  private static let version = 1
  private static let schema = """
    CREATE TABLE lease (
      name TEXT PRIMARY KEY, token INTEGER NOT NULL, owner TEXT, label TEXT, exchange INTEGER, boot TEXT, until INTEGER
    ) STRICT;
    CREATE TABLE instance (owner TEXT PRIMARY KEY, label TEXT, boot TEXT, until INTEGER) STRICT;
    CREATE TABLE floor (token INTEGER NOT NULL) STRICT;
    INSERT INTO floor VALUES (0);
    PRAGMA application_id = \(applicationID);
    PRAGMA user_version = \(version);
    """

  init(_ path: String) throws(StoreError) {
    self.path = path
    do throws(SQLiteError) {
      database = try Database(path: path)
      try database.run("PRAGMA journal_mode = WAL")
      place = FilePlace(path)
    } catch { throw Self.failure(path, error) }
    try prepareSchema()
  }

  private func prepareSchema() throws(StoreError) {
    var application: Int64 = 0
    var version: Int64 = 0
    try act(durably: true) { () throws(SQLiteError) in
      application = try self.database.integer("PRAGMA application_id")
      version = try self.database.integer("PRAGMA user_version")
      let isEmpty = try self.database.integer("SELECT count(*) FROM sqlite_schema") == 0
      guard application == 0, version == 0, isEmpty else { return }
      try self.database.run(Self.schema)
      (application, version) = (Int64(Self.applicationID), Int64(Self.version))
    }
    guard application == Self.applicationID else {
      throw StoreError(path, "this is a database of something else", next: "name another file as the store")
    }
    guard version == Self.version else {
      throw StoreError(path, "written by a later version of baton", next: "use that version, or another file")
    }
  }

  /// Which instance has which lease, and how much others had written by then.
  struct Holders {
    fileprivate var writes: Int64 = 0
    fileprivate var owners: [LeaseName: String] = [:]

    func differences(from before: Holders) -> [LeaseName] {
      Set(owners.keys).union(before.owners.keys).filter { owners[$0] != before.owners[$0] }.sorted()
    }
  }

  /// As they are now; as they were where nobody else has written since. Our own renewals must be no news to us, and those of
  /// others none that is answered by a renewal: each would be news again. Source: sqlite.org/pragma.html#pragma_data_version
  func holders(since before: Holders? = nil) throws(StoreError) -> Holders {
    do throws(SQLiteError) {
      var now = Holders(writes: try database.integer("PRAGMA data_version"))
      if let before, before.writes == now.writes { return before }
      let statement = try database.prepare("SELECT name, token, owner FROM lease")
      while try statement.step() {
        guard let name = statement.text(0).flatMap(LeaseName.init(rawValue:)) else { continue }
        now.owners[name] = "\(statement.integer(1) ?? 0) \(statement.text(2) ?? "")"
      }
      return now
    } catch { throw Self.failure(path, error) }
  }

  func prepare(_ sql: String) throws(SQLiteError) -> Statement { try database.prepare(sql) }
  func integer(_ sql: String) throws(SQLiteError) -> Int64 { try database.integer(sql) }

  func change(_ sql: String, _ values: Value...) throws(SQLiteError) {
    let statement = try database.prepare(sql)
    for (index, value) in values.enumerated() {
      let place = Int32(index + 1)
      switch value {
      case .text(let text): try statement.bind(place, text)
      case .number(let number): try statement.bind(place, number)
      case .token(let token): try statement.bind(place, Int64(clamping: token.number))
      }
    }
    _ = try statement.step()
  }

  /// All of it or nothing, and nobody else meanwhile.
  ///
  /// What is not done `durably` may be lost with the power, and the leases are free then anyway. It keeps the file for
  /// microseconds instead of a disk's milliseconds: a process that is stopped just then keeps everybody out until it goes on.
  ///
  /// - Throws: also when another file lies there, or none: whoever comes now would share nothing with us.
  func act(durably: Bool = false, _ body: () throws(SQLiteError) -> Void) throws(StoreError) {
    guard place.isUnchanged else {
      throw StoreError(
        path, "it was moved away or deleted while it was in use", next: "it is made anew at the next try")
    }
    do throws(SQLiteError) {
      if isDurable != durably { try database.run("PRAGMA synchronous = \(durably ? "FULL" : "NORMAL")") }
      isDurable = durably
      try database.transaction(body)
    } catch { throw Self.failure(path, error) }
  }

  private static func failure(_ path: String, _ error: SQLiteError) -> StoreError {
    let next: String? =
      switch error.primary {
      // SQLITE_BUSY, SQLITE_LOCKED: another process writes for half a second.
      case 5, 6: "try again; if it stays so, a program holds the file (fuser \(path))"
      case 8, 14: "make the file and its directory writable for this user, or name another store (--store)"
      case 13: "make room on its disk"
      case 11, 26: "move the file away when none of its leases is held; a new one is made"
      default: nil
      }
    return StoreError(path, error.detail, next: next)
  }
}

/// Tells of writes to a database in WAL mode. Refused questions write nothing, so waiting wakes nobody.
enum FileChanges {
  /// nil where the kernel has no watch left: who waits asks now and then all the same.
  static func watch(_ path: String) -> Descriptor? {
    let raw = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
    guard raw >= 0 else { return nil }
    let descriptor = Descriptor(owning: raw)
    // It is made when it is opened first, and stays as long as somebody has it open, which we do.
    guard inotify_add_watch(raw, path + "-wal", UInt32(IN_MODIFY)) >= 0 else { return nil }
    return descriptor
  }

  static func take(_ descriptor: Descriptor) {
    var events = [UInt8](repeating: 0, count: 4_096)
    while read(descriptor.raw, &events, events.count) > 0 {}
  }
}
