/// What a migration must not do while the release before it still runs, or must not do at all.
package enum MigrationRule: String, Hashable, Sendable, CaseIterable {
  // Refused unless the file says `-- baton: contract`.
  case drop, truncate, rename
  case changesType = "changes-type"
  case setNotNull = "set-not-null"
  case addsNotNull = "adds-not-null"
  case rewrites, tightens, revokes
  case validatesAtOnce = "validates-at-once"
  case validatesTogether = "validates-together"
  case blockingIndex = "blocking-index"
  case everyRow = "every-row"
  case locks
  case noLockTimeout = "no-lock-timeout"
  case unseen

  // Refused always.
  case transaction
  case notAlone = "not-alone"
  case unnamedIndex = "unnamed-index"
  case outsideTransaction = "outside-transaction"
  case clientCommand = "client-command"
  case copy
  case quoting
  case pragma
  case advisory
  case unreadable, empty, directive
  case otherTool = "other-tool"

  /// A file that is marked as a contract may.
  package var isContract: Bool {
    switch self {
    case .drop, .truncate, .rename, .changesType, .setNotNull, .addsNotNull, .rewrites, .tightens, .revokes,
      .validatesAtOnce, .validatesTogether, .blockingIndex, .everyRow, .locks, .noLockTimeout, .unseen:
      true
    case .transaction, .notAlone, .unnamedIndex, .outsideTransaction, .clientCommand, .copy, .quoting, .pragma,
      .advisory, .unreadable, .empty, .directive, .otherTool:
      false
    }
  }

  /// Why it is dangerous.
  package var danger: String {
    switch self {
    case .drop: "the release that still runs, or the one gone back to, may use it; what is dropped does not come back"
    case .truncate: "the rows are gone for the release that still runs, and do not come back"
    case .rename: "the release that still runs knows only the old name"
    case .changesType: "the table is rewritten or checked while nobody can read it, and the old release may not bear it"
    case .setNotNull: "all rows are read while nobody can read or write the table"
    case .addsNotNull: "it fails where there are rows, and every insert of the old release fails"
    case .rewrites: "the whole table is written anew while nobody can read it"
    case .tightens: "what the old release does may be refused from now on"
    case .revokes: "the release that still runs may lose a right it needs"
    case .validatesAtOnce: "all rows are checked while nobody can write the table"
    case .validatesTogether: "the lock taken to add the constraint is held while all rows are checked"
    case .blockingIndex: "nobody can write the table as long as the index is built"
    case .everyRow: "every row is changed at once: locks until the end, and no row is left as it was"
    case .locks: "everybody who comes after waits for it"
    case .noLockTimeout: "a statement that waits for a lock makes all others wait behind it, for ever"
    case .unseen: "text that is put together when it runs cannot be checked"
    case .transaction: "the file runs in one transaction together with its record; this would end or nest it"
    case .notAlone: "it cannot run in a transaction, and after a failure half of the file would be done"
    case .unnamedIndex: "after a crash nobody could tell what is left of it"
    case .outsideTransaction: "it cannot run in a transaction and cannot be done twice"
    case .clientCommand: "only the client program understands it; the server never sees it"
    case .copy: "there is no stream of rows to copy from or to"
    case .quoting: "the file would be read otherwise from here on than it was checked"
    case .pragma: "inside a transaction it does nothing, or harms the file"
    case .advisory: "another deploy could begin while this one is under way"
    case .unreadable: "it cannot be divided into statements"
    case .empty: "nothing would be done, and the file would count as applied for ever"
    case .directive: "it would be taken for a remark"
    case .otherTool: "a part of this file undoes the other; run as a whole it does both"
    }
  }

  /// What to do instead.
  package func instead(_ dialect: SQLDialect) -> String {
    switch self {
    case .drop:
      "stop using it in one release, drop it in a file marked \"-- baton: contract\" that a later one brings"
    case .truncate: "delete what is known to be unused, in parts, or mark the file \"-- baton: contract\""
    case .rename: "add the new name, write both, move the readers, drop the old one in a contract"
    case .changesType: "add a column of the new type, write both, fill it in parts, move the readers, drop the old one"
    case .setNotNull:
      "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID in one file, VALIDATE CONSTRAINT in the next, then this"
    case .addsNotNull: "add it with a constant DEFAULT, or without NOT NULL and fill it first"
    case .rewrites: "add the column without it, set the default for new rows, fill the old ones in parts"
    case .tightens: "do it in a contract, when no release that was made for less still runs"
    case .revokes: "do it in a contract"
    case .validatesAtOnce:
      "add it with NOT VALID, then VALIDATE CONSTRAINT in a file of its own; for a key, CREATE UNIQUE INDEX CONCURRENTLY "
        + "in a file of its own, then ADD CONSTRAINT … USING INDEX"
    case .validatesTogether: "put VALIDATE CONSTRAINT into a file of its own"
    case .blockingIndex: "use CONCURRENTLY, alone in a file of its own"
    case .everyRow: "say WHERE, and do large tables in parts"
    case .locks: "leave it out: each statement takes the lock it needs"
    case .noLockTimeout: "leave lock-timeout of [migrate] in force, or set a larger one"
    case .unseen: "write the statements out, or mark the file \"-- baton: contract\""
    case .transaction: "leave it out; SAVEPOINT is possible"
    case .notAlone: "put it alone into a file of its own, which then runs outside a transaction"
    case .unnamedIndex: "name the index"
    case .outsideTransaction: "do it by hand, outside a deploy"
    case .clientCommand: "write it in SQL"
    case .copy: "use INSERT, or load the rows by the program's own tool"
    case .quoting: "leave it out; write E'…' where a backslash shall escape"
    case .pragma: "leave it out; foreign keys are checked before each commit"
    case .advisory: "leave it out"
    case .unreadable: "correct it there"
    case .empty: "write the migration, or remove the file"
    case .directive:
      "\"-- baton: contract\" and \"-- baton: out-of-order\" are known, and stand before the first statement"
    case .otherTool:
      "keep the part that goes forward, alone in the file, or let that tool run as [migrate] command"
    }
  }
}

/// One thing a migration must not do, and where it does it.
package struct MigrationFinding: Hashable, Sendable {
  package let rule: MigrationRule
  /// The file's name.
  package let file: String
  package let position: TextPosition
  /// What was found: `DROP COLUMN email of users`.
  package let what: String
  package let instead: String

  package var danger: String { rule.danger }

  /// `004_clean.sql:3:1: DROP TABLE old_users: …; instead: …`
  package var text: String { "\(file):\(position): \(what): \(danger); instead: \(instead)" }
}
