import Supervision
package import Vocabulary

/// Something that happened, in the words of people and with the fields of programs: one journal entry, one line of the
/// ledger, one line of `baton events`.
package struct Happening: Hashable, Sendable {
  package var kind: MessageKind
  package var text: String
  package var engine: EngineName?
  package var worker: WorkerID?
  package var generation: GenerationID?
  package var release: ReleaseID?
  package var operation: OperationID?
  package var from: String?
  package var to: String?
  package var reason: String?
  package var pid: Int32?

  package init(_ kind: MessageKind, _ text: String) {
    self.kind = kind
    self.text = text
  }
}
