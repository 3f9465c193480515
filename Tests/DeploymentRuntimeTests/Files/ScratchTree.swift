import Glibc
import LinuxSystem
import Testing
import Vocabulary

@testable import DeploymentRuntime

/// A directory under the system's temporary one with what a test puts in; gone with the last reference.
final class ScratchTree: Sendable {
  let path: String

  init(in parent: String = "/tmp") {
    var template = Array("\(parent)/files-tests-XXXXXX".utf8CString)
    path = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
  }

  deinit { _ = try? TreeRemoval.remove(path) }

  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  @discardableResult
  func directory(_ name: String, mode: UInt32 = 0o755) -> String {
    let parent = parentDirectory(of: self(name))
    if access(parent, F_OK) != 0, name.contains("/") {
      directory(String(name[..<(name.lastIndex(of: "/") ?? name.startIndex)]))
    }
    mkdir(self(name), 0o700)
    chmod(self(name), mode_t(mode))
    return self(name)
  }

  func file(_ name: String, _ text: String = "", mode: UInt32 = 0o644) {
    if let slash = name.lastIndex(of: "/") { directory(String(name[..<slash])) }
    let file = open(self(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    _ = text.utf8CString.withUnsafeBytes { write(file, $0.baseAddress, $0.count - 1) }
    fchmod(file, mode_t(mode))
    close(file)
  }

  func link(_ name: String, _ target: String) {
    if let slash = name.lastIndex(of: "/") { directory(String(name[..<slash])) }
    symlink(target, self(name))
  }

  func text(_ name: String) throws -> String { String(decoding: try readFile(self(name)), as: UTF8.self) }

  func names(_ name: String = ".") -> [String] { ((try? directoryEntries(self(name))) ?? []).sorted() }
}

/// A durable layer that acts, and its log.
func durable(_ operation: String = "op-1") -> DurableFiles {
  DurableFiles(Effects(.act, faults: nil), operation: OperationID(operation))
}
