package import Deployment
internal import Glibc
internal import JSON
internal import Ledger
internal import LinuxSystem
internal import Vocabulary

/// `deploys/ledger.db`: every operation with its records, kept longer than their directories. Written with each record,
/// after the step log; everything in it can be made anew from the logs that are there, and is when the file is lost or
/// damaged.
///
/// No trouble with it stops an operation: it is told, and the next one makes good for it.
package final class DeployLedger {
  package let path: String
  /// What was set aside, made anew or could not be had: to be said aloud.
  package private(set) var news: [String] = []
  private var database: Database?
  private let effects: Effects

  /// The newest that are kept, and what their verdicts say of releases for longer.
  static let operationsKept = 1_000
  static let verdictsKept = 10_000

  /// Opens the file, or makes it, and brings it to what the step logs say.
  package init(_ layout: Layout, effects: Effects) {
    path = layout.ledger
    self.effects = effects
    guard access(layout.deploys, F_OK) == 0 else { return }
    open()
    guard database != nil else { return }
    for id in OperationIndex.all(layout) {
      let lines = StepLog.peek(layout, id)
      guard !lines.isEmpty, count(id) != lines.count, !StepLog.isAlive(layout, id) else { continue }
      if let trouble = write(lines) {
        news.append(trouble.what)
        break
      }
    }
  }

  private func open() {
    for attempt in 1...2 {
      if access(path, F_OK) != 0 { make() }
      guard access(path, F_OK) == 0 else { return }
      do throws(SQLiteError) {
        let database = try Self.connect(path)
        guard let refusal = try DeployLedgerSchema.schema.migrate(database) else {
          self.database = database
          return
        }
        switch refusal {
        case .newer(let version): return news.append("the ledger \(path) has version \(version), of a later baton")
        case .foreign: setAside("it has tables of another program", attempt)
        case .corrupt(let damage): setAside(damage, attempt)
        }
      } catch {
        guard error.isDamage else { return news.append("the ledger \(path) cannot be opened: \(error.detail)") }
        setAside(error.detail, attempt)
      }
    }
  }

  private static func connect(_ path: String) throws(SQLiteError) -> Database {
    let database = try Database(path: path)
    try database.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF")
    database.keepLog()
    return database
  }

  /// An empty file is a database without tables, and whoever opens it makes them: what goes wrong is met there again.
  private func make() {
    do throws(SystemError) {
      try effects.perform(.write, path) { () throws(SystemError) in
        _ = try Descriptor.open(path, flags: O_RDWR | O_CREAT, mode: 0o640)
        if let database = try? Self.connect(path) { _ = try? DeployLedgerSchema.schema.migrate(database) }
      }
    } catch {
      news.append("the ledger cannot be made: \(error)")
    }
  }

  private func setAside(_ why: String, _ attempt: Int) {
    guard attempt == 1 else { return news.append("the ledger \(path) cannot be made anew: \(why)") }
    let aside = "\(path).bad-\(RealTime.microseconds() / 1_000_000)"
    do throws(SystemError) {
      // The log first: a new file must not meet the old one's.
      for suffix in ["-wal", "-shm", ""] where access(path + suffix, F_OK) == 0 {
        try effects.perform(.rename, path + suffix) { () throws(SystemError) in
          if rename(path + suffix, aside + suffix) != 0 { throw SystemError("rename", path + suffix, errno: errno) }
        }
      }
      news.append("the ledger \(path) was damaged (\(why)): it is now \(aside), and a new one is made from the records")
    } catch {
      news.append("\(error)")
    }
  }

  // MARK: Writing

  /// Brings the records of one operation to `lines`; on the disk when it returns nil, unless the last of them is of a step
  /// that is under way: the log has that on the disk, a crash leaves the ledger whole without it, as it does before each
  /// write, and what is written next takes it along.
  package func write(_ lines: [LogLine]) -> StepFailure? {
    guard let summary = OperationSummary(lines.map { ($0.time, $0.entry) }), let last = lines.last else { return nil }
    guard let database else { return nil }
    let subject = "\(path): \(summary.operation) \(last.number)"
    do throws(LedgerWriteError) {
      try effects.perform(.record, subject) { () throws(LedgerWriteError) in
        do throws(SQLiteError) {
          // Source: https://www.sqlite.org/pragma.html#pragma_synchronous, NORMAL under WAL.
          try database.run("PRAGMA synchronous = \(last.entry.isUnderWay ? "NORMAL" : "FULL")")
          try database.transaction { () throws(SQLiteError) in try put(database, summary, lines) }
        } catch {
          throw LedgerWriteError(detail: error.detail)
        }
      }
      return nil
    } catch {
      return StepFailure(.failed, "the ledger \(path) cannot be written: \(error.detail)")
    }
  }

  private func put(_ database: Database, _ summary: OperationSummary, _ lines: [LogLine]) throws(SQLiteError) {
    let id = summary.operation.text
    let known = Int(try database.integer("SELECT count(*) FROM records WHERE operation = ?", id))
    if known > lines.count { try database.change("DELETE FROM records WHERE operation = ?", .text(id)) }
    for line in lines.dropFirst(known > lines.count ? 0 : known) {
      try database.change(
        "INSERT OR REPLACE INTO records VALUES(?, ?, ?, ?)", .text(id), .integer(Int64(line.number)),
        .integer(line.time.wall), .text(line.json.text))
    }
    let facts = summary.facts
    try database.change(
      "INSERT OR REPLACE INTO operations VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", .text(id),
      .integer(facts.sequence), .text(summary.intent.kind.rawValue), .text(summary.intent.who),
      .integer(summary.started), .integer(summary.ended), .text(summary.outcome?.rawValue),
      .text(facts.release?.text), .text(facts.previous?.text), .text(facts.commit),
      .text(summary.turn?.failure.what))
    try database.change("DELETE FROM steps WHERE operation = ?", .text(id))
    for step in summary.steps {
      try database.change(
        "INSERT INTO steps VALUES(?, ?, ?, ?, ?, ?)", .text(id), .text(step.step.rawValue), .integer(step.began),
        .integer(step.ended), .text(step.state.rawValue), .text(step.what))
    }
    try database.change("DELETE FROM verdicts WHERE operation = ?", .text(id))
    for (release, verdict) in summary.verdicts {
      try database.change(
        "INSERT OR REPLACE INTO verdicts VALUES(?, ?, ?, ?)", .text(id), .text(release.text),
        .text(verdict.rawValue), .integer(facts.sequence))
    }
    try database.run(DeployLedgerSchema.forget)
  }

  private func count(_ id: OperationID) -> Int {
    guard let database else { return 0 }
    return Int((try? database.integer("SELECT count(*) FROM records WHERE operation = ?", id.text)) ?? 0)
  }

  // MARK: Reading

  /// The highest place an operation had; 0 without any.
  package func lastSequence() -> Int64 { (try? database?.integer("SELECT max(sequence) FROM operations")) ?? 0 }

  /// The newest operations with their records, newest first, as another process may read them at any time.
  static func read(_ layout: Layout, limit: Int) throws(SQLiteError) -> [[LogLine]] {
    let database = try Database(path: layout.ledger, readOnly: true)
    let operations = try database.prepare("SELECT id FROM operations ORDER BY sequence DESC, started DESC LIMIT ?")
    try operations.bind(1, Int64(limit))
    var all: [[LogLine]] = []
    while try operations.step() {
      if let id = operations.text(0) { all.append(try records(database, id)) }
    }
    return all
  }

  static func read(_ layout: Layout, _ id: OperationID) throws(SQLiteError) -> [LogLine] {
    try records(try Database(path: layout.ledger, readOnly: true), id.text)
  }

  private static func records(_ database: Database, _ id: String) throws(SQLiteError) -> [LogLine] {
    let statement = try database.prepare("SELECT body FROM records WHERE operation = ? ORDER BY number")
    try statement.bind(1, id)
    var lines: [LogLine] = []
    while try statement.step() {
      guard let body = statement.text(0), let json = try? JSON(text: Array(body.utf8), limits: .reply),
        let line = try? LogLine(json: json)
      else { continue }
      lines.append(line)
    }
    return lines
  }

  /// Last words on releases, also of operations that are forgotten.
  static func verdicts(
    _ layout: Layout
  ) throws(SQLiteError) -> [(release: ReleaseID, verdict: ReleaseVerdict, sequence: Int64)] {
    let database = try Database(path: layout.ledger, readOnly: true)
    let statement = try database.prepare("SELECT release, verdict, sequence FROM verdicts ORDER BY sequence")
    var all: [(release: ReleaseID, verdict: ReleaseVerdict, sequence: Int64)] = []
    while try statement.step() {
      guard let release = statement.text(0), let verdict = statement.text(1).flatMap({ ReleaseVerdict(rawValue: $0) })
      else { continue }
      all.append((ReleaseID(release), verdict, statement.integer(2) ?? 0))
    }
    return all
  }
}

private struct LedgerWriteError: InjectableError {
  var detail: String
  init(detail: String) { self.detail = detail }
  init(injected errno: Int32, into effect: Effect) { detail = SystemError(injected: errno, into: effect).description }
}

extension Entry {
  /// Of a step that has begun and is not done.
  fileprivate var isUnderWay: Bool {
    switch self {
    case .intends, .knows: true
    case .began, .did, .turned, .undid, .couldNotUndo, .resumed, .ended: false
    }
  }
}
