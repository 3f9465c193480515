import Deployment
import Glibc
import LinuxSystem
import Settings
import Vocabulary

@testable import DeploymentRuntime

/// A service with a release that runs, and backups of it.
final class BackupFixture {
  let fixture: OperationFixture
  var operation: Operation { fixture.operation }
  var layout: Layout { operation.layout }
  let release: ReleaseID

  /// `settings` are lines behind `[deploy]`. A given `scratch` is that of another operation on the same service.
  init(
    _ settings: String = "", id: String = "op-1", release: String = "20260101T000000Z-none-0001",
    scratch: Scratch = Scratch()
  ) throws {
    fixture = try OperationFixture(settings, id: id, scratch: scratch)
    self.release = ReleaseID(release)
    for path in [layout.releases, layout.shared, layout.backups, layout.deploys] { mkdir(path, 0o755) }
    operation.facts.previous = self.release
    operation.facts.sequence = 1
  }

  var files: DurableFiles { DurableFiles(operation.effects, operation: operation.id) }
  var store: BackupStore { BackupStore(operation) }

  /// Makes the release of these files, and `current` name it.
  func makeRelease(_ contents: [String: String] = ["main": "#!/bin/sh\n", "lib/a.txt": "a", "lib/b.txt": "b"]) throws {
    let directory = layout.release(release)
    for (path, content) in contents { try write("\(directory)/\(path)", content) }
    chmod("\(directory)/main", 0o755)
    symlink("main", "\(directory)/run")
    try seal()
  }

  /// The manifest of what lies there now.
  func seal() throws {
    let directory = layout.release(release)
    let outside = Set((operation.deploy.shared + operation.deploy.exclude).compactMap { TreePath($0) })
    let origin = Manifest.Origin(
      release: release, operation: operation.id, source: "here", who: "tests", made: 1_700_000_000)
    try files.write(try Manifest.of(directory, origin, outside: outside), to: layout.manifest(release))
    unlink(layout.current)
    symlink("releases/\(release)", layout.current)
  }

  func write(_ path: String, _ content: String) throws {
    try write(path, Array(content.utf8))
  }

  func write(_ path: String, _ bytes: [UInt8]) throws {
    let parent = parentDirectory(of: path)
    if access(parent, F_OK) != 0 { _ = shell("mkdir -p '\(parent)'") }
    let file = try Descriptor.open(path, flags: O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
    try writeAll(bytes, to: file, path)
  }

  /// Runs the step and answers the archive's path.
  @discardableResult
  func backUp() throws -> String {
    try BackupStep().run(operation)
    return store.path(operation.facts.backup ?? "none")
  }

  var names: [String] { ((try? directoryEntries(layout.backups)) ?? []).sorted() }
}

/// What a step must not succeed with.
func stepFailure(_ body: () throws(StepFailure) -> Void) -> StepFailure? {
  do throws(StepFailure) {
    try body()
    return nil
  } catch { return error }
}

/// Text that compresses as programs do, and never repeats.
func noise(_ count: Int, seed: UInt64) -> [UInt8] {
  var state = seed &* 2_862_933_555_777_941_757 &+ 3_037_000_493
  return (0..<count).map { _ in
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return UInt8(truncatingIfNeeded: 97 + (state >> 33) % 20)
  }
}
