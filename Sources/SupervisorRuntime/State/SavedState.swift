package import JSON
package import Settings
package import Supervision
package import Vocabulary

/// What of the supervisor outlives its program image: everything that the next image of it must know to go on where this
/// one stopped. A value; descriptors are numbers in it, and only of use in the process that wrote it.
///
/// Written only while the core is at rest (``Supervision/Supervisor/unrest``). Its form is JSON: see
/// docs/decisions/0010.
package struct SavedState: Hashable, Sendable {
  /// The form this program writes.
  package static let format: Int64 = 2
  /// The oldest program that reads this form is one that knows this number. Grows only when one that does not know what
  /// was added would decide wrongly.
  /// One that knows nothing of leases would start engines without theirs.
  package var readableBy: Int64 {
    let hasLeases = generations.contains { $0.settings.engines.contains { $0.lease != nil } }
    return hasLeases || leases != nil ? 2 : 1
  }
  /// Ten times what 500 workers in three generations take.
  package static let limits = JSON.Limits(bytes: 16 * 1024 * 1024, values: 2_000_000)

  /// The version of the program that wrote it.
  package var writer: String
  package var service: ServiceName
  package var pid: Int32
  package var startedAt: Instant
  package var core: Supervisor
  /// Of the same generations as the core's.
  package var generations: [ResolvedGeneration]
  package var settingsWarnings: [String]
  package var lastOutcome: OperationOutcome?
  package var lastChange: SavedChange?
  package var changeStartedAt: Instant?
  package var workers: [SavedWorker]
  package var listeners: [SavedListener]
  package var history: SavedHistory
  /// Commands that were under way for a worker: to be ended, since nobody waits for their answer any more.
  package var commands: [Int32]
  /// Those that waited for their turn, in their order.
  package var reloads: [SavedReload] = []
  package var control: SavedControl
  package var upgrade: SavedUpgrade
  /// Where what a crash must leave is written.
  package var crashMemory: Int32?
  package var cuts = Cuts()
  /// Nobody keeps what is given to the manager.
  package var isStoreMissing = false
  package var leases: SavedLeases?

  /// Every descriptor that goes along.
  package var descriptors: [Int32] {
    listeners.map(\.descriptor) + workers.flatMap(\.descriptors) + control.descriptors + [crashMemory].compactMap { $0 }
  }
}

/// Which generation was to follow which.
package struct SavedChange: Hashable, Sendable {
  package var from: GenerationID?
  package var to: GenerationID
}

/// A reload that waited for its turn.
package struct SavedReload: Hashable, Sendable {
  package var operation: OperationID
  package var wish: ReloadWish
  package var askedAt: Instant

  package init(operation: OperationID, wish: ReloadWish, askedAt: Instant) {
    self.operation = operation
    self.wish = wish
    self.askedAt = askedAt
  }
}

/// Who asked for the upgrade, and what was in place before.
package struct SavedUpgrade: Hashable, Sendable {
  package var operation: OperationID
  package var startedAt: Instant
  /// When nobody supervised any more.
  package var leftAt: Instant
  package var from: String

  package init(operation: OperationID, startedAt: Instant, leftAt: Instant, from: String) {
    self.operation = operation
    self.startedAt = startedAt
    self.leftAt = leftAt
    self.from = from
  }
}

/// The control socket with those who wait on it, and the lock of the service.
package struct SavedControl: Hashable, Sendable {
  package enum Wait: String, Hashable, Sendable {
    /// For the verdict on the upgrade.
    case verdict
    /// For what happens.
    case events
    /// For the verdict on a reload that waited.
    case reload
    /// For nothing: what it asks is still to come.
    case call
  }

  package struct Connection: Hashable, Sendable {
    package var descriptor: Int32
    package var wait: Wait
    /// The caller takes several replies.
    package var more: Bool
    /// The reload.
    package var operation: OperationID?

    package init(descriptor: Int32, wait: Wait, more: Bool, operation: OperationID? = nil) {
      self.operation = operation
      self.descriptor = descriptor
      self.wait = wait
      self.more = more
    }
  }

  package var listener: Int32
  package var lock: Int32
  package var connections: [Connection]
  /// The group whose members may command the service, as it was known last.
  package var operators: UInt32?

  package init(listener: Int32, lock: Int32, connections: [Connection], operators: UInt32?) {
    self.operators = operators
    self.listener = listener
    self.lock = lock
    self.connections = connections
  }

  var descriptors: [Int32] { [listener, lock] + connections.map(\.descriptor) }
}

/// What happened and may not be in the ledger yet.
package struct SavedHistory: Hashable, Sendable {
  package var nextNumber: UInt64
  package var unrecorded: [History.Entry]
}

/// A worker's process.
package struct SavedWorker: Hashable, Sendable {
  package var id: WorkerID
  package var pid: Int32
  package var port: UInt16?
  package var startedAtWallMicroseconds: Int64
  package var statusText: String?
  package var hasExited: Bool
  package var isKilled: Bool
  package var notify: Int32
  package var notifyPath: String
  package var output: SavedStream?
  package var error: SavedStream?
  package var lastLines: [[UInt8]]

  var descriptors: [Int32] { [notify] + [output, error].compactMap { $0?.descriptor } }
}

/// The reading end of a worker's pipe, with what was read of it and is no whole line yet.
package struct SavedStream: Hashable, Sendable {
  package var descriptor: Int32
  package var unread: [UInt8]
  /// The rest of a line that was too long is still to be passed over.
  package var isSkipping: Bool
}

/// A listening socket.
package struct SavedListener: Hashable, Sendable {
  package var id: ListenerID
  /// Of the generation whose settings it was made from.
  package var socket: Settings.Socket
  package var address: SocketAddress
  package var storeName: String
  package var descriptor: Int32
  package var isPermanent: Bool
  package var privatePath: String?
  /// Nobody has shut it down.
  package var isWatched: Bool
  /// The group has no program yet.
  package var isUnsteered: Bool
}
