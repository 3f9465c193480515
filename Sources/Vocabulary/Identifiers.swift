/// The workers started from one release and one resolved configuration. Counts up from 1 for the life of the service.
package struct GenerationID: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let number: UInt64
  package init(_ number: UInt64) { self.number = number }
  package var next: GenerationID { GenerationID(number + 1) }
  package var description: String { "\(number)" }
  package static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}

/// One place of an engine in one generation, and how often it has been filled: the run is a new one at each restart,
/// so that late news of a process that is gone is recognised as late.
package struct WorkerID: Hashable, Sendable, Comparable, CustomStringConvertible {
  package let generation: GenerationID
  package let engine: EngineName
  /// 1, 2, … up to the engine's number of workers.
  package let slot: Int
  /// 1 for the first process in this slot.
  package let run: Int

  package init(generation: GenerationID, engine: EngineName, slot: Int, run: Int) {
    self.generation = generation
    self.engine = engine
    self.slot = slot
    self.run = run
  }

  /// As people see it: `web.2`.
  package var label: String { "\(engine).\(slot)" }
  package var description: String { "\(engine).\(slot)#\(run)@\(generation)" }

  package static func < (left: Self, right: Self) -> Bool {
    (left.generation, left.engine, left.slot, left.run) < (right.generation, right.engine, right.slot, right.run)
  }
}

/// The name of an immutable directory `releases/ID`; `-` where the service has no releases.
package struct ReleaseID: Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package init(_ text: String) { self.text = text }
  package var description: String { text }
}

/// One long act with steps and an outcome: a start, a reload, a stop. Unique for the host.
package struct OperationID: Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package init(_ text: String) { self.text = text }
  package var description: String { text }
}
