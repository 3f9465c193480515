package import JSON
package import Leases
package import Supervision
package import Vocabulary

/// What must be known of a life of the supervisor that ended without notice: written before each decision is acted on, and
/// read by the next life. See docs/decisions/0011.
package struct CrashRecord: Hashable, Sendable {
  /// The form this program writes.
  package static let format: Int64 = 2
  /// As ``SavedState/readableBy``; where leases are wanted, ``format``.
  package static let readableBy: Int64 = 1

  /// What changes from one decision to the next.
  package struct Facts: Hashable, Sendable {
    /// The generation to be started from: the last that was committed to. nil: the settings are to be read.
    package var pinned: GenerationID?
    /// How far a handover was, in the words of people, and its candidate.
    package var step: String?
    package var candidate: GenerationID?
    package var operation: OperationID?
    package var groups: [SteeringGroup]
    package var nextGeneration: GenerationID
    package var nextListener: UInt64
    /// Those that had a process.
    package var workers: [WorkerID]
    /// Engines of the pinned generation with another number of workers than its settings say.
    package var scaled: [Scaled]
    /// Who asked for leases, so that the next life has at once what this one held; nil where none was wanted.
    package var leaseOwner: String?
    /// What it waited for.
    package var leaseWaits: [Wait] = []
    package var cuts = Cuts()
  }

  package struct Scaled: Hashable, Sendable {
    package var engine: EngineName
    package var workers: Int
  }

  package var writer: String
  package var service: ServiceName
  package var facts: Facts
  /// Of ``Facts/pinned``.
  package var resolved: ResolvedGeneration?

  /// - Throws: in one sentence, why this program cannot use it.
  package init(bytes: [UInt8]) throws(StateError) {
    do {
      var fields = try Fields(try JSON(text: bytes, limits: SavedState.limits))
      let readableBy: Int64 = try fields.required("readableBy")
      writer = try fields.required("writer")
      guard readableBy <= Self.format else {
        throw StateError("it was written by version \(writer) in form \(readableBy); this one knows \(Self.format)")
      }
      service = try fields.required("service")
      let generation: ResolvedState? = try fields.optional("generation")
      resolved = generation?.resolved
      facts = Facts(
        pinned: resolved?.id, step: try fields.optional("step"), candidate: try fields.optional("candidate"),
        operation: try fields.optional("operation"), groups: try fields.required("groups"),
        nextGeneration: try fields.required("nextGeneration"), nextListener: try fields.wide("nextListener"),
        workers: try fields.required("workers"), scaled: try fields.optional("scaled") ?? [],
        leaseOwner: try fields.optional("leaseOwner"), leaseWaits: try fields.optional("leaseWaits") ?? [],
        cuts: Cuts(
          connections: try fields.optional("connectionsCut") ?? 0,
          uncounted: try fields.optional("cutsUncounted") ?? 0))
    } catch { throw error as? StateError ?? StateError("\(error)") }
  }

  init(writer: String, service: ServiceName, facts: Facts, resolved: ResolvedGeneration?) {
    self.writer = writer
    self.service = service
    self.facts = facts
    self.resolved = resolved
  }

  package var bytes: [UInt8] { bytes(generation: resolved.map { ResolvedState($0).json }) }

  /// `generation`: ``resolved``, which seldom changes.
  func bytes(generation: JSON?) -> [UInt8] {
    var bytes: [UInt8] = []
    let json = JSON.record([
      "format": .integer(Self.format), "readableBy": .integer(facts.leaseOwner == nil ? Self.readableBy : Self.format),
      "writer": writer.json,
      "service": service.json, "generation": generation, "step": facts.step?.json,
      "candidate": facts.candidate?.json, "operation": facts.operation?.json, "groups": facts.groups.json,
      "nextGeneration": facts.nextGeneration.json, "nextListener": .wide(facts.nextListener),
      "workers": facts.workers.json, "scaled": facts.scaled.isEmpty ? nil : facts.scaled.json,
      "leaseOwner": facts.leaseOwner?.json,
      "leaseWaits": facts.leaseWaits.isEmpty ? JSON?.none : facts.leaseWaits.json,
      "connectionsCut": facts.cuts.connections == 0 ? nil : facts.cuts.connections.json,
      "cutsUncounted": facts.cuts.uncounted == 0 ? nil : facts.cuts.uncounted.json,
    ])
    json.write(to: &bytes)
    return bytes
  }
}

extension CrashRecord.Scaled: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(engine: try fields.required("engine"), workers: try fields.required("workers"))
  }

  package var json: JSON { ["engine": engine.json, "workers": workers.json] }
}

extension CrashRecord.Facts {
  init(of core: Supervisor) {
    let isOver = core.isStopping
    var change: Change?
    if case .changing(let one) = core.phase { change = one }
    self.init(
      pinned: isOver ? nil : core.serving, step: change?.step.text, candidate: change?.candidate,
      operation: change?.operations.first, groups: core.groups.sorted { $0.key < $1.key }.map(\.value),
      nextGeneration: core.nextGeneration, nextListener: core.nextListener,
      workers: isOver
        ? []
        : core.generations.sorted { $0.key < $1.key }.flatMap { $0.value.engines.flatMap(\.workers) }.filter(
          \.isRunning
        )
        .map(\.id),
      scaled: isOver
        ? []
        : core.scaledEngines.sorted { $0.key < $1.key }.map { CrashRecord.Scaled(engine: $0.key, workers: $0.value) })
  }
}

extension CrashRecord.Facts {
  /// The start after a crash was refused, and ended in order: nothing was cut by that.
  var isRefused: Bool {
    get { step == Self.refused }
    set { step = newValue ? Self.refused : nil }
  }

  private static var refused: String { "start refused" }
}

extension Action {
  var refusesListener: Bool {
    if case .finish(_, .refused(.listener, _)) = self { return true }
    return false
  }

  /// For tests.
  var label: String {
    switch self {
    case .open(let listener, _, _): "open \(listener)"
    case .attach(_, let program, let rule): "attach \(program) \(rule)"
    case .close(let listener): "close \(listener)"
    case .relisten(let listener): "relisten \(listener)"
    default: "watch"
    }
  }

  /// Whether it shows that what a crash must leave may have changed.
  var concernsCrashes: Bool {
    switch self {
    case .want, .loadSettings, .repeatSettings, .open, .attach, .close, .relisten, .spawn, .removeStoredListeners,
      .forget,
      .finish, .exit:
      true
    case .note(let note):
      switch note {
      case .generationServing, .workerExited, .shutdownStarted, .listenerLeft, .listenerRetired: true
      default: false
      }
    default: false
    }
  }
}
