import Deployment
import LinuxSystem
import Vocabulary

/// Packs the mirror's objects together now and then: each fetch brings a few, and with thousands of them every question
/// to git takes longer. Bounded in time; what was not finished is done at a later prune.
struct MirrorUpkeep {
  let operation: Operation

  static let limit: Duration = .seconds(60)
  /// More than this are packed. As git's own gc.autoPackLimit and gc.auto.
  static let packs = 50
  static let loose = 6_700

  func run() throws(StepFailure) {
    let layout = operation.layout
    let modules = Submodules.directory(layout)
    let others = ((try? directoryEntries(modules)) ?? []).filter { $0.hasSuffix(".git") }.map { "\(modules)/\($0)" }
    for path in [layout.mirror] + others.sorted() where Self.isDue(path) { try pack(path) }
  }

  /// Loose objects are counted in one of their 256 directories, as git does.
  static func isDue(_ path: String) -> Bool {
    let found = ((try? directoryEntries("\(path)/objects/pack")) ?? []).count { $0.hasSuffix(".pack") }
    return found > packs || ((try? directoryEntries("\(path)/objects/17")) ?? []).count * 256 > loose
  }

  private func pack(_ path: String) throws(StepFailure) {
    var command = Git(operation, directory: path).command(["gc", "--quiet", "--prune=2.weeks.ago"])
    command.timeout = Self.limit
    command.isBackground = true
    let result = try command.run(operation)
    if !result.hasSucceeded { operation.audience.note("\(path) is not packed yet: \(result.sentence)") }
  }
}
