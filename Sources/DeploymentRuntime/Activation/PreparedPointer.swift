import Deployment
import Glibc
import LinuxSystem
import Vocabulary

/// `current` moved in two parts: all that needs room or rights first, then one rename that needs neither.
/// See docs/decisions/0007.
struct PreparedPointer {
  let operation: Operation
  let release: ReleaseID

  private var path: String { TemporaryName.beside(operation.layout.current, operation.id) }
  private var files: DurableFiles { DurableFiles(operation.effects, operation: operation.id) }

  /// The new link lies beside `current`, on the disk. Done twice it is the same.
  func prepare() throws(StepFailure) {
    let target = "releases/\(release)"
    try asFailure { () throws(SystemError) in
      if operation.effects.mode == .act {
        let kind = try FileFacts.of(operation.layout.release(release)).kind
        guard kind == .directory else {
          throw SystemError("point to", operation.layout.release(release), errno: ENOTDIR)
        }
        if let facts = try FileFacts.ifPresent(operation.layout.current), facts.kind != .link {
          throw SystemError("replace the \(facts.kind.noun)", operation.layout.current, errno: EEXIST)
        }
      }
      try files.makeSymlink(path, to: target)
      try files.syncDirectory(operation.layout.directory)
    }
  }

  func commit() throws(StepFailure) {
    try asFailure { () throws(SystemError) in try files.rename(path, over: operation.layout.current) }
  }

  /// Nothing is left of it.
  func withdraw() throws(StepFailure) {
    try asFailure { () throws(SystemError) in try files.remove(path) }
  }
}
