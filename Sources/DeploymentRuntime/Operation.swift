package import Deployment
package import LinuxSystem
package import Settings
package import Vocabulary

/// What the steps of one operation work with.
package final class Operation {
  package let id: OperationID
  package let service: ServiceName
  package let settings: Settings
  package let deploy: Settings.Deploy
  package let layout: Layout
  package let effects: Effects
  package let audience: any OperationAudience
  /// Readable as soon as a person asks for an orderly end (the first Ctrl-C): to be polled wherever a step waits.
  package let abort: Descriptor?
  package var facts = OperationFacts()

  package init(
    id: OperationID, service: ServiceName, settings: Settings, deploy: Settings.Deploy, effects: Effects,
    audience: any OperationAudience, abort: Descriptor?
  ) {
    self.id = id
    self.service = service
    self.settings = settings
    self.deploy = deploy
    layout = Layout(directory: settings.service.directory)
    self.effects = effects
    self.audience = audience
    self.abort = abort
  }
}

/// One step: what it does, and how that is undone.
package protocol OperationStep {
  /// Does the step. After a crash in its middle it is run again from the start, or undone: it must bear both.
  func run(_ operation: Operation) throws(StepFailure)
  /// Puts back what `run` changed, from any instant of it, and does nothing where there is nothing to put back.
  func undo(_ operation: Operation) throws(StepFailure)
}

/// Those who follow an operation. Texts reach it unmasked; it masks.
package protocol OperationAudience: AnyObject {
  /// A sentence for people about the step under way.
  func note(_ text: String)
  /// Something that is allowed, and that a person must have seen.
  func warn(_ text: String)
  /// A line of a program's output.
  func output(_ line: String)
  /// How far a long step is; nil `total` where that is not known.
  func progress(done: Int64, total: Int64?, unit: String)
}
