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
      try operation.effects.perform(.symlink, "\(path) -> \(target)") { () throws(SystemError) in
        unlink(path)
        try retrying("link", path) { symlink(target, path) }
      }
      try files.syncDirectory(operation.layout.directory)
    }
  }

  func commit() throws(StepFailure) {
    try asFailure { () throws(SystemError) in
      try operation.effects.perform(.rename, operation.layout.current) { () throws(SystemError) in
        try retrying("rename to", operation.layout.current) { Glibc.rename(path, operation.layout.current) }
      }
      try files.syncDirectory(operation.layout.directory)
    }
  }

  /// Nothing is left of it.
  func withdraw() throws(StepFailure) {
    try asFailure { () throws(SystemError) in try files.remove(path) }
  }
}
