import TestPages
import Testing
import Vocabulary

@testable import Deployment

/// docs/states/deploy.md says what the code does: it is made by walking it.
@Suite struct StatePages {
  @Test func deploy() {
    var table = StateTable()
    for kind in SearchTests.kinds where kind.name != "rollback" {
      _ = Walk(World(kind, World.Budget(faults: 1, crashes: 0, wishes: 1))) { before, move, after in
        guard let from = before.machine?.state.name, let to = after.machine?.state.name else { return }
        table.saw(from, before.event(of: move), to)
      }
      // What recovery makes of what a kill left.
      _ = Walk(World(kind, World.Budget(faults: 0, crashes: 1, wishes: 0))) { before, move, after in
        guard case .recover(let moment) = move, before.machine == nil, let to = after.machine?.state.name else {
          return
        }
        table.saw("cut off", "recovered \(moment == .boot ? "at boot" : "by the next command")", to)
      }
    }
    let page = table.page(
      title: "Deploy",
      about: """
        One operation from its first record to its last. Each step is recorded before it acts, and counts as done when
        that is recorded. Every failure before the release is marked good takes the same way back over *turning*, which
        undoes what was begun in reverse order. *cut off* is no state of the machine: the process is gone, and the records
        and reality say where it goes on.
        """,
      order: [
        "new", "opening", "intending", "running", "confirming", "turning", "undoing", "noting", "restoring",
      ] + Outcome.allCases.map { "ending: \($0.rawValue)" } + ["ended", "cut off"])
    if Page.isUpdating { #expect(Page.write("deploy", page), "cannot write \(Page.path("deploy"))") }
    #expect(
      Page.read("deploy") == page,
      "docs/states/deploy.md is not what the code does: BATON_UPDATE_DOCS=1 swift test --disable-xctest --filter StatePages"
    )
  }
}

extension World {
  fileprivate func event(of move: Move) -> String {
    switch (owed, move) {
    case (_, .abort), (_, .deadline): "abort or deadline"
    case (.record?, .go): "recorded"
    case (.record?, _): "record failed"
    case (.run?, .go): "done"
    case (.run?, _): "failed"
    case (.undo?, .go): "undone"
    case (.undo?, _): "undo failed"
    case (.restore?, .go): "restored"
    case (.restore?, _): "restore failed"
    case (_, .recover): "bake is due"
    case (nil, _), (.interrupt?, _), (.announce?, _), (.finish?, _): "\(move)"
    }
  }
}

extension Deploy.State {
  fileprivate var name: String {
    switch self {
    case .new: "new"
    case .opening: "opening"
    case .intending: "intending"
    case .running: "running"
    case .confirming: "confirming"
    case .turning: "turning"
    case .undoing: "undoing"
    case .noting: "noting"
    case .restoring: "restoring"
    case .ending(let outcome): "ending: \(outcome.rawValue)"
    case .ended: "ended"
    }
  }
}
