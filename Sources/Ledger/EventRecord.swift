package import Vocabulary

/// One thing that happened, as the ledger keeps it. Texts longer than ``textLimit`` are cut.
package struct EventRecord: Hashable, Sendable {
  /// Microseconds since 1970, for people.
  package var time: Int64
  /// Which boot ``monotonic`` belongs to: /proc/sys/kernel/random/boot_id.
  package var boot: String
  package var monotonic: Instant
  /// A word with hyphens: `worker-ready`.
  package var kind: String
  package var service: ServiceName
  /// A sentence for people.
  package var text: String?
  package var engine: EngineName?
  /// `web.2`
  package var worker: String?
  package var generation: GenerationID?
  package var release: ReleaseID?
  package var operation: OperationID?
  package var from: String?
  package var to: String?
  package var reason: String?
  package var pid: Int32?

  /// Bytes of one text, so that no worker's last words fill the disk.
  package static let textLimit = 4_096

  package init(
    time: Int64, boot: String, monotonic: Instant, kind: String, service: ServiceName, text: String? = nil,
    engine: EngineName? = nil, worker: String? = nil, generation: GenerationID? = nil, release: ReleaseID? = nil,
    operation: OperationID? = nil, from: String? = nil, to: String? = nil, reason: String? = nil, pid: Int32? = nil
  ) {
    self.time = time
    self.boot = boot
    self.monotonic = monotonic
    self.kind = kind
    self.service = service
    self.text = text.map(Self.cut)
    self.engine = engine
    self.worker = worker
    self.generation = generation
    self.release = release
    self.operation = operation
    self.from = from.map(Self.cut)
    self.to = to.map(Self.cut)
    self.reason = reason.map(Self.cut)
    self.pid = pid
  }

  static func cut(_ text: String) -> String {
    guard text.utf8.count > textLimit else { return text }
    var end = text.utf8.index(text.utf8.startIndex, offsetBy: textLimit - 3)
    // Back to the start of a scalar.
    while end > text.utf8.startIndex, text.utf8[end] & 0xC0 == 0x80 { end = text.utf8.index(before: end) }
    return String(text[..<end]) + "…"
  }
}

/// A long act and how it ended. Recorded when it begins and again, with the same id, when it ends; each record is on the
/// disk (fsync) before its completion is called.
package struct OperationRecord: Hashable, Sendable {
  package var id: OperationID
  package var service: ServiceName
  /// `reload`, `start`
  package var act: String
  /// Microseconds since 1970.
  package var started: Int64
  package var ended: Int64?
  /// A word: `running`, `done`, `failed`.
  package var state: String
  /// The three lines of an outcome: what failed, what holds now, what to do next.
  package var what: String?
  package var holds: String?
  package var next: String?
  package var generation: GenerationID?
  package var release: ReleaseID?

  package init(
    id: OperationID, service: ServiceName, act: String, started: Int64, ended: Int64? = nil, state: String,
    what: String? = nil, holds: String? = nil, next: String? = nil, generation: GenerationID? = nil,
    release: ReleaseID? = nil
  ) {
    self.id = id
    self.service = service
    self.act = act
    self.started = started
    self.ended = ended
    self.state = state
    self.what = what.map(EventRecord.cut)
    self.holds = holds.map(EventRecord.cut)
    self.next = next.map(EventRecord.cut)
    self.generation = generation
    self.release = release
  }
}
