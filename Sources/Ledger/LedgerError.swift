/// Why the ledger cannot be written or read. The service runs on; only its history suffers.
package struct LedgerError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    /// No room on the disk, or a quota is used up.
    case full
    case readOnly
    /// The file is no database, or a damaged one.
    case corrupt
    /// It cannot be opened or created.
    case noAccess
    /// Written by a later version of batond.
    case newer
    /// A database of something else.
    case foreign
    /// Another process holds it.
    case locked
    /// The disk failed in another way.
    case broken
    /// Closed already, or too many questions wait.
    case unavailable
  }

  package var kind: Kind
  package var path: String
  /// What SQLite and the kernel say.
  package var detail: String

  package init(_ kind: Kind, path: String, detail: String) {
    self.kind = kind
    self.path = path
    self.detail = detail
  }

  /// What a person can do about it.
  package var remedy: String {
    switch kind {
    case .full: "make room on its disk; what happens meanwhile is kept in memory and written then"
    case .readOnly: "make its disk and directory writable for batond"
    case .corrupt: "move the file away; a new one is made, and nothing else depends on it"
    case .noAccess: "see that its directory exists and that batond may write there"
    case .newer: "use the later batond, or move the file away"
    case .foreign: "move the file away, or give batond another state directory"
    case .locked: "end the program that holds it"
    case .broken: "look at the disk (dmesg)"
    case .unavailable: "ask again"
    }
  }

  package var description: String { "the ledger \(path) is \(words): \(detail); \(remedy)" }

  private var words: String {
    switch kind {
    case .full: "on a full disk"
    case .readOnly: "read-only"
    case .corrupt: "damaged"
    case .noAccess: "out of reach"
    case .newer: "of a later version"
    case .foreign: "not batond's"
    case .locked: "held by another process"
    case .broken: "on a disk that fails"
    case .unavailable: "not available"
    }
  }
}

/// What the ledger has to say by itself, each once.
package enum LedgerNews: Hashable, Sendable {
  /// Records are kept in memory from now on, as many as fit, and writing is tried again.
  case failing(LedgerError)
  /// What memory still had has been written; so many records were lost meanwhile.
  case recovered(lost: UInt64)
}
