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
  /// The host is starting, and the service's unit with it as soon as this is over: only what lies on the disk is put
  /// right, and no unit is started, reloaded or waited for.
  package var isBooting = false
  /// The executor's.
  package var recorder: ((OperationFacts) throws(StepFailure) -> Void)?

  /// In a plan: what it found out. Empty otherwise.
  package let findings = PlanFindings()

  /// What `[deploy] secrets` gives to builds, hooks and migrations.
  package var secrets = Secrets()
  /// Goes over all that programs print and over each command line, before anybody sees or records them.
  package var masker: Masker { secrets.masker }

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

  /// Puts ``facts`` on the disk in the middle of a step: for what the undo after a kill must know, before it is made so.
  package func recordFacts() throws(StepFailure) {
    // A way back that cannot write down what it found is gone on with.
    try recorder?(facts)
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
  /// A step begins, is done, is undone. Nothing unless it is taken.
  func announce(_ announcement: Announcement)
  /// The text without secrets, for the records. Itself unless there are some.
  func masked(_ text: String) -> String
}

extension OperationAudience {
  package func announce(_: Announcement) {}
  package func masked(_ text: String) -> String { text }
}

/// What people want done around steps. Runs as the deploy user.
package protocol OperationHooks {
  /// A failure is the step's.
  func before(_ step: Step, _ operation: Operation) throws(StepFailure)
  func after(_ step: Step, _ operation: Operation) throws(StepFailure)
  /// It goes back, before anything is undone. Its own troubles are only said.
  func failed(_ step: Step?, _ failure: StepFailure, _ operation: Operation)
}
