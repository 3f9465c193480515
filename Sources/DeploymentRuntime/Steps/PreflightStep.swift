package import Deployment
internal import Glibc
internal import LinuxSystem
internal import Settings
internal import Vocabulary

/// Looks before anything is begun whether it can be done, and whether there is a way back. Refusing costs nothing.
package struct PreflightStep: OperationStep {
  /// What one look found.
  package enum Finding: Hashable, Sendable {
    case fine(String)
    /// Allowed, but to be said.
    case weak(String)
    case refusal(StepFailure)
  }

  /// A look with its name, as people are told.
  package struct Check {
    package let name: String
    package let look: (Operation) -> Finding

    package init(_ name: String, _ look: @escaping (Operation) -> Finding) {
      self.name = name
      self.look = look
    }
  }

  /// What a person said when asking.
  package struct Wishes: Hashable, Sendable {
    package var kind: Intent.Kind
    package var isQuick = false
    package var noRollback = false
    package var overridesWindow = false
    /// The texts of the checklist are confirmed.
    package var isConfirmed = false

    package init(_ intent: Intent, overridesWindow: Bool = false, isConfirmed: Bool = false) {
      kind = intent.kind
      isQuick = intent.isQuick
      noRollback = intent.noRollback
      self.overridesWindow = overridesWindow
      self.isConfirmed = isConfirmed
    }
  }

  package let checks: [Check]

  /// - Parameters:
  ///   - wishes: what was asked for.
  ///   - unit: how the unit is, see ``UnitCheck``.
  ///   - target: whether what is asked for can be had: the commit, the archive, the release.
  package init(_ wishes: Wishes, unit: Check, target: Check) {
    let always = [
      Check("directory") { DirectoryCheck.look($0) }, Check("clock") { ClockCheck.look($0) },
      Check("half-done") { Self.halfDone($0) }, unit,
      // To go back is allowed all the same, and before an adoption nothing can run from there.
      Check("program") { ProgramCheck.look($0, isWaived: wishes.kind == .rollback) },
    ]
    switch wishes.kind {
    case .deploy:
      checks =
        [Check("window") { WindowCheck.look($0, overridden: wishes.overridesWindow) }] + always
        + [
          target, Check("space") { SpaceCheck.look($0, backup: !wishes.isQuick) },
          Check("way back") { WayBackCheck.look($0, waived: wishes.noRollback) },
          Check("checklist") { ChecklistCheck.look($0, .before, isConfirmed: wishes.isConfirmed) },
        ]
    // To go back is allowed at any time.
    case .rollback: checks = always + [target]
    case .adopt: checks = always.filter { $0.name != "program" } + [target]
    }
  }

  package func run(_ operation: Operation) throws(StepFailure) {
    var refusals: [StepFailure] = []
    for check in checks {
      switch check.look(operation) {
      case .fine(let text):
        // What a person may want to know even when all is well; `baton preflight` says the rest.
        if ["target", "space", "way back"].contains(check.name) { operation.audience.note("\(check.name): \(text)") }
      case .weak(let text): operation.audience.warn("\(check.name): \(text)")
      case .refusal(let failure):
        if !refusals.isEmpty, operation.effects.mode == .act {
          operation.audience.warn("\(check.name): \(failure.what)")
        }
        refusals.append(failure)
      }
    }
    if let wish = refusals.first(where: { $0.kind == .aborted }) { throw wish }
    if operation.effects.mode == .plan {
      operation.findings.refusals += refusals
      return try makeDirectories(operation)
    }
    guard var first = refusals.first else { return try makeDirectories(operation) }
    if refusals.count > 1 { first.what += " (and \(refusals.count - 1) more: baton preflight lists them)" }
    throw first
  }

  /// What it made is empty, and there for the next one.
  package func undo(_: Operation) {}

  private func makeDirectories(_ operation: Operation) throws(StepFailure) {
    let files = DurableFiles(operation.effects, operation: operation.id)
    do throws(SystemError) { try Releases(operation.layout, files).prepare() } catch {
      throw StepFailure(.refused, error)
    }
  }

  private static func halfDone(_ operation: Operation) -> Finding {
    let left = Recover.halfDone(operation.layout).filter { $0 != operation.id }
    guard let first = left.first else { return .fine("nothing is left over") }
    let list = left.map(\.text).joined(separator: ", ")
    return .refusal(
      StepFailure(.busy, "operation \(left.count == 1 ? first.text : list) is half-done", next: "baton recover"))
  }
}
